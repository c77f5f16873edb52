import { isAcknowledgement } from "./acknowledgement.ts";
import { LazyRegExp, pattern } from "./pattern.ts";
import { clauses, isQuestion } from "./sentences.ts";
import { isMomentary, isReported } from "./hearsay.ts";
import { isForeignHouseRule } from "./house-rule-languages.ts";
import { isCounted, isHouseRule } from "./house-rule.ts";
import { asksForWork, tellsProblem } from "./work-request.ts";

/** Pure: judges sentences by their shape. */

const modal = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:must(?:n't)?|shall|have to|has to|need to be|needs to be|may not|should(?:n't| (?:always|
    never|not|
    only))|(?:is|are) (?:not allowed|forbidden|off[- ]limits|mandatory|required|prohibited|read-only|
    untouchable))(?!\p{L})
  `,
  "iu",
);
/** Narration and guesses are no rules. */
const narrative = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:i (?:must|have to|always|never|only|don't|do not|keep|kept|just)|must (?:have|be (?:a|an|
    the|some|
    because|due|related|caused|something|wrong|broken|missing))|must be why|it (?:always|never|only|must)|
    (?:you|
    we) (?:must|have to) have|having to|(?:drives?|driving) \p{L}+ (?:mad|crazy|nuts|insane|bonkers|up the wall)|annoys?|annoying|tedious|
    a (?:pain|nightmare)|don't (?:know|think|stop|panic|give up|worry|mind|care|believe|see|
    get me wrong)|ich (?:habe|hab|muss|
    weiß|war)|no idea|no problem|no worries|no need|no clue|no doubt|no luck|no way|no one|no rush|
    never ?mind|
    no funciona|(?:whenever|every time|each time) (?:i|it|they|he|she|someone|somebody|users?|a|the)|
    no \p{L}+(?: \p{L}+){0,2} (?:is|are|was|were|shows?|appears?|comes?|happens?|works?)(?! (?:allowed|to|
    permitted|
    accepted|tolerated)))(?!\p{L})
  `,
  "iu",
);

const opening = pattern`
  ^(?:(?:please|and|but|also|so|ok|okay|oh|btw|well|now|just|absolutely|strictly|definitely|important|note|
  rule|
  reminder|attention|one (?:more )?thing|for (?:this|the|all|any|every)\b[^,]{0,40}|in (?:this|the|all|any|
  every|
  tests?)\b[^,]{0,40}|here|again|you|we|everyone|bitte|s'il te plaît|por favor)[\s,:!–-]{1,3}){0,4}
`;
const imperative = new LazyRegExp(
  pattern`
    ${opening}(?:always|never|(?:do not|don['’]?t|dont)(?! (?:just|only|simply|merely)(?!\p{L}))|
    must(?: not|n't)?|only|keep(?! (?:going|on|it up|working|at it|
    trying|in mind that i))|prefer|avoid|remember(?! when)|make sure|ensure|stick (?:to|with)|follow|
    adhere to|
    comply with|make it (?:a|your|our) (?:habit|rule|point|practice|policy)|refrain|leave .{1,60} (?:alone|
    untouched|as (?:it|they) (?:is|are))|no (?!(?:one|longer|more than one way|thanks|wait|it|that|i|this|
    you|not|
    is|was|idea|problem|need)\b)\p{L}|under no circumstances|in no case|at no time|not a single|from (?:now|
    here|
    this point|today) on|going forward|from here on(?: out)?|henceforth|at all times|no matter what|
    every time|
    whenever|each time|at most|at least|no more than|no later than|max(?:imum|\.)? \d|limit|use only|
    only use|
    without exception|by default|as a rule|the rule is|(?:our|house|project|team) (?:rule|rules|convention|
    policy|
    style|standard)|by convention|(?:we|this (?:project|repo|repository|codebase|team)) (?:only |always |
    never )?(?:use|uses|write|writes|go with|prefer|prefers|follow|follows|avoid|avoids|do not|don't|
    does not|
    doesn't) (?!have|know|see|need))
  `,
  "iu",
);
const anywhere = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:from (?:now|here|this point|today) on(?:wards?)?|going forward|henceforth|
    under no circumstances|
    in no case|at all times|no matter what|without exception|(?:at most|at least|no more than|
    no longer than|
    up to) \d|(?:you|we) (?:always|never|only|mustn't|may only)|you can(?:not|'t)|we can(?:not|'t) (?:use|
    touch|
    change|edit|import|ship|add|have|depend|afford|rely|publish|expose|allow|let|break)|(?:is|are|be|stays?|
    remains?) (?:always|never|only)|please (?:always|never|only|don't|do not|keep|remember|avoid|follow|
    stick|
    adhere|comply)|(?:can|could|would|will) you (?:please )?(?:always|never|only|keep))(?!\p{L})
  `,
  "iu",
);
const fault = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:always|never|only|keeps?|still) (?:fail|break|crash|return|get|show|happen|throw|wrong|
    empty|slow|
    broken|red|null|work|see|saw|been|had|did|finish)\w*|(?:is|are) always (?:fail|broken|empty|wrong|slow|
    red|null|
    late|missing)
  `,
  "iu",
);

