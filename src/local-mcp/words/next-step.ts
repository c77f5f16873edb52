import { LazyRegExp, pattern } from "./pattern.ts";
import { isBehavior } from "./behavior.ts";
import { isFinished } from "./finished.ts";
import { sentences } from "./sentences.ts";

/** Pure. */

const announcement = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:next(?: up| step| steps)?(?:,|:| i| we| is| are| comes)|(?:i|we)(?:'ll| will|'m going to|
    're going to| am going to| are going to| still (?:have|need) to| now(?! (?:have|has|had|supports?|
    works?|can|
    handles?|got|pass(?:es)?|runs?|uses?))| need to)(?! be happy| be glad| know)|let me (?!know)|let's|
    (?:my|our|
    the) (?:plan|intention|aim|idea|proposal) (?:now |then |next )?is to|(?:i|
    we)(?:'d| would| want to| plan to| intend to| propose to| suggest to) (?:now |then |next )?(?:continue|
    go on|
    carry on|proceed|start|begin|move on|turn|add|write|do|fix|look)|now (?:i|we|for|the|to)|then (?:i|we|
    the|
    comes?|it(?:'s| is)|there(?:'s| is))|(?:up|on to) next|moving on to|on the list|remaining|remains|
    still (?:to do|open|missing|needed|left|to be)|left to do|what(?:'s| is) left|to do next|todo|
    after that|
    afterwards|(?:upcoming|coming up)|follow-up|als nächstes|nächster schritt|jetzt|danach|noch offen|
    bleibt noch|
    ich werde|ensuite|prochaine étape|il reste|je vais|maintenant|a continuación|siguiente paso|luego|falta|
    voy a|
    ahora|prossimo passo|adesso|poi|resta|próximo passo|agora|vou|volgende stap|daarna|następnie|
    następny krok|
    далее|дальше|следующ\p{L}*|теперь|осталось)(?!\p{L})|下一步|接下来|然后|次に|次は|これから|다음
  `,
  "iu",
);
const openWork = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:first|next|last|only|final|remaining|one|other|missing|main|big|biggest) (?:thing|part|
    item|
    step|piece|bit|job|task|point|stage|stop|
    priority)s?(?: (?!of)\p{L}+){0,4}(?: left| now| is| are| remains?|,|:)|
    (?:is|are|['’]s|remains?|stays?)(?: now| also| only| still| yet)? (?:left|missing|open|pending|
    outstanding|
    unfinished|undone|incomplete|to be (?:done|written|built|added|fixed)|to come|to go|to follow|
    not (?:yet )?(?:done|there|started|begun|finished|written|implemented|covered|complete)|next|up|due|
    planned|
    waiting|on (?:my|the|our) (?:list|plate|agenda))|(?:is|are|has|have|needs?|remains?) (?:yet |
    still )?to be \p{L}{3,}(?:ed|en|t|ne|lt)|
    needs? \p{L}{3,}ing|half (?:done|finished|ready|way)|(?:has|have) yet to|(?:müssen|muss) noch|(?:that|
    this|which|it) leaves|leaves (?:us|me|only|just)|
    (?:comes?|goes|follows?)(?: right| directly)? (?:next|after|afterwards|then|last)|should (?:follow|come|
    be next)|to (?:go|follow|come)[:.]|not (?:yet )?(?:done|started|begun|finished|implemented)(?: yet)?:|
    (?:have|
    has)(?:n['’]t| not)(?: yet)? \p{L}+|next(?! to)|waiting (?:for|on)|open (?:item|point|task|issue|
    question|
    part)s?|on deck|following (?:that|this|up)|(?:we|i) (?:should|must|have to)(?: now| then| also)?|
    still (?:needs?|have|has|lacks?|missing|requires?|wants?|must|open|owe|outstanding|ahead|unfinished)|
    (?:once|
    when|as soon as|after|if) (?:you|that|this|it|i)\b.{1,60},? (?:i|we)(?:['’]ll| will| can|['’]d| would)|
    (?:i|
    we)(?:['’]m|['’]re| am| are)? (?:about to|ready (?:to|for)|set to|planning|turning to|starting|
    continuing|
    proceeding|heading|moving)|(?:left|leaving|skipp(?:ed|ing)|deferr(?:ed|ing)|postpon(?:ed|ing)|parked|
    held off(?: on)?|holding off(?: on)?) .{1,80}(?:for (?:now|later)|until)|(?:can|could|should|will) follow(?: now| next)?|ready (?:to|for)|about to|to be continued|pending|outstanding|
    open(?: items?| points?| tasks?| issues?)?:|(?:i|we) (?:suggest|propose|recommend|plan|intend|aim|want|
    hope|
    expect|mean) (?:that|to|we|doing|going|starting)|(?:i|we)(?:['’]d| would)(?! be (?:happy|glad))|(?:i|
    we) can (?:now|then) |one (?:more )?step away|needs? .{1,60} (?:first|before)|before .{1,60} (?:needs?|
    must|
    has to|i need|we need|i have|we have)|in the next (?:turn|step|round|commit|message)|continu(?:e|
    ing) with|
    now (?:on to|for|comes?|only|just|it)|later (?:i|we)|tomorrow|from here(?: on)?,? (?:i|we|it|the|
    \S+ (?:should|
    will|can))|(?:will|shall) (?:be|come|go|follow|do|handle|need|require|take|have to)|(?:my|our|
    the) plan(?: now)?(?: is|:)|noch (?:zu|nicht|der|die|das|ein)|es fehlt|fehlt noch|(?:bleibt|bleiben|
    steht|
    stehen) (?:noch|aus|an)|offen(?: ist| sind|:)|dann|weiter (?:geht|mit)|reste(?:nt)?|puis|prochaine?s?|
    (?:il )?(?:ne )?manque|après (?:cela|ça|quoi)|queda(?:n|ría)?(?: por)?|faltan?|después|pendientes?|
    siguientes?|
    próxim[oa]s?|rimane|rimangono|manca(?:no)?|dopo|prossim[oaie]|poi|(?:został[oay]?|zostaje|
    pozostał[oay]?|
    pozostaje)|brakuje|potem|następn\p{L}*|depois|falta|nog (?:te|niet|een|de|het)|затем|потом|остал\p{L}*|
    ещё (?:не|надо|нужно))(?!\p{L})|残り|残って|あとは|続いて|まだ|これから|この後|次の|还(?:需要|要|剩|没)|剩下|接着|남은|남았|이제
  `,
  "iu",
);
const nothingOpen = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:nothing|no(?:thing)? (?:more|further|other|open|remaining|pending|next)|
    none)(?: \p{L}+){0,3} (?:left|remains?|to do|open|pending|missing|outstanding|needed|steps?|points?|
    tasks?|
    items?|work|issues?)|nothing (?:is )?(?:left|remains|missing)|nichts (?:mehr|offen)|plus rien|
    nada (?:más|
    pendiente)|niente altro)(?!\p{L})|残りはありません
  `,
  "iu",
);
/** Excludes an offer that names the work: "let me know if I should start on the tests". */
const offer = new LazyRegExp(
  pattern`
    ^(?!.*(?<!\p{L})(?:(?:i|we)(?:['’]ll| will| should| can| may| shall)|(?:want|like|prefer) me to) (?!be |
    help|
    assist|explain|clarify|elaborate|know|adjust|change|do (?:so|that|it|any))).*(?<!\p{L})(?:let me know|
    feel free|
    happy to help|anything else|if you (?:want|like|need))(?!\p{L})
  `,
  "iu",
);
/** Reads at most 400 characters: a sentence. */
const stepsHeading = new LazyRegExp(
  pattern`
    ^[#*_\s]*(?:(?:the |my |our )?(?:next|remaining|further|upcoming|open|outstanding|pending)(?: (?:steps?|
    work|
    tasks?|items?|points?|todos?|up))?|to-?dos?|to do(?: next)?|what(?:['’]s| is) (?:next|left|missing|
    open)|
    still (?:open|to do|missing|left)|left(?: to do)?|follow-?ups?|(?:nächste|weitere) schritte|
    noch (?:offen|
    zu tun)|offen|prochaines étapes|(?:il )?reste à faire|(?:próximos|siguientes) pasos|pendientes?|
    prossimi passi|
    da fare|(?:następne|kolejne) kroki|próximos passos|volgende stappen|следующие шаги|下一步|待办|次のステップ|
    残り(?:の作業)?|
    다음 단계|남은 작업)[*_\s]*[:：]?[*_\s]*$
  `,
  "iu",
);
const checkedItem = /^\[[x✓✔]\]|^[✓✔✅☑]/iu;

const closingSentences = 4;
const maxListSentences = 12;

export function findNextStep(message: string): string | null {
  const all = sentences(message);
  return findOpenRows(message) ?? findSteps(all.slice(-maxListSentences)) ?? findLastStep(all.slice(-closingSentences));
}

function findLastStep(last: readonly string[]): string | null {
  const from = last.findIndex((one) => isAhead(one) && !offer.test(one));
  if (from >= 0) {
    return last
      .slice(from > 0 && pointsBack(last[from] ?? "") ? from - 1 : from)
      .filter((one) => !offer.test(one))
      .join(" ");
  }
  const question = last.at(-1);
  return question && /[?？]$/.test(question) && !/anything else|how can i help/i.test(question)
    ? `asked the user: ${question}`
    : null;
}

/** "I'll start with it.", "That would be next.": the sentence before names the work. */
const backReference = new LazyRegExp(
  pattern`
    ^(?:(?:so|then|and|now),? )*(?:(?:i|we)(?:['’]ll| will| can|['’]m going to| am going to)? (?:now |
    then |next )?(?:start|begin|do|take|pick|continue|get|go on|tackle|handle)(?: \p{L}+){0,2} (?:it|that|
    this|these|those|them)(?: \p{L}+){0,2}|(?:it|that|this|these)(?:['’]s|['’]d| is| are| would| will)(?: be)?
    (?: \p{L}+){0,3} (?:next|follows?|step|logical|missing|left|open))(?: step| now)?[.!]*$
  `,
  "iu",
);

function pointsBack(sentence: string): boolean {
  return backReference.test(sentence);
}

const openState =
  /^[\s*_`~]*(?:pending|open|to-?do|to do|not (?:yet )?(?:started|begun|done)|in progress|wip|planned|next|outstanding|remaining|offen|ausstehend|à faire|en cours|pendiente|da fare|do zrobienia|未着手|待办|⏳|🔲|⬜|☐|🚧|❌|\[ \])[\s*_`~.!]*$/iu;

/** The rows of the message's last table with a state that is not done. */
function findOpenRows(message: string): string | null {
  const lines = message.trimEnd().split("\n");
  const end = lines.findLastIndex((line) => line.trim().startsWith("|"));
  if (end < 0 || lines.length - end > maxLinesBelow) return null;
  const begin = lines.slice(0, end).findLastIndex((line) => !line.trim().startsWith("|")) + 1;
  const rows = lines.slice(begin, end + 1).map((line) =>
    line
      .split("|")
      .map((cell) => cell.trim())
      .filter(Boolean),
  );
  const open = rows.flatMap((cells) =>
    cells.some((cell) => openState.test(cell)) ? [cells.filter((cell) => !/^\d+$/.test(cell))] : [],
  );
  const texts = open.map(
    (cells) =>
      `${cells.filter((cell) => !openState.test(cell)).join(", ")} (${cells.find((cell) => openState.test(cell)) ?? ""})`,
  );
  return texts.length === 0 ? null : texts.slice(0, closingSentences).join("; ");
}

/** A table further above is not the end of the message. */
const maxLinesBelow = 4;

function findSteps(last: readonly string[]): string | null {
  const at = last.findLastIndex((one) => stepsHeading.test(one));
  const openWork = at < 0 ? [] : last.slice(at + 1).filter((one) => !checkedItem.test(one) && !offer.test(one));
  if (openWork.length === 0) return null;
  return `${last[at]?.replaceAll(/[#*_:：]/g, "").trim()}: ${openWork.slice(0, closingSentences).join("; ")}`;
}

/** [CP46] One part of a sentence may report, and another say what is open. */
export function isAhead(sentence: string): boolean {
  if (nothingOpen.test(sentence) || isBehavior(sentence)) return false;
  if (announcement.test(sentence)) return true;
  return sentence.split(/[;,]\s|\s[–—]\s/).some((part) => openWork.test(part) && !isFinished(part));
}

/** Returns null if the sentence reports or offers something. */
export function findClosingWords(message: string): string | null {
  const last = sentences(message).findLast((one) => !offer.test(one));
  return last && !isFinished(last) && !nothingOpen.test(last) ? last : null;
}
