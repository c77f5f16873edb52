import type { Remark, Statement, TakenBack, WorkState } from "../../contract/work-state.ts";
import {
  chosen,
  givenUp,
  isAllowing,
  isChangeOfMind,
  isOtherChoice,
  takenUpAgain,
  takesBack,
} from "../words/change-of-mind.ts";
import { decisionsOfChat, decisionsOfUser } from "../words/decision.ts";
import { contentWords, coverage, isQuestion, isWholeWord, sentences } from "../words/sentences.ts";
import { ordersIn } from "../words/standing-order.ts";
import { asksForWork } from "../words/work-request.ts";

/** Orders and decisions as a session's state keeps them. Pure. */

const most = { chars: 300, orders: 80, decided: 100, takenBack: 60 };

/** [CP20] What a prompt orders for all of the work, and [CP22] what it settles. */
export function withUserWords(state: WorkState, at: number, prompt: string): WorkState {
  const permitted = sentences(prompt).filter(
    (one) => isAllowing(one) && !isQuestion(one) && (state.orders ?? []).some(({ text }) => takesBack(one, text)),
  );
  const orders = new Set([...ordersIn(prompt), ...permitted]);
  const settled = decisionsOfUser(prompt).filter((one) => !orders.has(one));
  const first = [...orders].reduce((known, text) => add(known, "orders", { text, at, source: "user" }), state);
  const all = settled.reduce((known, text) => add(known, "decided", { text, at, source: "user" }), first);
  return withRemark(all, at, prompt);
}

/** [CP21] A short prompt that names a third of what was settled may change it, in whatever words: both are shown together. */
function withRemark(state: WorkState, at: number, prompt: string): WorkState {
  const text = prompt.replaceAll(/\s+/g, " ").trim();
  const isLater = (one: Statement): boolean => one.at !== at && one.followedBy?.at !== at && isNearer(one, text);
  const about = new Set(settledIn(state, prompt).filter(isLater));
  if (about.size === 0) return state;
  const followed = (one: Statement): Statement => ({ ...one, followedBy: { text, at } });
  return { ...state, decided: (state.decided ?? []).map((one) => (about.has(one) ? followed(one) : one)) };
}

/** Whether a remark has as much to do with a statement as the one that it would take the place of, or goes on from that. */
function isNearer({ text, followedBy }: Statement, later: string): boolean {
  const own = shared(text, later);
  if (own === 0 || !followedBy) return own > 0;
  return own >= shared(text, followedBy.text) || shared(followedBy.text, later) >= 2;
}

function shared(one: string, other: string): number {
  return sharedWords(one, other).length;
}

function sharedWords(one: string, other: string): string[] {
  const words = contentWords(other);
  return [...contentWords(one)].filter((word) => words.has(word));
}

/** What was settled and still holds, and is named in a short prompt; where that settles or changes something, by one word. */
export function settledIn({ decided = [] }: WorkState, prompt: string): Statement[] {
  const said = sentences(prompt);
  if (said.length > remark.sentences || prompt.length > remark.chars || said.every(isQuestion)) return [];
  const isSettling = said.some(isChangeOfMind) || decisionsOfUser(prompt).length > 0;
  const least = !isSettling && said.some(asksForWork) ? 2 : 1;
  const isNamed = (text: string): boolean => {
    const words = sharedWords(text, prompt);
    const isNear =
      words.filter(isWholeWord).length >= remark.words || words.length >= contentWords(text).size * remark.share;
    return words.length >= least && (isSettling || isNear);
  };
  return decided.filter(
    ({ text, takenBack, followedBy }) =>
      !takenBack && (isNamed(text) || (followedBy !== undefined && shared(followedBy.text, prompt) >= 2)),
  );
}

/** A prompt that may be about one decision, and how much of the decision it has to name: so many whole words, or a share of all. */
const remark = { sentences: 3, chars: 200, words: 2, share: 0.3 };

export function withChatWords(state: WorkState, at: number, message: string): WorkState {
  return decisionsOfChat(message).reduce((known, text) => add(known, "decided", { text, at, source: "chat" }), state);
}

export function withDecisions(
  state: WorkState,
  at: number,
  texts: readonly string[],
  source: Statement["source"],
): WorkState {
  return texts.reduce((known, text) => add(known, "decided", { text, at, source }), state);
}

/** [CP21] Rules that only the client's summary of a compaction knows of, where nothing has taken them back. */
export function withSummary(state: WorkState, at: number, summary: string): WorkState {
  return ordersIn(spoken(summary))
    .map((text) => text.slice(0, most.chars))
    .filter((text) => !isKnown(state, text) && !isOutdated(state, text, null))
    .reduce((known, text) => add(known, "orders", { text, at, source: "summary" }), state);
}

