import type { Remark, Statement, TakenBack, WorkState } from "../../contract/work-state.ts";
import {
  chosenThing,
  abandonedTerms,
  isAllowing,
  isChangeOfMind,
  isOtherChoice,
  resumedTerms,
  retracts,
} from "../words/change-of-mind.ts";
import { decisionsOfChat, decisionsOfUser } from "../words/decision.ts";
import { joinLines } from "../words/neutralize.ts";
import { contentWords, coverage, isQuestion, sentences } from "../words/sentences.ts";
import { ordersIn } from "../words/orders.ts";
import { withChatRemarks, withLaterSentences, withRemark } from "./remarks.ts";

const limits = { chars: 300, orders: 80, decided: 100, takenBack: 60 };

/** Pure. [CP20] Adds a prompt's orders for all of the work, and [CP22] its decisions. */
export function withUserStatements(state: WorkState, at: number, prompt: string): WorkState {
  const permitted = sentences(prompt).filter(
    (one) => isAllowing(one) && !isQuestion(one) && (state.orders ?? []).some(({ text }) => retracts(one, text)),
  );
  const orders = new Set([...ordersIn(prompt), ...permitted]);
  const decisions = decisionsOfUser(prompt).filter((one) => !orders.has(one));
  const first = [...orders].reduce((known, text) => addStatement(known, "orders", { text, at, source: "user" }), state);
  const all = decisions.reduce((known, text) => addStatement(known, "decided", { text, at, source: "user" }), first);
  return withLaterSentences(withRemark(all, at, prompt), at, prompt);
}

export function withChatStatements(state: WorkState, at: number, message: string): WorkState {
  const all = decisionsOfChat(message).reduce(
    (known, text) => addStatement(known, "decided", { text, at, source: "chat" }),
    state,
  );
  return withChatRemarks(all, at, message);
}

export function withDecisions(
  state: WorkState,
  at: number,
  texts: readonly string[],
  source: Statement["source"],
): WorkState {
  return texts.reduce((known, text) => addStatement(known, "decided", { text, at, source }), state);
}

/** [CP44] Adds rules that only the client's compaction summary holds, unless retracted. */
export function withSummary(state: WorkState, at: number, summary: string): WorkState {
  return ordersIn(userParts(summary))
    .map((text) => text.slice(0, limits.chars))
    .filter((text) => !isStated(state, text) && !outdatedBy(state, text, null))
    .reduce((known, text) => addStatement(known, "orders", { text, at, source: "summary" }), state);
}

function userParts(summary: string): string {
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

function isStated({ orders = [], decided = [] }: WorkState, text: string): boolean {
  const words = contentWords(text);
  return [...orders, ...decided].some((one) => coverage(words, contentWords(one.text)) >= 0.6);
}

function addStatement(state: WorkState, list: "orders" | "decided", given: Statement): WorkState {
  const statement = { ...given, text: joinLines(given.text).slice(0, limits.chars) };
  const remark: Remark = { text: statement.text, at: statement.at ?? 0 };
  const before = { orders: state.orders ?? [], decided: state.decided ?? [] };
  const reinstated = reinstatedBy(before, statement.text);
  const marked = {
    orders: before.orders.filter((one) => !isSame(one, statement)).map((one) => withTakenBack(reinstated(one), remark)),
    decided: before.decided
      .filter((one) => !isSame(one, statement))
      .map((one) => withTakenBack(reinstated(one), remark)),
  };
  const retracted = [...before.orders, ...before.decided].filter(
    (one) => !one.takenBack && retracts(statement.text, one.text),
  );
  const grown = { ...marked, [list]: [...marked[list], statement] };
  const takenBack = retractedTerms(state.takenBack ?? [], remark, retracted).slice(-limits.takenBack);
  const [orders, decided] = [withinLimit(grown.orders, limits.orders), withinLimit(grown.decided, limits.decided)];
  const missing = (state.missing ?? 0) + countLost(grown.orders, orders) + countLost(grown.decided, decided);
  return {
    ...state,
    orders,
    decided,
    ...(takenBack.length > 0 ? { takenBack } : {}),
    ...(missing > 0 ? { missing } : {}),
  };
}

/** Reinstates what was given up for something that is itself given up, if it is named again. */
function reinstatedBy(
  known: Record<"orders" | "decided", readonly Statement[]>,
  later: string,
): (one: Statement) => Statement {
  const abandonedTexts = new Set(
    [...known.orders, ...known.decided].filter((one) => retracts(later, one.text)).map((one) => one.text),
  );
  const words = contentWords(later);
  return (one) => {
    const isAgain =
      one.takenBack && abandonedTexts.has(one.takenBack.text) && coverage(contentWords(one.text), words) >= 0.3;
    if (!isAgain) return one;
    const { takenBack: _gone, ...holds } = one;
    return holds;
  };
}

function isSame(one: Statement, other: Statement): boolean {
  return one.text.toLowerCase() === other.text.toLowerCase() && !one.takenBack;
}

function withTakenBack(earlier: Statement, later: Remark): Statement {
  if (earlier.takenBack) return earlier;
  if (retracts(later.text, earlier.text)) return { ...earlier, takenBack: later };
  return isOtherChoice(later.text, earlier.text) ? { ...earlier, followedBy: later } : earlier;
}

function retractedTerms(
  earlierTerms: readonly TakenBack[],
  later: Remark,
  retracted: readonly Statement[],
): TakenBack[] {
  const now = contentWords(later.text);
  const resumed = resumedTerms(later.text);
  const dropped = abandonedTerms(later.text);
  const gone = new Set(dropped.flat());
  const isBack = (words: readonly string[]): boolean =>
    coverage(resumed, new Set(words)) >= 0.6 || words.every((one) => now.has(one) && !gone.has(one));
  const fromEarlier = retracted
    .map(({ text }) => {
      const others = [...contentWords(text)].filter((one) => !now.has(one));
      const choice = chosenThing(text);
      return others.length === 0 && choice !== null ? [choice] : others;
    })
    .filter((words) => words.length > 0 && words.length <= 4);
  const lists = isChangeOfMind(later.text) || retracted.length > 0 ? (dropped.length > 0 ? dropped : fromEarlier) : [];
  const { text, at } = later;
  return [
    ...earlierTerms.filter((one) => !isBack(one.terms) && !retracted.some((before) => before.text === one.text)),
    ...lists.map((words) => ({ text, at, terms: words })),
  ];
}

/** Drops retracted statements first, then the oldest. */
function withinLimit(all: readonly Statement[], max: number): readonly Statement[] {
  let remaining = all;
  while (remaining.length > max) {
    const dropIndex = Math.max(
      0,
      remaining.findIndex((one) => one.takenBack),
    );
    remaining = remaining.filter((_, index) => index !== dropIndex);
  }
  return remaining;
}

function countLost(before: readonly Statement[], after: readonly Statement[]): number {
  const kept = new Set(after);
  return before.filter((one) => !one.takenBack && !kept.has(one)).length;
}

/** [CP23] @param at when the text was said; null counts as earlier */
export function outdatedBy({ takenBack = [] }: WorkState, text: string, at: number | null): Remark | null {
  const words = contentWords(text);
  const found = takenBack.findLast(
    (one) => (at === null || at < one.at) && one.text !== text && coverage(new Set(one.terms), words) === 1,
  );
  return found ? { text: found.text, at: found.at } : null;
}
