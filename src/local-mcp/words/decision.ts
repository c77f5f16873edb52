import { isAcknowledgement } from "./acknowledgement.ts";
import { LazyRegExp, pattern } from "./pattern.ts";
import { abandonedTerms, isChangeOfMind } from "./change-of-mind.ts";
import { isDecisionsHeading, splitLists } from "./headed-list.ts";
import { isReported } from "./hearsay.ts";
import { clauses, contentWords, isQuestion, sentences } from "./sentences.ts";
import { withoutSettledLists } from "./orders.ts";
import { isOrder } from "./standing-order.ts";
import { asksForWork, tellsProblem } from "./work-request.ts";

/** Pure: judges sentences by their shape. */

const choiceStart = new LazyRegExp(
  pattern`
    ^(?:(?:ok|okay|so|then|and|please|let's|lets|let us|we(?:'ll| will| should)?|i(?:'d| would)? (?:want|
    choose|
    pick|take)|(?:i|we)(?:'d| would)? (?:want|like|prefer) to|you should|now|for .{1,40}|yes|no|gut|dann|
    bitte|
    alors|bien)[\s,]{1,3}){0,4}(?:use|using|go with|going with|go for|take(?! over| (?:\S+ ){1,4}(?:apart|
    out|down|
    off|away|into)| care| a look)|pick|choose|opt for|stick with|adopt|settle on|name (?:it|them|the)|
    call (?:it|
    them|the)|nimm|nehmen wir|verwende|benutze|nenne|utilise[rsz]?|prends|prenons|appelle|usa|usemos|
    utiliza|elige|
    llama|usiamo|scegli|vamos usar|gebruik|użyj|używaj|используй|возьми|назови)(?!\p{L})|^(?:用|使用|选择?|采用)|
    を使|
    にし(?:ます|よう|て)|로 하
  `,
  "iu",
);
/** Reads at most 400 characters: a sentence. */
const decided = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:decided|decision|we agreed|agreed on|settled on|(?:my|our|the|final|first)\s+(?:choice|
    pick|
    preference|verdict|vote|winner)(?:\s+(?:for|on|in|of|as)\s+.{1,60})?\s+(?:is|goes to|stays|remains|
    will be)|
    we chose|i chose|opted for|entschieden|entscheidung|décidé|décision|decidido|decisión|deciso|decisão|
    besloten|
    zdecydowa\p{L}*|решил\p{L}*|решено)(?!\p{L})|决定|決定|결정
  `,
  "iu",
);
const chatDecision = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:decided|decision:|i chose|i've chosen|opted (?:for|to)|settled on|going with|going (?:that|
    this) way|went with|switch(?:ed|
    ing) (?:from|to)|reverted|rolled back|(?:i|we)(?:'ll| will| have|'ve)? (?:use|used|take|took|pick|
    picked|choose|
    chose|go with|stick with|stay with|keep) .{1,80}(?:instead|because|rather|over|,? (?:since|as) |, (?:it|
    that|
    this|which)(?:'s| is| has| gives| keeps| needs)|for the)|instead of|rather than|(?:i|we)(?:['’]ve|['’]m|
    ['’]re| have| am| are)? (?:chosen|picked|selected|gone with|adopted|based|settled for|sticking with|
    stuck with|
    using) .{1,80}?(?:for|as|on|because|since)|(?:i|we)(?:['’]ve|['’]m|['’]re|
    ['’]ll| have| am| are| will| now| then){0,2} (?:use|using|take|took|taken|pick|went (?:with|for)|
    go (?:with|
    for)|rel(?:y|ied|ying) on|stick with) (?!a |an |some |it |the (?:same|time))\S+ (?:\S+ )?(?:for|
    as) (?:the|our)|
    for (?:the |our )?.{1,40} (?:i|we)(?:['’]ll|['’]ve| will| have| now| then){0,2} (?:use|rely on|take|
    took|
    went (?:with|for)|picked|chose|go (?:with|for))|is what (?:i|we) (?:use|took|take|chose|picked)|(?:the|
    our) .{1,40} is (?:now )?(?:done|built|made|handled|written|stored|implemented) (?:with|on|in|by|
    through) .{1,40}(?=,| because| since)|is .{1,40} from (?:here|now) on|so the .{1,40} becomes|(?:the|
    our) .{1,40} (?:will (?:use|be|run)|becomes|is (?:now )?based) .{1,60}(?=;| because| since|the (?:rest|
    others?|
    alternatives?))|the (?:rest|others?|alternatives?|other (?:options?|candidates?)) (?:was|were|is|are|
    need|
    needed|had|has|would|lack)|the one (?:i|we) (?:take|took|chose|choose|pick|picked|use)|(?:better|
    best) (?:choice|fit|option|served)|(?:my|our|the) (?:decision|choice|pick|verdict)|entschieden|décidé|
    decidido|
    deciso|решил\p{L}*)(?!\p{L})|决定|決定|결정
  `,
  "iu",
);
const determination = new LazyRegExp(
  pattern`
    ^(?!there(?!\p{L}))(?:(?:ok|okay|so|then|and|now|yes|no|well)[\s,]{1,3}){0,2}(?:(?:the|our|its|this|
    that|these|
    those|all|each|every)\s+)?(?:[\p{L}\p{N}_./-]+\s+){1,6}?(?:(?:should|shall|will|is going to|
    are going to|has to|
    have to|is to|are to)\s+(?:be|use|run|live|go|come|stay|get|have|look|sit|rest)|(?:soll(?:en)?|wird|
    werden|sera|
    seront|gets \p{L}+(?:ed|t|en) (?:with|by|using|on|in|via|through)|será|serán|sarà|saranno))(?!\p{L})
  `,
  "iu",
);
const weUse = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:we(?:'ll| will| now)?\s+(?:use|take|go with|(?:ship|deploy|host|run|build|release|store|
    cache|publish)
    (?:on|to|in|with|via|at|from) (?!the|an?|my|it|this|that)(?=\S))|(?:go|goes) out as|(?:verwenden|nehmen|
    benutzen|nutzen)\s+wir|
    wir\s+(?:verwenden|nehmen|benutzen|nutzen)|(?:on|nous)\s+(?:utilise(?:ra|rons|ns)?|utilisons|
    prend(?:ra)?|
    prenons)|usamos|usaremos|utilizamos|utilizaremos|usiamo|useremo|utilizziamo|gebruiken\s+we|
    we\s+gebruiken|
    używamy|użyjemy|bierzemy|weźmiemy|tomamos|cogemos|prendiamo|nemen\s+we|we\s+nemen|используем|
    будем использовать|
    берём|берем)(?!\p{L})
  `,
  "iu",
);
/** "X it is", "the winner is X", "as for the Y: X", "X is our Y now", "make X the Y". */
const named = new LazyRegExp(
  [
    String.raw`(?<!\p{L})(?!that|this|so|such|how)[\p{L}\p{N}_./-]+ it is(?=[,.!]|$| then| for)`,
    String.raw`^(?:so |and |then )?(?:the |our )?\S+ gets (?!an? |the )\S+[.!]?$|^let(?:['’]?s| us) base `,
    pattern`
      (?<!\p{L})(?:want|would like|(?:i|we|they)['’]d like|need|prefer) (?:the|
      our) \S+(?: \S+){0,2} (?:to (?:be|use|
      run|live|go|stay|sit)|built|made|done|based|written|stored|handled)(?!\p{L})
    `,
    String.raw`^(?:ok,? |so |and )?(?!same|thanks?|ready|good|time|wait|ok|now|next|only|just)(?:the )?\S+ (?:for|as) (?:the |our )?\S+(?: then| now)?[.!]?$`,
    String.raw`(?<!\p{L})(?:we|i)(?:['’]re|['’]m| are| am)(?: now)? (?:using|going with|taking|sticking with|choosing|picking)(?!\p{L})`,
    String.raw`(?<!\p{L})(?:wins|won(?!['’]t))(?!\p{L})|^(?:and |so )?the winner`,
    String.raw`^(?:about|regarding|as for|concerning|as to|with regard to|when it comes to|on the (?:matter|question|subject) of) .{1,60}?[:,]\s`,
    pattern`
      ^(?:and |so |ok,? )?for (?!now|today|example|instance|that|this|what).{1,60}?,? (?:it['’]s|it is|
      it will be|
      we['’]ll|(?:we|i)(?:['’]d| would)? (?:use|take|pick|choose|prefer|go|want|need|have|like)(?! (?:an?|
      some|to|
      you) ))
    `,
    String.raw`^(?:ok[,:]? |so )?(?:the |our )?[\p{L}\p{N}_./-]+ ?(?::?=|->|→) ?\S+`,
    String.raw`(?<!\p{L})(?:is|are|becomes?|stays?|remains?|be)(?: going to be)? (?:our|the|your|my) .{1,60} (?:now|then|from (?:now|here|today) on)(?!\p{L})`,
    String.raw`(?<!\p{L})(?:will|['’]ll|is going to|shall|gets? to) (?:serve|act|work|be used|take over|replace|be our|be the)(?!\p{L})`,
    pattern`
      (?<!\p{L})(?:want|wants|need|needs|would like|(?:i|we|they)['’]d like|have|has|keep|see)\s(?!an? |
      some |to |
      you |us |me )(?:\S+ ){1,5}?(?:as (?:the|our|my|a)?|in the role of|to be|over|rather than)(?!\p{L})
    `,
    pattern`
      (?<!\p{L})(?:(?:i|we|they|he|she|legal|ops|security|(?:the|our|my) \p{L}+)(?:['’]d| would|
      ['’]ll| will| has| have|['’]ve)?) (?:prefers?|preferred|picks?|picked|takes?|took|chose|chooses?|
      favou?rs?|
      insists? on|insisted on|votes? for|voted for|settled? (?:on|for)|opts? for|opted for|
      decide[sd]? (?:on|
      for))(?!\p{L})
    `,
    pattern`
      ^(?:please |so |then |ok,? |and |now )*(?:let (?:the |our )?(?!me|us|you|it|them)\S.{0,40}? be |
      make (?!the |
      our |sure|it )\S+ (?:the|our) |set the .{1,40} to )
    `,
    String.raw`^(?:so |then |and |now |ok,? )*(?:the |our )?(?:\S+ ){1,4}?(?:moves?|goes|switches|changes) (?:over |back )?to (?!an? )\S+`,
    String.raw`(?<!\p{L})(?:we|i)(?:['’]ll| will) (?:do|make|build|base|run|handle) .{1,60}? (?:with|on|using|as) (?!an? )\S+`,
    pattern`
      (?<!\p{L})(?:final|period|full stop|i['’]?ve made up my mind|made up (?:my|our) minds?|
      that['’]s settled|
      end of discussion|(?:fell|falls) on|better (?:choice|fit)|best (?:choice|fit|served|option))(?!\p{L})
    `,
    pattern`
      (?<!\p{L})(?:wir setzen|setzen wir|(?:wir|lieber) (?:nehmen|wählen)|wählen wir|
      wird mit .{1,40} gemacht|ce sera|
      on (?:part|prendra|choisit)|nous choisissons|elegimos|escogemos|vamos con|será|scegliamo|andiamo con|
      sarà|
      wybieramy|niech .{1,40} będzie|stawiamy na|выбираем)(?!\p{L})|でいき|にします|にしてください|に決め|を採用|に変更
    `,
  ].join("|"),
  "iu",
);
/** "The database is Postgres": a number, or a name, which has a capital also within a sentence. */
const isCalled =
  /^(?:The|Our|the|our) [\p{Ll}-]+(?: [\p{Ll}-]+)? (?:is|are|stays) (?:\p{Lu}[\w.+-]*|\d[\d.,]*(?: \p{L}+)?)[.!]?$/u;
