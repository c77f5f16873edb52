import { LazyRegExp, pattern } from "../words/pattern.ts";
import type { UserRequest } from "../../contract/work-state.ts";
import { isAcknowledgement, namesNothing } from "../words/acknowledgement.ts";
import { isChangeOfMind } from "../words/change-of-mind.ts";
import { isOnlyDecision } from "../words/decision.ts";
import { isForeign } from "../words/language.ts";
import { clauses, contentWords, isQuestion, sentences } from "../words/sentences.ts";
import { withoutSettledLists } from "../words/orders.ts";
import { isOrder, isOrderFirst } from "../words/standing-order.ts";
import { asksForWork, isExchange, tellsProblem } from "../words/work-request.ts";

export function isGeneralRule(sentence: string): boolean {
  return isOrder(sentence) || isOnlyDecision(sentence);
}

/** Reads at most 400 characters: a sentence. */
const specificDetail =
  /\d|[\w-]+\.[a-z]{1,5}(?![\w.])|[\w.-]*\/[\w.-]+|`[^`]+`|["“«„][^"”»“]+["”»“]|(?<!\p{L})[a-z]+[A-Z]\w*|\w+_\w+|(?<!\p{L})\p{Lu}{2,}(?!\p{L})|(?<=\p{L}[\p{L},]*\s)\p{Lu}\p{L}+/u;

export function carriesDetail(text: string): boolean {
  return sentences(text).some((one) => specificDetail.test(one) || isOrder(one) || isChangeOfMind(one));
}

const additionStart = new LazyRegExp(
  pattern`
    ^(?:also|(?:and|und|et|y|e|и)(?! (?:now|then|next|jetzt|nun|maintenant|ahora|adesso|ora|nu|теперь))|
    plus|still|again|nope|additionally|oh,? and|one more thing|while you(?:'re| are) at it|
    (?:please )?(?:continue|go on|proceed|carry on|resume)(?: with)?|then also|auch|außerdem|noch|
    weiter mit|
    aussi|también|además|anche|também|ook|и|ещё|еще|также)(?!\p{L})|^(?:还有|另外|也|あと|それから|また|그리고|또)
  `,
  "iu",
);
const additionWord = new LazyRegExp(
  String.raw`(?<!\p{L})(?:too|as well|auch|aussi|también|anche|também|też|тоже)[.!]?$`,
  "iu",
);
const backReference = new LazyRegExp(
  String.raw`(?<!\p{L})(?:it|its|that|this|these|those|them|they|es|dies|sie|ça|cela|eso|esto|quello|questo|isso|isto|dit|это|его)(?!\p{L})|それ|これ|它|这个|那个|그거|이거`,
  "iu",
);
const questionStart = new LazyRegExp(
  pattern`
    ^(?:what|why|how(?! about)|where|when|who|which|is|are|does|did|was|were|was|warum|wieso|wie|wo|wann|
    wer|que|
    quoi|pourquoi|comment|où|quand|qué|por qué|cómo|dónde|cuándo|perché|come|dove|por que|como|onde|что|
    почему|как|
    где|когда)(?!\p{L})|^(?:什么|为什么|怎么|哪|何|なぜ|どう|무엇|왜|어떻게)
  `,
  "iu",
);
const abandonment = new LazyRegExp(
  String.raw`(?<!\p{L})(?:stop|drop|forget|cancel|abandon|leave|pause|park|work on|switch to working|lass|arrête|deja|lascia)(?!\p{L})`,
  "iu",
);

/** Excludes "leave it alone", which is a rule. */
function isAbandoning(sentence: string): boolean {
  if (!abandonment.test(sentence) || isOrderFirst(sentence)) return false;
  return !clauses(sentence).slice(1).some(isOnlyDecision);
}

function isRule(sentence: string): boolean {
  return isOrderFirst(sentence) || isOnlyDecision(sentence);
}

export interface PromptContext {
  readonly isAsked?: boolean;
  readonly isGoalReached?: boolean;
  readonly isAboutDecision?: boolean;
}

/** Pure. [CP35] [CP48] Returns undefined for a goal. */
export function requestKind(prompt: string, context: PromptContext): UserRequest["kind"] {
  const remaining = withoutSettledLists(prompt);
  return remaining.trim() === "" && prompt.trim() !== "" ? "rule" : kindOf(prompt, sentences(remaining), context);
}

function kindOf(prompt: string, all: readonly string[], context: PromptContext): UserRequest["kind"] {
  const size = prompt.slice(0, 400).trim().split(/\s+/).length;
  if (context.isAsked && size <= 6 && prompt.length <= 60) return "answer";
  if (isOnlyRules(all) && !all.some((one) => isWork(one, context))) return "rule";
  if (isOnlyQuestion(all)) return "question";
  return isAddition(prompt, size) || !isGoal(prompt, all, context) ? "follow_up" : undefined;
}

function isOnlyQuestion([only, ...others]: readonly string[]): boolean {
  if (only === undefined || others.length > 0) return false;
  return (
    (isQuestion(only) && (questionStart.test(only) || !asksForWork(only))) ||
    (only.split(/\s+/).length <= 9 && showRequest.test(only))
  );
}

const showRequest = new LazyRegExp(
  pattern`
    ^(?:(?:please|ok|now|just|and)[\s,]+)*(?:(?:can|could|would|will) you (?:please |just |
    quickly )?)?(?:(?:show|
    tell|remind|give) (?:me|us) (?:the|what|why|how|where|which|who|when|if|whether|that|your)|
    explain (?:what|why|
    how|that|this)|summari[sz]e (?:what|where|that|this|everything|your|the (?:conversation|session|changes|
    state|
    status|progress|plan))|zeig(?:e)? (?:mir|uns)|montre(?:-| )moi|muéstrame|mostrami|pokaż mi|
    покажи)(?!\p{L})
  `,
  "iu",
);

function isOnlyRules(all: readonly string[]): boolean {
  return all.length > 0 && all.every(isRule) && !all.every(isAbandoning);
}

/** Counts a replacement or a fault as work unless it concerns a settled decision. */
function isWork(sentence: string, { isAboutDecision = false }: PromptContext): boolean {
  if (isAboutDecision || isOrderFirst(sentence)) return false;
  return tellsProblem(sentence) || (isExchange(sentence) && asksForWork(sentence));
}

/** Matches "make it shorter", not "sand the table and oil it". */
function pointsBack(prompt: string): boolean {
  const at = backReference.exec(prompt)?.index ?? -1;
  return at >= 0 && !/(?<!\p{L})(?:the|an?|our|my|every|each|all|some) \p{L}/iu.test(prompt.slice(0, at));
}

function isAddition(prompt: string, size: number): boolean {
  if (namesNothing(prompt)) return true;
  const isTouch = size <= 8 && pointsBack(prompt) && !abandonment.test(prompt) && !carriesDetail(prompt);
  return isTouch || (size <= 14 && (additionStart.test(prompt.trim()) || additionWord.test(prompt.trim())));
}

/** A few unclear words are an addition, unless the goal is reached or the language less known. */
function isGoal(prompt: string, all: readonly string[], context: PromptContext): boolean {
  if (contentWords(prompt.slice(0, leadChars)).size === 0) return false;
  const others = all.filter((one) => !isRule(one) || isAbandoning(one) || isWork(one, context));
  if (others.some((one) => asksForWork(one) && !(context.isAboutDecision && isExchange(one)))) return true;
  if (context.isAboutDecision) return false;
  const framing =
    all.length < longPromptSentences ? others : others.filter((one) => one === all[0] || one === all.at(-1));
  return framing.some(tellsProblem) || (others.length === all.length && isLikelyGoal(prompt, all, context));
}

function isLikelyGoal(prompt: string, all: readonly string[], { isGoalReached = false }: PromptContext): boolean {
  if (all.length >= longPromptSentences && all.every((one) => !isTask(one))) return false;
  const isLong = all.length < longPromptSentences && prompt.split(/\s+/).length > maxRemarkWords;
  return (isGoalReached && !isRemark(prompt)) || isLong || (isForeign(prompt) && !isTerse(prompt));
}

/** [CP49] A few words without article and preposition, such as praise, name nothing to work on. */
function isRemark(prompt: string): boolean {
  if (specificDetail.test(prompt)) return false;
  const unknownWords = prompt.split(/\s+/).filter((word) => !isAcknowledgement(word));
  if (contentWords(unknownWords.join(" ")).size < 2) return true;
  return isTerse(prompt) && !topicMark.test(prompt);
}

/** Words before the name of a thing, or beside it in a request without a verb. */
const topicMark = new LazyRegExp(
  pattern`
    (?<!\p{L})(?:the|an?|for|of|in|by|with|on|from|into|next|then|now|please|pls|der|die|das|den|dem|des|
    eine?[nmrs]?|
    für|mit|im|jetzt|bitte|noch|les?|la|l['’]|une?|des|du|pour|avec|dans|maintenant|ensuite|el|los|las|una?|
    para|con|
    ahora|luego|il|lo|gli|uno|per|adesso|poi|teraz|dla|het|een|voor|met|nu|och|för|um|uma|agora|теперь|для|
    с)(?!\p{L})
  `,
  "iu",
);

function isTerse(prompt: string): boolean {
  const words = prompt.trim().split(/\s+/).length;
  return prompt.length <= terseLimits.chars || (words > 1 && words <= terseLimits.words);
}

const terseLimits = { words: 6, chars: 16 };
const maxRemarkWords = 24;

const descriptionStart = new LazyRegExp(
  pattern`
    ^(?:the|a|an|there|here|it|its|this|that|these|those|they|he|she|one|some|most|many|several|both|all|at|
    on|
    during|since|yesterday|today|for comparison|as|we (?:saw|see|had|have|got|were|noticed|found)|
    i (?:attach|see|
    saw|had|have|think|guess|noticed|found|got)|you (?:see|saw)|der|die|das|ein|eine|es|hier|le|la|les|un|
    une|il|
    elle|voici|el|los|las|una|hay|il|lo|gli)(?!\p{L})|^[\p{N}|[({]
  `,
  "iu",
);

const leadChars = 320;
/** Longer prompts may hold pasted text. */
const longPromptSentences = 6;

export function isTask(sentence: string): boolean {
  return !descriptionStart.test(sentence) && !isRule(sentence);
}
