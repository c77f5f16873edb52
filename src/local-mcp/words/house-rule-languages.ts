import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure: rules of other languages by shape; `standing-order.ts` has words such as "immer". */

const language = pattern`
  (?:deutsch|englisch|französisch|spanisch|italienisch|français|anglais|allemand|espagnol|italien|español|
  inglés|
  alemán|francés|italiano|inglese|tedesco|francese|português|inglês|het nederlands|nederlands|het engels|
  engels|
  polsku|angielsku|niemiecku|русском|английском|русски|английски|svenska|engelska|norsk|engelsk|dansk|
  türkçe|
  ingilizce)
`;

const german = pattern`
  ^(?:(?:bitte|und|aber|also|ach ja|übrigens)[\s,:]+)*(?:(?:fass|rühr|lang|tast|pack|geh|greif|änder|lösch|
  überschreib|
  benenn|verschieb|formatier|refaktorier|installier|committe|push|merge|deploy|nutz|verwend|benutz|veränder|
  commit|pushe?)\p{L}* (?:[^?]{1,60} )?(?:nicht|nichts|niemals|nie|kein\p{L}*)(?: \S+){0,3}[.!]*$|(?:nur|
  ausschließlich|keine?[nr]?|
  nichts|niemand) (?!(?:noch|eine?|der|die|das|den|zwei|ahnung|problem|sorge|idee|mehr|fehler|mal|
  so)(?!\p{L}))[^?]{3,60}[.!]*$|
  (?:englische|deutsche|französische)[nrs]? \p{L}+(?:,| |$)|wir (?:duzen|siezen|unterstützen|committen|
  dokumentieren|deployen) |(?:mach|schreib|füg|stell|bau|nimm)e? (?:nicht|nichts|niemals|nie|kein\p{L}*) |
  (?:(?!(?:ich|wir|es|ihr|sie|er|du|der|die|das)(?!\p{L}))\p{L}+ ){0,4}(?:nichts|
  niemals) (?:\p{L}+ ){0,3}\p{L}{3,}en[.!]*$|(?:sieze|duze|respektiere|beachte|befolge|halte? dich|
  bleib(?:e)? (?:bei|auf|im)) |lass(?:e|t)? .{1,60} (?:in ruhe|unangetastet|
  unverändert|so|wie (?:es|sie|er) (?:ist|sind))|(?:frag|fragt|sprich|kläre?|melde?|warne?|
  sag)\p{L}* .{0,40}(?:bevor|vorher|
  zuerst|wenn))|(?<!\p{L})(?:(?:wird|werden) .{0,30}(?:nicht|nichts|niemals|kein\p{L}*) (?:an|ver|ge|über|
  um|aus)\p{L}+[.!]*$|
  (?:bleibt|bleiben) (?:wie|so|unverändert|unangetastet|stabil|kompatibel|bestehen|zu|gesperrt|
  \p{L}*kompatibel)|
  (?:hat|haben|genießt|genießen) (?:oberste |höchste )?(?:vorrang|priorität)|(?:geht|gehen|kommt|
  kommen) (?:immer )?(?:vor|zuerst)[.!]*$|
  an erster stelle|(?:ist|sind) (?:absolut |streng |für dich )?(?:gesperrt|heilig|unantastbar|verboten|
  untersagt|nicht erlaubt|
  pflicht|chefsache|unerwünscht|nicht erwünscht|nicht verhandelbar|eingefroren)|nur (?:nach|
  mit) (?:\p{L}+ )?(?:rücksprache|freigabe|
  erlaubnis|zustimmung|genehmigung|tests?)|rückwärtskompatib\p{L}*|abwärtskompatib\p{L}*|\p{L}+ (?:statt|
  vor) \p{L}+(?:,? bitte)?[.!]*$)
`;
const romance = pattern`
  ^(?:(?:et|mais|y|pero|e|ma|mas|s['’]il te plaît,?|por favor,?|per favore,?)[\s,]+)*(?:(?:pas d['e]|pas de|
  aucune?|zéro|
  nada de|ning[uú]na?|ningún|cero|sin|niente|nessuna?|nessun|nenhuma?|sem|nada) (?!(?:problème|souci|
  problema|errore|idée|idea|ideia|mal|
  duda|dubbio|dúvida|prisa|fretta|que|più|más|di che)(?!\p{L}))(?!.*(?:funciona|marche|funziona|trouv|
  encontr|trovat|aparece))[^?]{3,60}[.!]*$|on ne (?:touche|change|modifie|commit|pousse|
  supprime|déploie|utilise|met|fait)\p{L}* (?:pas|rien|jamais|plus)|(?:demande|préviens|consulte|avertis|
  pregúnta|pregunta|consúlta|consulta|
  avísa|avisa|chiedi|avvisa|consulta|domanda|pergunte|me pergunte|avise|me avise|
  consulte)\p{L}*(?:[- ](?:moi|me|le))? .{0,30}(?:avant|antes|prima)|
  (?:laisse|deja|lascia|deixe|deixa)[rz]? .{1,50} (?:tranquille|tels? quels?|telles? quelles?|comme|en paz|
  como está[n]?|quiet[oa]s?|stare|
  com['’]è|come (?:è|sono)|in pace|em paz)|(?:respecte|suis|respeta|sigue|mantén|rispetta|segui|mantieni|
  respeite|siga|mantenha)[rz]? (?:bien )?(?:le|la|les|el|los|
  las|il|lo|gli|o|os|as) |(?:solo|sólo|únicamente|solamente|seulement|uniquement|soltanto|só|somente|
  apenas) (?!(?:faltan?|quedan?|reste|manca|falta|la|el|une?|il|lo|o|a|el|dos|deux|
  due)(?!\p{L}))[^?]{3,50}[.!]*$|
  no (?:te metas|quiero|toques|toquéis|rompas|hagas|añadas|instales|subas|me)|(?:não|nao) (?:mexa|mexas|
  toque|quero|faça|adicione|instale|suba|quebre)|(?:non|ne pas) \p{L}{2,}(?:are|ere|ire|er|ir|re)(?!\p{L})|
  (?:les?|la) \p{L}+ d['’]abord|non (?:voglio|fare|aggiungere|installare|rompere|committare))|
  (?<!\p{L})(?:no se tocan?|no se cambian?|no se modifican?|non si tocc(?:a|ano)|non si cambia(?:no)?|
  não se (?:toca|mexe|altera)m?|(?:est|sont|es|son|è|sono|é|são) (?:strictement |absolument |totalmente |
  assolutamente )?(?:intouchables?|
  interdite?s?|hors limites|sacrée?s?|intocables?|sagrad[oa]s?|prohibid[oa]s?|intoccabil[ei]|vietat[oaie]|
  sacr[oaie]|proibid[oa]s?|intocáve(?:l|is)|obligatoires?|obligatori[oa]s?)|vanno (?:in|scritt)|
  (?:uniquement|exclusivement|exclusivamente|esclusivamente)[.!]*$|(?:passe|passent|va|viene|vengono|
  vem) (?:d['’]abord|en premier|primero|prima di tutto|em primeiro)|(?:a|tiene|ha|tem) (?:la )?(?:priorité|
  prioridad|precedenza|prioridade))
`;
const others = pattern`
  ^(?:(?:maar|en|ale|i|но|и|men|och)[\s,]+)*(?:(?:geen|alleen) (?!(?:idee|probleem|zorgen|fout|haast|nog|de|
  het|twee)(?!\p{L}))[^?]{3,50}[.!]*$|blijf .{1,40} af[.!]*$|laat .{1,40} (?:met rust|zoals)|
  vraag .{0,40}(?:voordat|eerst|vooraf)|(?:żadn\p{L}+|tylko|wyłącznie) (?!(?:problem\p{L}*|błęd\p{L}*|dwa|
  jeden)(?!\p{L}))[^?]{3,50}[.!]*$|(?:pytaj|zapytaj|spytaj).{0,40}(?:zanim|przed|najpierw)|
  (?:никаких|никакого|никакой|только|исключительно) (?!(?:проблем|вопросов|ошибок|два|один|
  что)(?!\p{L}))[^?]{3,50}[.!]*$|(?:спрашивай|спроси|спрашивайте).{0,40}(?:перед|прежде|сначала)|
  (?:inga|ingen|inget|ingen) nya |(?:rör|ändra|använd|lägg|ta|gör|endre|bruk|rør|ændr) (?:\S+ ){0,2}(?:inte|
  ikke|ej)|(?:fråga|spør|spørg) .{0,30}(?:innan|först|før))|
  (?<!\p{L})(?:alltid|aldrig|aldri|altid|только на|(?:dokunma|değiştirme|kullanma|ekleme|silme|
  elleme)(?:yın|yin)?[.!]*$|önce bana sor|(?:olsun|olmasın)[.!]*$)(?!\p{L})|
  不(?:许|准|得|可|可以|能|要|允许)(?:再)?(?:改|动|碰|用|加|删|提交|引入|修改|添加)|用(?:中文|英文|日文|简体中文|英语)(?:写|回答|回复|来|说|注释)?|先问(?:我|
  一下)|每次.{1,20}(?:先|都|前)|一律|统一用|
  (?:しない|使わない|触らない|触れない|追加しない|変えない|変更しない|入れない|消さない|いじらない)で|は(?:禁止|厳禁|なし)で?|(?:日本語|英語)で(?:書い|答え|お願い|返|回答|説明)|
  (?:前に|先に|事前に).{0,12}(?:確認|聞い|相談)|
  (?:한국어|영어)로 ?(?:작성|답|써|쓰|설명)|지 ?(?:마|말)(?:세요|아|고)?|먼저 ?물어
`;
const inLanguage = pattern`
  ^(?=.*(?<!\p{L})(?:auf|en|in|em|po|по|по-|на|på) ?-?${language}(?!\p{L}))(?:(?:bitte|por favor|
  s['’]il te plaît|per favore)[\s,]+)*(?:(?:(?:antwort|schreib|sprich|formulier|kommentier|erklär|
  répond|écri|parle|comment|explique|respond|responde|escrib|habla|contest|rispond|scriv|parl|escrev|fal|
  antwoord|schrijf|odpowiad|pisz|mów|отвеча|пиш|комментир|говор|svar|skriv)\p{L}*)|
  (?:alles|alle|sämtliche|tous|toutes|tout|todos|todas|todo|tutti|tutte|tutto|все|всё|wszystkie|wszystko|
  alla|allt)|(?:die|der|das|les?|la|l['’]|los|las|el|i|gli|le|os|as|de|het)? ?\p{L}+(?: (?:de|di|von|van|
  des|der) \p{L}+)?)(?!\p{L})(?!.*(?<!\p{L})(?:fehlt|fehlen|manque|falta|manca|ist kaputt)(?!\p{L}))
`;

const foreignRules = [german, romance, others, inLanguage].map((source) => new LazyRegExp(source, "iu"));

/** Saves the time of these patterns; words that other languages also have are left out. */
const englishWord =
  /(?<!\p{L})(?:the|and|of|that|this|with|you|our|your|please|not|should|must|have|are|it|all|any)(?!\p{L})/iu;

export function isForeignHouseRule(sentence: string): boolean {
  if (englishWord.test(sentence) || found.test(sentence)) return false;
  return foreignRules.some((one) => one.test(sentence));
}

/** A report of something found or missing is no rule. */
const found = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:gefunden|bisher|warum|wieso|noch übrig|fehlt|fehlen|geht(?! vor)|funktioniert|klappt|läuft|
    trouvée?s?|pourquoi|encontrad[oa]s?|hasta ahora|por qué|
    trovat[oaie]|finora|perché|encontrado|até agora|gevonden|waarom|znaleziono|dlaczego|найдено|почему|
    осталось|осталась)(?!\p{L})
  `,
  "iu",
);
