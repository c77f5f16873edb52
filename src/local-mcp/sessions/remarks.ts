import type { Statement, WorkState } from "../../contract/work-state.ts";
import { isChangeOfMind } from "../words/change-of-mind.ts";
import { decisionsOfUser } from "../words/decision.ts";
import { isBareCorrection, isDoubting, isPermitting, objectsOf } from "../words/doubt.ts";
import { joinLines } from "../words/neutralize.ts";
import { areRivals } from "../words/rivals.ts";
import { contentWords, coverage, isQuestion, isWholeWord, sentences } from "../words/sentences.ts";
import { isForbidding, isOrder } from "../words/standing-order.ts";
import { asksForWork } from "../words/work-request.ts";

/** Pure: later sentences about a rule or a decision that may revoke it, without certainty. */

/** [CP43] Attaches a short prompt to a decision of which it names a third: it may change it. */
export function withRemark(state: WorkState, at: number, prompt: string): WorkState {
  const text = joinLines(prompt);
  const isLater = (one: Statement): boolean => one.at !== at && one.followedBy?.at !== at && isNearer(one, text);
  const namedDecisions = new Set(decisionsNamedIn(state, prompt).filter(isLater));
  if (namedDecisions.size === 0) return state;
  return {
    ...state,
    decided: (state.decided ?? []).map((one) => (namedDecisions.has(one) ? followed(one, text, at) : one)),
  };
}

function isNearer({ text, followedBy }: Statement, later: string): boolean {
  const own = sharedLength(text, later);
  if (own === 0 || !followedBy) return own > 0;
  return own >= sharedLength(text, followedBy.text) || sharedLength(followedBy.text, later) >= 2;
}

function sharedLength(one: string, other: string): number {
  return sharedWords(one, other).length;
}

function sharedWords(one: string, other: string): string[] {
  const words = contentWords(other);
  return [...contentWords(one)].filter((word) => words.has(word));
}

/** Returns valid decisions named in a short prompt; one word suffices if it settles something. */
export function decisionsNamedIn({ decided = [] }: WorkState, prompt: string): Statement[] {
  const promptSentences = sentences(prompt);
  if (
    promptSentences.length > remarkLimits.sentences ||
    prompt.length > remarkLimits.chars ||
    promptSentences.every(isQuestion)
  )
    return [];
  const isSettling = promptSentences.some(isChangeOfMind) || decisionsOfUser(prompt).length > 0;
  const minSharedWords = !isSettling && promptSentences.some(asksForWork) ? 2 : 1;
  const isNamed = (text: string): boolean => {
    const words = sharedWords(text, prompt);
    const isNear =
      words.filter(isWholeWord).length >= remarkLimits.words ||
      words.length >= contentWords(text).size * remarkLimits.share;
    return words.length >= minSharedWords && (isSettling || isNear);
  };
  return decided.filter(
    ({ text, takenBack, followedBy }) =>
      !takenBack && (isNamed(text) || (followedBy !== undefined && sharedLength(followedBy.text, prompt) >= 2)),
  );
}

/** Bounds of a short prompt, and the whole words or the share of a decision that it has to name. */
const remarkLimits = { sentences: 3, chars: 200, words: 2, share: 0.3 };

/** [CP59] Attaches each sentence of a prompt of any length that may take back what was settled. */
export function withLaterSentences(state: WorkState, at: number, prompt: string): WorkState {
  return sentences(prompt)
    .filter((one) => !isQuestion(one))
    .reduce((known, text) => withLaterSentence(known, at, text), state);
}

function withLaterSentence(state: WorkState, at: number, text: string): WorkState {
  const later = readLater(text);
  const { orders, decided } = state;
  const last = isBareCorrection(text) ? corrected(decided ?? [], text) : undefined;
  if (!later.mayChange && !last) return state;
  const mark = (all: readonly Statement[], isMeant: (one: Statement) => boolean): readonly Statement[] =>
    all.map((one) => (isOpen(one, at) && isMeant(one) && !isFarther(one, text) ? followed(one, text, at) : one));
  return {
    ...state,
    ...(orders ? { orders: mark(orders, (one) => isOrderDoubted(one.text, later)) } : {}),
    ...(decided ? { decided: mark(decided, (one) => one === last || isDecisionDoubted(one.text, later)) } : {}),
  };
}