/** "The store: Parquet": a name and a value, and no verb. */
const pair =
  /^(?!(?:human|assistant|system|user|developer|tool)\s*:)(?:the |our )?[^:,]{1,40}:\s+\S+(?:\s+\S+){0,2}$/iu;
const label = new LazyRegExp(
  pattern`
    ^(?:next|(?:and )?now|then|new|todo|to do|task|topic|bug|issue|problem|error|feature|goal|note|fyi|ps|
    question|idea|example|done|
    step|fix|also|warning|info|remaining|open|pending|update|status|aufgabe|thema|fehler|tâche|tarea|
    zadanie)(?!\p{L})
  `,
  "iu",
);

const narrated = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:was|were|got|had been|has been|have been)\s+(?:\p{L}+ly\s+)?(?:replaced|reverted|switched|
    dropped|
    undone|rolled back|moved|cancell?ed|abandoned)(?!\p{L})
  `,
  "iu",
);
const considered = new LazyRegExp(
  String.raw`(?<!\p{L})(?:if|could|might|would|maybe|perhaps|whether|not (?:yet )?decided|undecided|should i|shall i|vielleicht|könnte|peut-être|quizás|forse|talvez)(?!\p{L})`,
  "iu",
);

export function decisionsOfUser(text: string): string[] {
  const { lists } = splitLists(text, isDecisionsHeading);
  return [...decisionsBeside(withoutSettledLists(text)), ...lists.flatMap(({ items }) => items)];
}

function decisionsBeside(text: string): string[] {
  const all = sentences(text);
  const decisions: string[] = [];
  for (let index = 0; index < all.length; index++) {
    const one = all[index] ?? "";
    if (isQuestion(one) || isHeading(one) || contentWords(one).size === 0 || !isSettling(one)) continue;
    const rest = abandonedTerms(one).length > 0 ? all.slice(index + 1, index + 2).filter(isReplacement) : [];
    decisions.push([one, ...rest].join(" "));
    index += rest.length;
  }
  return decisions;
}

function isHeading(sentence: string): boolean {
  return /[:：]$/u.test(sentence);
}

/** "Oak is out. The table gets birch.": the replacement may be in the next sentence. */
function isReplacement(sentence: string): boolean {
  if (sentence.split(/\s+/).length > maxWords || isQuestion(sentence) || isOrder(sentence)) return false;
  return isSettling(sentence) || !asksForWork(sentence);
}

function isSettling(sentence: string): boolean {
  if (isReported(sentence) || isAcknowledgement(sentence)) return false;
  if (decided.test(sentence)) return true;
  if (narrated.test(sentence)) return false;
  const isChoice =
    (isChangeOfMind(sentence) && !tellsProblem(sentence)) ||
    clauses(sentence).some((clause) => choiceStart.test(clause));
  return isChoice || isDetermined(sentence) || isNaming(sentence);
}

function isDetermined(sentence: string): boolean {
  const isShort = sentence.split(/\s+/).length <= maxWords;
  if (!isShort || considered.test(sentence)) return false;
  return weUse.test(sentence) || [sentence, ...clauses(sentence)].some((one) => determination.test(one));
}

function isNaming(sentence: string): boolean {
  if (sentence.split(/\s+/).length > maxWords || considered.test(sentence) || tellsProblem(sentence)) return false;
  return (
    [sentence, ...clauses(sentence)].some((one) => named.test(one) || isCalled.test(one)) ||
    (pair.test(sentence) && !label.test(sentence))
  );
}

const maxWords = 16;
const purpose = new LazyRegExp(
  String.raw`(?<!\p{L})(?:(?<!from \S+ )to (?!the|an? )\p{L}+|in order to|so that|um .{1,40} zu|pour \p{L}+(?:er|ir|re)|(?:para|per) \p{L}+(?:[aei]r|[aei]re)|чтобы)(?!\p{L})`,
  "iu",
);

export function isOnlyDecision(sentence: string): boolean {
  const isShort = sentence.split(/\s+/).length <= maxWords;
  const work = clauses(sentence).length > 1 && purpose.test(sentence);
  return isShort && !work && !isQuestion(sentence) && contentWords(sentence).size > 0 && isSettling(sentence);
}

export function decisionsOfChat(text: string): string[] {
  return sentences(text).filter(
    (one) => !isQuestion(one) && !considered.test(one) && chatDecision.test(one) && contentWords(one).size > 1,
  );
}

/** Continuing needs no decision. */
const continuation = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:continue|proceed|go on|go ahead|keep going|start|begin|shall i do|should i do|want me to|
    like me to|anything else|ready|weitermachen|fortfahren|continuer|continuar|continuare)(?!\p{L})
  `,
  "iu",
);

/** Returns null where the answer would settle nothing. */
export function closingQuestion(text: string): string | null {
  const last = sentences(text).at(-1);
  return last && isQuestion(last) && contentWords(last).size > 1 && !continuation.test(last) ? last : null;
}