const ruledOut = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:nothing|nobody|no ?one|none|no \p{L}+(?: \p{L}+)?) (?:may|must|can|should|shall|will|
    is to|
    are to|gets?|goes|ever)|(?:i|we)(?: absolutely| really)? (?:do not|don['’]t|won['’]t|will not|
    never) (?:want(?! to (?:wait|know|lose|break|spend|bother))|accept|allow|tolerate|permit|approve)|(?:we|
    you)(?: are| ['’]re)? (?:can(?:not|['’]t)|not allowed to|not permitted to) (?:use|touch|change|edit|
    import|ship|
    add|have|depend)|(?:is|are|be|it['’]s|stays?|
    remains?)(?: strictly| absolutely| completely| still)? (?:not (?:to be|be|allowed|permitted|ours)|
    forbidden|
    prohibited|banned|taboo|off[- ]limits|out of bounds|out of the question|sacred|a no-go|no option|
    not an option|
    untouchable|frozen|mandatory|obligatory|compulsory)|(?:stay|keep|steer) (?:well )?(?:away|out|clear|
    off)(?: of| from)?|hands off|leave .{1,60} (?:alone|untouched|out of|as (?:is|it is|they are))|ban on|
    (?:nobody|
    no ?one|nothing|none) (?:is|are) (?:allowed|permitted|supposed|to)|(?:always|never) (?:go|come|use|live|
    start|
    end|have|get|run|stay|need|must|be)|(?:may|can) .{1,60} but (?:not|never)|(?:i|we) (?:forbid|prohibit|
    ban|veto|
    disallow)|do without|(?:to|please|you|and|so|but|or|then) (?:always|never) (?!\p{L}+(?:s|
    ed)(?!\p{L}))\p{L}+)(?!\p{L})
  `,
  "iu",
);
const habitual = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:before|after|with|for|in|on|at|upon|by|through|to|from) (?:each|every|any|
    all)(?! (?:other|
    these|those|in all))|before (?:you|we) (?:commit|push|merge|deploy|release|change|touch|start|ship)|
    (?:each|
    every)(?: single)? time|whenever|consistently|throughout|as of (?:today|now)|when(?:ever)? (?:you|
    we) \p{L}+ (?:an?|any|new|some)|everywhere|(?:for|during) the (?:whole|entire|rest of)|
    across the (?:board|
    project|code ?base|repo)|unless i say|until further notice|until i say|in (?:the )?future|
    no exceptions?|
    mandatory|(?<=[,;] )(?:always|please always)|(?:every(?:thing|one|body)?|each|any(?:thing)?|
    all) (?:\p{L}+ ){0,3}?(?:gets?|needs?|wants?|has|have|starts?|ends?|carr(?:y|ies)|requires?|goes?|
    comes?|uses?|
    is (?:to|done|written|named|wrapped|tested|formatted)|are (?:to|done|written|named|wrapped|tested|
    formatted)|
    lives?|stays?|passes|pass))(?!\p{L})
  `,
  "iu",
);
/** With one of these even the verb of a piece of work makes a rule. */
const repeated = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:(?:before|after|with|on|at|upon) (?:each|every|any)|(?:each|every)(?: single)? time|
    whenever|
    consistently|until further notice|unless i say|in (?:the )?future|no exceptions?|mandatory|
    (?<=[,;] )always|
    when(?:ever)? (?:you|we) \p{L}+ (?:an?|any|new|some)|before (?:you|we) (?:commit|push|merge|deploy|
    release))(?!\p{L})
  `,
  "iu",
);
const observation = new LazyRegExp(
  String.raw`^(?:(?:and|but|so|now|also|then)[\s,]+)*(?:i (?:get|got|see|saw|have|had|think|guess|noticed|found|tried)|it|there|they|he|she|yesterday|here)(?!\p{L})`,
  "iu",
);

/** Words of other languages that make a rule of a sentence, in any position. */
const foreignOrder = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:immer|tabu|tabou|pas touche|giù le mani|ręce precz|zakazan\p{L}*|vietat\p{L}*|
    (?:ohne .{1,40} nichts|rien sans|nada sin|niente senza|nic bez)|dimenticare mai|überall|jede[nmrs]?|
    lass die finger|finger weg|niemals|nie(?! (?:mehr gesehen|gewusst))|auf keinen fall|ab (?:jetzt|sofort|
    heute)|
    künftig|grundsätzlich|(?:muss|müssen|darf nicht|dürfen nicht|darf kein\p{L}*|dürfen kein\p{L}*|
    soll immer)|
    merk dir|bevorzuge|vermeide|toujours|systématiquement|jamais|surtout ne|pas le droit|désormais|
    dorénavant|
    à partir de maintenant|il (?:ne )?faut|(?:doit|doivent|interdit|uniquement|évite[rz]?)|siempre|nunca|
    jamás|
    ni se te ocurra|no se (?:puede|debe)|en (?:todo|cada)|a partir de ahora|de ahora en adelante|hay que|
    (?:debe|
    deben|prohibido|recuerda|evita)|no (?:toques|uses|cambies|borres|modifiques|hagas)|sempre|ovunque|ogni|
    d'ora in (?:poi|avanti)|da ora in poi|non si (?:può|deve)|non devi|(?:deve|devono|vietato|ricorda)|
    non (?:toccare|usare|cambiare|modificare)|a partir de agora|(?:devem|proibido|lembre)|não (?:toque|use|
    mude|
    altere)|altijd|nooit|vanaf nu|zawsze|nigdy|wszędzie|nie wolno|od teraz|(?:musi|muszą)|nie (?:ruszaj|
    używaj|
    używać|zmieniaj|zmieniać|dotykaj|dotykać)|всегда|никогда|нельзя|отныне|впредь|(?:должен|должна|должно|
    должны)|
    не (?:трогай|меняй|используй|удаляй)\p{L}*|her zaman|asla)(?!\p{L})|ne (?:touche|modifie|change|utilise|
    supprime)[rsz]? (?:pas|jamais)|总是|始终|永远不?|不要|切勿|必须|禁止|只能|只用|从现在(?:开始|起)|以后都|常に|必ず|毎回|全ての|すべての|こと。?$|
    触らない|絶対に|
    してはいけない|ないで(?:ください|下さい)?[。！]?$|今後は|항상|절대|반드시|하지 ?마|앞으로는
  `,
  "iu",
);