/** Read once, for it is compared with all that is known. */
interface Later {
  readonly words: ReadonlySet<string>;
  readonly isDoubting: boolean;
  readonly isPermitting: boolean;
  readonly isForbidding: boolean;
  readonly isSettling: boolean;
  readonly isRequest: boolean;
  readonly mayChange: boolean;
}

function readLater(text: string): Later {
  const signs = {
    isDoubting: isDoubting(text),
    isPermitting: isPermitting(text),
    isSettling: isOrder(text) || decisionsOfUser(text).length > 0,
    isRequest: asksForWork(text),
  };
  const mayChange = Object.values(signs).includes(true);
  return { ...signs, words: contentWords(text), isForbidding: isForbidding(text), mayChange };
}

function followed(one: Statement, text: string, at: number): Statement {
  return { ...one, followedBy: { text, at } };
}

function isFarther(one: Statement, text: string): boolean {
  return one.followedBy !== undefined && !isNearer(one, text);
}

function isOpen({ at, takenBack, followedBy }: Statement, now: number): boolean {
  return at !== now && !takenBack && followedBy?.at !== now;
}

function isDecisionDoubted(decision: string, later: Later): boolean {
  if (!later.isDoubting && !later.isSettling) return false;
  const words = wordsOf(decision);
  return areRivals(later.words, words) || [...words].some((one) => later.words.has(one) && isWholeWord(one));
}

/** A permission, work on what was forbidden, or a doubt about what was wanted. */
function isOrderDoubted(order: string, later: Later): boolean {
  const words = wordsOf(order);
  const { isDoubting: isDoubt, isPermitting: isPermit, isForbidding: isBan, isRequest } = later;
  if (areRivals(later.words, words)) return isPermit || isDoubt || [...words].some((one) => later.words.has(one));
  if ((isBan && !isPermit) || coverage(objectsOf(words), later.words) < 0.5) return false;
  return isPermit || (isForbidding(order) ? isRequest : isDoubt);
}

const knownWords = new Map<string, ReadonlySet<string>>();
const maxKnownWords = 500;

function wordsOf(statement: string): ReadonlySet<string> {
  const known = knownWords.get(statement);
  if (known) return known;
  const words = contentWords(statement);
  if (knownWords.size >= maxKnownWords) knownWords.clear();
  knownWords.set(statement, words);
  return words;
}

/** A value without a name corrects the newest decision that has a value of its kind. */
function corrected(decided: readonly Statement[], text: string): Statement | undefined {
  const hasNumber = /\d/u.test(text);
  return decided.findLast((one) => !one.takenBack && (!hasNumber || /\d/u.test(one.text)));
}

/** [CP59] The chat gives up what it, or the user, has named. */
export function withChatRemarks(state: WorkState, at: number, message: string): WorkState {
  const { decided } = state;
  if (!decided) return state;
  const doubts = sentences(message).filter((one) => isDoubting(one) && !isQuestion(one));
  const withDoubt = (one: Statement): Statement => {
    const text = isOpen(one, at) ? doubts.findLast((doubt) => namesChoice(one.text, doubt)) : undefined;
    return text === undefined ? one : followed(one, text, at);
  };
  return { ...state, decided: decided.map(withDoubt) };
}

const choice =
  /(?<!\p{L})(?:use|using|with|on|for|chose|choose|picked|pick|took|take|to|call it|name it|is|nehmen|nimm|verwende|->) (?:the |an? )?([\p{L}\p{N}][\p{L}\p{N}_.@/-]*)/giu;

function namesChoice(decision: string, later: string): boolean {
  const words = contentWords(later);
  return [...decision.matchAll(choice)].some(([, named = ""]) => {
    const chosen = [...contentWords(named)];
    return chosen.length > 0 && chosen.every((one) => words.has(one));
  });
}
