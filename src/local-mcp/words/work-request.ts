import { isAcknowledgement } from "./acknowledgement.ts";
import { LazyRegExp, pattern } from "./pattern.ts";
import { clauses, contentWords, isQuestion } from "./sentences.ts";

/** Pure: judges sentences by their shape. */

const opener = pattern`
  ^(?:(?:ok|okay|so|then|and|but|also|now|next|first(?:ly)?|hi|hey|hello|well|right|al(?:l )?right|great|
  perfect|
  thanks|thank you|cool|good|fine|nice|please|pls|just|finally|today|again|quickly|actually|yes|yeah|no|
  instead|
  after that|for (?:now|today|the next step)|go(?: ahead)?(?: and)?|bitte|gut|dann|jetzt|alors|bien|
  maintenant|
  bueno|ahora|adesso|ora|teraz|proszę)[\s,.:!–-]{1,3}){0,5}
`;

/** Excludes verbs that as often begin a rule or a choice. */
const verbs = pattern`
  adapt|add|adjust|allow|analy[sz]e|append|arrange|assemble|attach|audit|automate|backport|benchmark|book|
  bring|
  build|bump|calculate|carry out|change(?! of)|check|clean|clear|collect|combine|compare|compile|complete|
  compute|
  configure|connect|convert|copy|correct|cover|create|cut|debug|decouple|define|delete|deploy|describe|
  design|
  detect|develop|diagnose|display|document|download|draft|do (?:the|an?|some) (?!same|rest|next|other)\S+|
  draw|
  edit|eliminate|enable|enhance|establish|estimate|evaluate|examine|expand|explore|export|expose|extend|
  extract|
  fetch|figure out|fill|filter|find|finish|fix|flesh out|generate|get|give|handle|harden|help|hide|hook|
  hunt|
  identify|implement|import|improve|include|increase|index|inspect|install|integrate|introduce|investigate|
  isolate|join|launch|lay out|list|load|locate|look (?:at|into|for|up|through)|lower|make(?! sure)|map|
  measure|
  merge|migrate|mock|model|modify|monitor|move|open|optimi[sz]e|organi[sz]e|outline|package|paint|parse|
  patch|
  plan|plot|polish|port|prepare|print|produce|profile|proofread|prove|provide|publish|pull|put|query|raise|
  redo|
  read|rebuild|record|reduce|refactor|register|reimplement|remove|rename|render|reorgani[sz]e|repair|
  replace|
  report|reproduce|research|resolve|restore|restructure|retrieve|return|review|revise|rewrite|rework|
  rip out|save|
  scan|schedule|search|secure|send|separate|set up|setup|shorten|show|shrink|simplify|sketch|solve|sort|
  speed up|
  split|start|store|strip|study|submit|suggest|summari[sz]e|support|swap|substitute|sync|tackle|
  take care of|
  take (?:a look|another look)|take over|take (?:\S+ ){1,4}(?:apart|out|down|off|over)|teach|test|tidy|
  trace|
  track|train|transform|translate|trim|try to|tune|turn|unify|update|upgrade|upload|validate|verify|
  visuali[sz]e|
  wire|work (?:on|out)|wrap|write|[a-z]{3,}(?:ize|ify)
`;

/** "Sanity-check the figures": a verb of any kind before its object. */
const otherVerb = pattern`
  (?!(?:a|an|the|this|that|these|those|it|its|he|she|they|we|i|you|my|our|your|his|her|their|one|some|any|
  all|
  each|every|both|no|not|never|always|only|there|here|what|who|why|how|when|where|which|whether|if|as|at|by|
  for|
  from|in|into|of|on|onto|off|over|to|with|without|about|after|before|since|until|unless|through|and|or|but|
  so|
  than|then|because|while|use|using|take|pick|choose|go|keep|let|make|prefer|avoid|remember|ensure|stick|
  stay|
  leave|forget|drop|scrap|ditch|scratch|cancel|don['’]t|dont|is|are|was|were|be|been|do|does|did|has|have|
  had|
  will|would|shall|should|can|could|may|might|must|also|still|just|now|yes|yeah|ok|okay|well|again|maybe|
  perhaps|
  like|thanks|fyi|btw|ps|hmm|done|fixed|added|finished|found|got|had|saw|see|think|guess|hope|mind|note|
  settle|
  adopt|opt|stop|ignore|run|log|call|name|adhere|comply|follow|refrain|follows|is|want|need|wait|sorry|
  [\p{L}-]*(?:ed|ly|ing|ion|ness|ment|s))(?!\p{L}))\p{L}[\p{L}-]{2,}(?= (?:a|an|the|all|every|our|my|this|
  these|
  those|it|them|some|another|one|two|three|both|its|their|how|why|what|whether|up|out|down|over|off|
  through)(?!\p{L}))
`;
const imperative = new LazyRegExp(
  String.raw`${opener}(?:(?:${verbs})(?!\p{L})|have (?!you|we|i|they|a|an|no|to|it)(?:the |our )?\S+ \p{L}{3,})`,
  "iu",
);