export function isOrder(sentence: string): boolean {
  const isAsked = isQuestion(sentence);
  if (isAsked) return /^(?:can|could|would|will) you (?:please )?(?:always|never|only|keep)(?!\p{L})/iu.test(sentence);
  if (isNoRule(sentence)) return false;
  if (foreignOrder.test(sentence)) return !/(?<!\p{L})(?:ich|j'ai|yo|io|я)(?!\p{L})/iu.test(sentence);
  return (
    isHouse(sentence) ||
    isAlways(sentence) ||
    clauses(sentence).some(isOrderClause) ||
    (anywhere.test(sentence) && !isNarrated(sentence))
  );
}

function isNoRule(sentence: string): boolean {
  if (isReported(sentence) || isMomentary(sentence) || isCounted(sentence)) return true;
  return isAcknowledgement(sentence) || (tellsProblem(sentence) && asksForWork(sentence));
}

export function isOrderFirst(sentence: string): boolean {
  if (!isOrder(sentence)) return false;
  const first = clauses(sentence).find((clause) => /\s|\P{ASCII}/u.test(clause) && !introductory.test(clause)) ?? "";
  if (foreignOrder.test(sentence) || isOrderClause(first) || anywhere.test(first)) return true;
  return isHouseFirst(sentence, first) || isAlwaysFirst(sentence, first);
}

/** A clause that only says when or how much an order counts. */
const introductory = new LazyRegExp(
  pattern`
    ^(?:what(?:ever)|when(?:ever)?|wherever|if|while|before|after|once|unless|until|above all|
    most importantly|
    remember|important|one (?:more )?thing|egal was|wenn|quoi qu|si|cuando|se|quando)(?!\p{L})
  `,
  "iu",
);

function isOrderClause(clause: string): boolean {
  return !isNarrated(clause) && (imperative.test(clause) || (modal.test(clause) && !isOfOneThing(clause)));
}

function isHouse(sentence: string): boolean {
  if (tellsProblem(sentence) || isNarrated(sentence)) return false;
  return [sentence, ...clauses(sentence)].some((one) => isHouseRule(one, sentence) || isForeignHouseRule(one));
}

/** "Build the list, no borders in it" asks for a list first. */
function isHouseFirst(sentence: string, first: string): boolean {
  return isHouse(first) || (isHouse(sentence) && !asksForWork(first));
}

/** One-time work is no rule. */
const oneTime = new LazyRegExp(
  String.raw`(?<!\p{L})(?:today|tonight|tomorrow|this (?:week|time|morning|afternoon|evening)|right away|asap|as soon as possible|by (?:\p{L}+day|noon|tonight|then))(?!\p{L})`,
  "iu",
);

/** "Add a button that must not move": the rule belongs to the thing. */
function isOfOneThing(clause: string): boolean {
  return oneTime.test(clause) || (/(?<!\p{L})(?:that|which|who|whose|where|so) /iu.test(clause) && asksForWork(clause));
}

/** "Write the letter, and never mention me" asks for a letter first. */
function isAlwaysFirst(sentence: string, first: string): boolean {
  return isAlways(sentence) && (repeated.test(sentence) || !asksForWork(first));
}

function isAlways(sentence: string): boolean {
  if (tellsProblem(sentence) || fault.test(sentence) || observation.test(sentence)) return false;
  if (ruledOut.test(sentence)) return true;
  if (!habitual.test(sentence) || narrative.test(sentence)) return false;
  return repeated.test(sentence) || isOfEach(sentence) || !asksForWork(sentence);
}

/** "Every shelf gets a label"; "every row gets a box, add that" asks for it once. */
function isOfEach(sentence: string): boolean {
  const [first = "", ...rest] = clauses(sentence);
  return /^(?:each|every|any)(?!\p{L})/iu.test(first) && !rest.some(asksForWork);
}

function isNarrated(text: string): boolean {
  return narrative.test(text) || fault.test(text);
}

const forbidding = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:never|not|don['’]?t|dont|mustn't|no|avoid|without|forbidden|refrain|nie|niemals|nicht|
    kein\p{L}*|
    jamais|pas|nunca|jamás|mai|non|não|nooit|niet|nigdy|nie|не|никогда|нельзя)(?!\p{L})|不要|禁止|切勿|ないで|いけない|
    지 ?마
  `,
  "iu",
);

/** To give up what is forbidden agrees with the sentence. */
export function isForbidding(sentence: string): boolean {
  return forbidding.test(sentence);
}