/** The parts of a summary that tell the user's words: a heading or a line that says so, up to the next heading. */
function spoken(summary: string): string {
  let isUsers = false;
  const kept = summary.split("\n").filter((line) => {
    const heading = /^\s*(?:#+ .*|(?:\d+[.)] |\*\*)[^:]{0,60}:?\**:?\s*)$/.test(line);
    if (heading) isUsers = /user|request|constraint|rule|preference|instruction|guideline/i.test(line);
    return (
      !heading &&
      (isUsers || /(?<!\p{L})user(?!\p{L}).{0,40}(?:said|asked|wants|insist|require|instruct|prefer|rule)/iu.test(line))
    );
  });
  return kept.map((line) => line.replaceAll(/["“”]/g, "")).join("\n");
}

function isKnown({ orders = [], decided = [] }: WorkState, text: string): boolean {
  const words = contentWords(text);
  return [...orders, ...decided].some((one) => coverage(words, contentWords(one.text)) >= 0.6);
}

function add(state: WorkState, list: "orders" | "decided", given: Statement): WorkState {
  const said = { ...given, text: given.text.replaceAll(/\s+/g, " ").trim().slice(0, most.chars) };
  const remark: Remark = { text: said.text, at: said.at ?? 0 };
  const before = { orders: state.orders ?? [], decided: state.decided ?? [] };
  const reinstated = holdingAgain(before, said.text);
  const marked = {
    orders: before.orders.filter((one) => !isSame(one, said)).map((one) => answered(reinstated(one), remark)),
    decided: before.decided.filter((one) => !isSame(one, said)).map((one) => answered(reinstated(one), remark)),
  };
  const taken = [...before.orders, ...before.decided].filter((one) => !one.takenBack && takesBack(said.text, one.text));
  const grown = { ...marked, [list]: [...marked[list], said] };
  const takenBack = terms(state.takenBack ?? [], remark, taken).slice(-most.takenBack);
  const [orders, decided] = [fitting(grown.orders, most.orders), fitting(grown.decided, most.decided)];
  const missing = (state.missing ?? 0) + lost(grown.orders, orders) + lost(grown.decided, decided);
  return {
    ...state,
    orders,
    decided,
    ...(takenBack.length > 0 ? { takenBack } : {}),
    ...(missing > 0 ? { missing } : {}),
  };
}

/** What was given up for something that is now given up itself, and is named again, holds again. */
function holdingAgain(
  known: Record<"orders" | "decided", readonly Statement[]>,
  later: string,
): (one: Statement) => Statement {
  const gone = new Set(
    [...known.orders, ...known.decided].filter((one) => takesBack(later, one.text)).map((one) => one.text),
  );
  const words = contentWords(later);
  return (one) => {
    const isAgain = one.takenBack && gone.has(one.takenBack.text) && coverage(contentWords(one.text), words) >= 0.3;
    if (!isAgain) return one;
    const { takenBack: _gone, ...holds } = one;
    return holds;
  };
}

function isSame(one: Statement, other: Statement): boolean {
  return one.text.toLowerCase() === other.text.toLowerCase() && !one.takenBack;
}

function answered(earlier: Statement, later: Remark): Statement {
  if (earlier.takenBack) return earlier;
  if (takesBack(later.text, earlier.text)) return { ...earlier, takenBack: later };
  return isOtherChoice(later.text, earlier.text) ? { ...earlier, followedBy: later } : earlier;
}

/** What is no longer so, by its words: named by the sentence itself, else what is in the earlier statements only. */
function terms(known: readonly TakenBack[], later: Remark, taken: readonly Statement[]): TakenBack[] {
  const now = contentWords(later.text);
  const again = takenUpAgain(later.text);
  const dropped = givenUp(later.text);
  const gone = new Set(dropped.flat());
  const isBack = (words: readonly string[]): boolean =>
    coverage(again, new Set(words)) >= 0.6 || words.every((one) => now.has(one) && !gone.has(one));
  const fromEarlier = taken
    .map(({ text }) => {
      const others = [...contentWords(text)].filter((one) => !now.has(one));
      const choice = chosen(text);
      return others.length === 0 && choice !== null ? [choice] : others;
    })
    .filter((words) => words.length > 0 && words.length <= 4);
  const lists = isChangeOfMind(later.text) || taken.length > 0 ? (dropped.length > 0 ? dropped : fromEarlier) : [];
  const { text, at } = later;
  return [
    ...known.filter((one) => !isBack(one.terms) && !taken.some((before) => before.text === one.text)),
    ...lists.map((words) => ({ text, at, terms: words })),
  ];
}

/** Those that were taken back go first, then the oldest. */
function fitting(all: readonly Statement[], max: number): readonly Statement[] {
  let kept = all;
  while (kept.length > max) {
    const gone = Math.max(
      0,
      kept.findIndex((one) => one.takenBack),
    );
    kept = kept.filter((_, index) => index !== gone);
  }
  return kept;
}

function lost(before: readonly Statement[], after: readonly Statement[]): number {
  const kept = new Set(after);
  return before.filter((one) => !one.takenBack && !kept.has(one)).length;
}

/**
 * [CP23] What took back something that a text names; null: nothing.
 *
 * @param at when the text was said; null: not known, so it counts as earlier
 */
export function isOutdated({ takenBack = [] }: WorkState, text: string, at: number | null): Remark | null {
  const words = contentWords(text);
  const found = takenBack.findLast(
    (one) => (at === null || at < one.at) && one.text !== text && coverage(new Set(one.terms), words) === 1,
  );
  return found ? { text: found.text, at: found.at } : null;
}