const otherImperative = new LazyRegExp(`${opener}${otherVerb}`, "iu");

/** "Could you ...", "I need ...", "it would be nice if ...", "your job is ...". */
const framedRequest = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:can|could|would|will) (?:you|we)(?! please (?:always|never|only|keep)| (?:always|never|
    only|keep))|would you mind|(?:i|we)(?: really| also| now| still| just| only)* (?:need|want|
    would (?:like|love)|wish|require)|(?:i|we)(?:['’]d| would)(?: really| also| now)? (?:like|love)|
    help (?:me|us)|(?:i|we)(?:['’]d| would) (?:appreciate|be (?:happy|glad|grateful))|there (?:should|must|
    has to|needs to|ought to) be|(?:can|could) .{1,40} be (?:made|taught|\p{L}+ed)|we should (?:${verbs})|
    (?:your|the|my|our|this|next|new|today['’]s|first|second|third|last)\s+(?:[\p{L}-]+\s+)?(?:task|job|
    goal|assignment|aim|objective|mission|ticket|challenge|topic|feature|item|
    thing)s?(?: now| today| here| then)?(?: is|:|,|\.|!| for | on | in | about |$)|^(?:would|i['’]d|
    we['’]d)(?: really)? (?:love|like)|(?:it(?: would|['’]?d)|^would)(?: really| also)? be (?:really |very |so )?(?:great|nice|good|cool|helpful|useful|
    awesome|lovely|handy|neat|ideal|amazing|perfect|super|sweet|wonderful|fantastic) (?:if|to)|time (?:to|we|for)|^(?:the |our )?(?:goal|objective|aim|task|job|mission|plan|
    assignment)(?: \p{L}+){0,4}(?: is|:)|what (?:would|will) it take to|is (?:it possible|there (?:a|
    any) (?:way|chance|possibility))|how (?:about|hard would)|(?:feature|change) request|what (?:we|
    i)(?:['’]m| am| are| want| need|['’]d like)|(?:i|we)(?:['’]m|['’]re| am| are) (?:looking for|after|
    trying to|hoping)|please (?:do|have)|(?:let(?:['’]?s| us)|(?:we|i)(?:['’](?:re|m|
    ll)| are| am| will)(?: going to| gonna)?(?: now)?|(?:we|you)(?:['’]ve)? (?:have|need|got|ought|want) to|
    ^(?:can|could|should|would|will) (?!i |we |you |it be)(?:the |our )?\S+|how (?:can|could|do|would) (?:i|
    we|you)|please) (?:${verbs}))(?!\p{L})
  `,
  "iu",
);

const topicChange = new LazyRegExp(
  pattern`
    ^(?:(?:ok|okay|great|good|perfect|done|thanks|and|so)[\s,.!]+)*(?:now|next|then)[:,]? (?:the|our|
    for the|
    on to) \S+(?: \S+)?[.!]?$|(?<!\p{L})(?:(?:new|next|another|different) (?:task|topic|thing|goal|ticket|
    job|item|
    one|subject|story|issue|problem|bug|feature)|something (?:else|new|different)|moving on|enough of|(?<=^|
    [.!] )on to|move on to|now on to|on to (?:the|a)|switch(?:ing)? (?:gears|topics?|over to working)|
    back to (?:the )?work|turning to|(?:neue|nächste) (?:aufgabe|sache)|nächstes thema|neues thema|
    nouvelle tâche|
    nouveau sujet|autre chose|nueva tarea|otra cosa|nuovo compito|altra cosa|nowe zadanie|nova tarefa|
    новая задача)(?!\p{L})|新しい(?:タスク|課題)|别的|新任务
  `,
  "iu",
);

/** "Jetzt bitte den PDF-Export": a word of order before the name of a thing, and no verb. */
const namedNext = new LazyRegExp(
  pattern`
    ^(?:(?:ok|okay|great|good|perfect|done|fine|thanks|and|so|gut|super|danke|und|bien|merci|et|bueno|y|
    vale|bene|e|
    dobrze|i|хорошо|и|en|goed)[\s,.!]+)*(?:(?:now|next|then|after that|jetzt|nun|dann|danach|als nächstes|
    ensuite|
    maintenant|après ça|ahora|luego|después|adesso|ora|poi|dopo|agora|depois|nu|daarna|
    hierna)(?: up)?[:,]?\s
    (?:(?:bitte|please|only|just|noch|auch|encore|también|anche|ook|s['’]il (?:te|vous) plaît|
    por favor),? )*(?:for |
    on to |zu[rm]? |mit |pour |avec |con |para )?(?:the|our|an?|der|die|das|den|eine?[nmr]?|unsere?[nr]?|
    les?|la|
    une?|notre|el|los|las|una?|nuestr[oa]|il|lo|gli|uno|os?|as|uma?|het|de|een)\s|(?:now|next|then)[:,] |
    l['’](?=\p{L})|
    (?:teraz|następnie|potem|теперь|дальше|затем|далее|şimdi|nästa)[:,]? |bitte (?:noch )?(?:den|die|das|
    eine?n?) |
    (?:jetzt|maintenant|ensuite|adesso|ora|poi) l['’])(?:\S+ ){0,6}\S+$|^(?:\S+ ){1,4}(?:next|
    als nächstes)[.!]?$
  `,
  "iu",
);
/** With one of these it tells how something is. */
const finiteVerb = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:is|are|was|were|has|have|had|works?|fails?|pass(?:es)?|runs?|looks?|seems?|gets?|shows?|
    opens?|closes?|loads?|builds|compiles|comes?|goes|can|could|will|would|should|must|ist|sind|war|waren|
    hat|haben|
    wird|werden|geht|läuft|funktioniert|klappt|kommt|kann|sieht|muss|soll|est|sont|était|marche|fonctionne|
    va|peut|
    es|está|están|son|era|funciona|puede|è|sono|funziona|jest|są|działa|zijn|werkt|gaat|é|são|работает|
    идёт)(?!\p{L})
  `,
  "iu",
);

function isNamedNext(sentence: string): boolean {
  const named = sentence.replace(/,? (?:please|bitte|thanks|stp|svp|por favor|per favore)[.!]*$/iu, "");
  return namedNext.test(named) && !finiteVerb.test(named) && contentWords(named).size > 0 && !isAcknowledgement(named);
}

const problem = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:bugs?|crash(?:es|ed|ing)?|fails|failing|broken|breaks|hangs|freez(?:es|ing)|froze|leaks?|
    leaking|
    throws|loses|losing|drops (?!by)|nothing (?:happens|works|shows|appears|changes)|(?:can(?:not|['’]t)|
    could(?: not|n['’]t)) (?:log|sign|open|see|find|load|connect|start|access|reach|click|save|install)|
    no \p{L}+ (?:is|are) (?:shown|found|returned|displayed)|locally but not|schl(?:agen|ägt) fehl|
    times? out|
    time-?outs?|is off(?= (?:with|by|in|here|again|today))|add up|mismatch(?:es)?|disagree|inconsistent|
    (?:does|
    do)(?:n['’]t| not) (?:work|start|load|show|run|compile|build|respond|open|save|update|handle|render)|
    not working|stopped working|no longer (?!uses|needs|is|has|applies|counts|matters)\p{L}+s|too slow|
    is slow|
    takes (?:too long|ages|forever|\p{L}+ (?:seconds|minutes|hours))|flaky|stuck|shows? up twice|
    duplicates?|regression|errors? (?:in|when|while|with)|(?<!no |
    without )exceptions?|corrupt(?:s|ed)?|incorrect(?:ly)?|wrong|misses|misbehaves|is missing|are missing|
    complain(?:s|ed)?|reported|stürzt|kaputt|fehler(?:haft)?|verliert|funktioniert nicht|geht nicht|
    (?:lädt|startet|öffnet|reagiert|läuft|zeigt|antwortet|speichert|schließt)(?: \S+)? (?:nicht|
    nichts)(?: mehr)?|ne (?:charge|s['’]affiche|démarre|
    répond|s['’]ouvre) (?:pas|plus)|no (?:carga|abre|arranca|aparece|responde)|non (?:carica|si apre|parte|
    risponde)|hängt|plante|
    bogue|perd|erreurs?|ne (?:marche|fonctionne) (?:pas|plus)|falla|pierde|errores|no funciona|se cae|
    si blocca|
    perde|non funziona|errore|va in crash|wywala|gubi|nie działa|błąd|błędy|falha|não funciona|падает|
    не работает|
    теряет|ошибк\p{L}*)(?!\p{L})|落ちる|落ちます|バグ|エラー|動かない|動きません|崩溃|报错|失败|不工作|오류|버그|안 ?돼
  `,
  "iu",
);

/** "X should sort the list", "X needs a filter": what it does, not what it is. */
const requirement = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:should(?:n['’]t)?|ought to|must|needs? to|has to|shall)\s+(?:be able to|not only|also|now|
    support|
    handle|accept|return|show|display|print|send|sort|cache|read|write|load|save|store|filter|react|respond|
    work|do|
    understand|detect|find|list|export|import|open|close|start|stop|retry|sync|update|refresh|ask|offer|
    warn|notify|
    validate|check|convert|generate|render|parse|remember|contain|survive|let|allow|give|make|
    turn)(?!\p{L})|
    (?<!\p{L})(?:needs?|lacks?|wants?|misses|requires?)\s+(?:a|an|some|more|better|its own|proper|docs|
    documentation|tests|support)(?!\p{L})
  `,
  "iu",
);

/** A rule has the same form in these languages, and is known by its own words. */
const foreignRequest = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:kannst|könntest|würdest) du|(?:können|könnten) (?:sie|wir)|
    bitte (?:[^.!?]{0,60} )?\p{L}+(?:en|
    ern|eln)(?=[.!]?$)|lass(?:t)? uns|ich (?:brauche|möchte|will|hätte gern)|wir (?:brauchen|müssen|
    sollten)|
    muss (?:repariert|behoben|gebaut|gemacht|ergänzt|umgebaut)|(?:schreib|bau|füg|ergänz|erstell|mach|
    implementier|
    reparier|beheb|änder|entfern|verbesser|beschleunig|untersuch|übersetz|portier|prüf|überarbeit)e?|teste|
    finde|
    lege?(?= .{1,40} an)|richte|stelle|(?:peux|pourrais)-tu|s'il (?:te|vous) plaît|stp|svp|
    on va \p{L}+(?:er|ir|re)|
    tu (?:peux|pourrais)|pouvez-vous|pourriez-vous|j['’]ai besoin|(?:je|on) (?:voudrais|veux|voudrait|
    aimerais)|
    il faudrait|(?:ajoute|écri[st]|crée|corrige|répare|implémente|fais|construis|modifie|supprime|améliore|
    traduis|
    migre|réécris|trouve)[rz]?|por favor|vamos a|hay que|(?:puedes|podrías|podemos)|(?:necesito|quiero|
    quisiera|
    necesitamos)|(?:añade|agrega|escribe|crea|corrige|corrígelo|arregla|implementa|construye|elimina|mejora|
    traduce|
    migra|reescribe|haz|busca)|per (?:favore|piacere)|bisogna|facciamo|(?:puoi|potresti|possiamo)|(?:vorrei|
    voglio|
    ho bisogno|mi serve)|(?:aggiungi|scrivi|crea|correggi|ripara|sistema(?= (?:il|la|lo|i|le|gli))|
    implementa|
    costruisci|rimuovi|migliora|traduci|riscrivi|fai|trova)|trzeba|zróbmy|(?:możesz|mógłbyś|mogłabyś)|
    (?:potrzebuję|
    chcę|chciałbym|potrzebujemy)|(?:dodaj|napisz|utwórz|stwórz|popraw|napraw|zaimplementuj|zbuduj|usuń|
    przetłumacz|
    przepisz|zrób|znajdź)|(?:você pode|pode|preciso|quero|gostaria)|(?:adicione|escreva|crie|corrija|
    implemente)|
    (?:kun je|kan je|ik wil|ik heb|voeg|schrijf|maak)|(?:можешь|нужно|надо|хочу|добавь|напиши|создай|
    исправь|сделай|
    почини|перепиши))(?!\p{L})|[てで](?:ください|下さい|ほしい|欲しい|くれ)|[てで][。！]?$|ましょう|たいです|お願いし|请|帮我|我(?:想|要|需要)|添加|实现|
    修复|编写|
    추가|만들어|고쳐|작성해|수정해
  `,
  "iu",
);

/** A replacement is work, or a change of mind about a decision. */
const replacement = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:replac(?:e|ing)|swap|substitute|exchange|change|switch|move|migrate|revert|undo|convert|
    ersetze?n?|
    tausche?|wechsle|remplace[rz]?|change[rz]|reemplaza|cambia|sostituisci|zamień|zmień)(?!\p{L})|変更|換え|替え
  `,
  "iu",
);

export function isExchange(sentence: string): boolean {
  return replacement.test(sentence);
}

export function asksForWork(sentence: string): boolean {
  if ([framedRequest, topicChange, foreignRequest].some((one) => one.test(sentence))) return true;
  if (isNamedNext(sentence)) return true;
  return requirement.test(sentence) || (!isQuestion(sentence) && clauses(sentence).some(isImperative));
}

/** "Port 4371" names a thing by its number. */
const numbered =
  /^(?:port|record|index|package|model|map|store|plan|draft|patch|batch|build|test|track|register) #?\d/iu;

/** "Nice one" is no request: an unknown verb needs an object. */
function isImperative(clause: string): boolean {
  if (numbered.test(clause)) return false;
  return imperative.test(clause) || (otherImperative.test(clause) && contentWords(clause).size > 1);
}

export function tellsProblem(sentence: string): boolean {
  return problem.test(sentence) && !isQuestion(sentence);
}
