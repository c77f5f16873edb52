import { isRefusal, isToAgent } from "../../../clients/adapter/harness-text.ts";
import { deedOf, isBySubagent } from "../../../clients/adapter/tools.ts";
import type { JournalEntry, JournalKind } from "../../../contract/journal.ts";
import type { Life, OpenCall } from "../../../contract/work-state.ts";
import { interpret } from "../../../platform/time-budget.ts";
import { interruptedOutput } from "../effects.ts";
import type { JournalRow } from "../journal.ts";
import { emptyState, isRequest } from "../work-state.ts";

/**
 * Pure: no storage, no clock. Where a chat stands is a fold of what was seen of it, in the order of
 * its time: in which order the news of it arrived changes nothing.
 */

export const newLife: Life = emptyState.life;

export function life(before: Life, facts: readonly JournalRow[]): Life {
  return facts
    .toSorted((one, other) => one.at - other.at || one.seq - other.seq)
    .reduce((state, { at, entry }) => next(state, at, entry), before);
}

/** Calls that begin within it may run side by side. */
const batchMs = 2_000;
/** The last words of a turn may be written, and what it asked be reported, after its end. */
const lateMs = 2_000;
/** A client that is asked to end stops its calls first, and may report them. */
const maxEndMs = 3_000;
const maxCalls = 50;

type EntryOf<Kind extends JournalKind> = Extract<JournalEntry, { kind: Kind }>;

type Step<Kind extends JournalKind> = (state: Life, at: number, entry: EntryOf<Kind>) => Life;

const steps = {
  // A compaction starts no other client.
  start: (state, at, { source }) => (source === "compact" ? state : leftBehind(state, at)),
  prompt: (state, at, { text }) =>
    isToAgent(text) || interpret(() => isRequest(text), { chars: text.length }) === false ? state : prompted(state, at),
  assistant: (state, at) => (isLate(state, at) ? state : working(state, at)),
  tool_start: began,
  tool_end: callOver,
  tool_error: callOver,
  asks: asking,
  answered: (state) => ({ ...state, asks: null }),
  // A turn that failed has an end, too; that of a wait at a limit comes later.
  turn_end: (state, at) =>
    state.turn?.over?.how === "failed" && isLate(state, at)
      ? state
      : { ...ended(state, { at, how: "done" }), stopped: [] },
  interrupted: (state, at) => ended(state, { at, how: "interrupted" }),
  failure: failed,
  // A compaction is a request with the results of all of the chat's own calls.
  compacted: (state) => ({ ...state, calls: state.calls.filter(({ name, isLost }) => isLost || isOfAgents(name)) }),
  detached: closed,
  end: (state, at) => ({ ...leftBehind(state, at), calls: [] }),
} as const satisfies { readonly [Kind in JournalKind]?: Step<Kind> };

/** Kinds of entries that change where a chat stands. */
export const lifeKinds = Object.keys(steps) as readonly (keyof typeof steps)[];

function next(state: Life, at: number, entry: JournalEntry): Life {
  // TypeScript cannot follow the table through an index.
  const step = steps[entry.kind as keyof typeof steps] as Step<JournalKind> | undefined;
  return step ? step(state, at, entry) : state;
}

function isOfAgents(name: string): boolean {
  return isBySubagent(name) || deedOf(name) === "directs";
}

/** Another client continues the session, or none does. */
function leftBehind(state: Life, at: number): Life {
  const { turn, calls } = state;
  return {
    turn: turn && { ...turn, over: turn.over ?? { at, how: "unseen" } },
    calls: calls.map((call) => Object.assign({}, call, { isLost: true as const })),
    stopped: [],
    asks: null,
  };
}

/** The user may type while a call runs: that prompt joins the turn. */
function prompted(state: Life, at: number): Life {
  const { turn, asks } = state;
  const calls = state.calls.filter(({ isLost }) => !isLost);
  const joins = turn?.over === null && calls.some(({ name }) => !isBySubagent(name));
  return {
    turn: { beganAt: joins ? turn.beganAt : at, isAnswered: false, over: null },
    calls,
    stopped: [],
    asks: joins ? asks : null,
  };
}

function isLate({ turn }: Life, at: number): boolean {
  const over = turn?.over ?? null;
  return over !== null && over.how !== "unseen" && at <= over.at + lateMs;
}

/** A chat may work on without a prompt: for a background task, or because a hook says so. */
function working(state: Life, at: number): Life {
  const { turn } = state;
  const beganAt = turn?.over === null ? turn.beganAt : at;
  const asks = state.asks?.for === "prompt" ? null : state.asks;
  return { ...state, turn: { beganAt, isAnswered: true, over: null }, asks };
}

/** A call that was followed by a later one of its chat has ended, though its end was not seen. */
function began(state: Life, at: number, { id, name, input }: EntryOf<"tool_start">): Life {
  const others = state.calls.filter((one) => one.id !== id && !one.isLost);
  const run: OpenCall = { id, name, input, startedAt: at };
  if (isBySubagent(name)) return { ...state, calls: [...others, run].slice(-maxCalls) };
  const beside = others.filter((one) => isBySubagent(one.name) || one.startedAt >= at - batchMs);
  const isBeside = state.asks?.call !== undefined && at - state.asks.at <= batchMs;
  const asks = isBeside ? state.asks : null;
  const question = deedOf(name) === "asks" ? ({ for: "dialog", at, call: id } as const) : null;
  return working({ ...state, calls: [...beside, run].slice(-maxCalls), asks: question ?? asks }, at);
}

function callOver(state: Life, at: number, entry: EntryOf<"tool_end" | "tool_error">): Life {
  const { id, name, input } = entry;
  const { turn, asks } = state;
  const isMain = !isBySubagent(name);
  const { startedAt = at } = state.calls.find((one) => one.id === id) ?? {};
  const isStopped = entry.kind === "tool_error" && interruptedOutput.test(entry.text) && !isRefusal(entry.text);
  const stopped = isStopped ? [...state.stopped, { id, name, input, startedAt, stoppedAt: at }] : state.stopped;
  const isAnswer = asks?.call === undefined ? isMain : asks.call === id;
  const over = {
    ...state,
    calls: state.calls.filter((one) => one.id !== id),
    stopped: stopped.slice(-maxCalls),
    asks: isAnswer ? null : asks,
  };
  // The end of a call says nothing of a turn that is over: it may be reported late.
  return isMain && (turn === null || turn.over === null) ? working(over, at) : over;
}

type TurnEnd = NonNullable<NonNullable<Life["turn"]>["over"]>;

function ended({ turn, stopped }: Life, over: TurnEnd): Life {
  const known = turn ?? { beganAt: over.at, isAnswered: false };
  return { turn: { ...known, over }, calls: [], stopped, asks: null };
}

/** A client reports an error by a hook and in its transcript; one of them may lack the limit. */
function failed(state: Life, at: number, { text, limit = state.turn?.over?.limit }: EntryOf<"failure">): Life {
  return ended(state, { at, how: "failed", text, ...(limit === undefined ? {} : { limit }) });
}

function asking(state: Life, at: number, { kind: _kind, ...ask }: EntryOf<"asks">): Life {
  const { turn } = state;
  // Two events may report one question, and one of them may lack its call.
  const isKnown = state.asks?.for === ask.for && (ask.call === undefined || ask.call === state.asks.call);
  const asks = isKnown ? state.asks : { ...ask, at };
  // A client that has failed may try again at once.
  const isOver = turn?.over?.how !== "failed" && isLate(state, at);
  if (ask.for !== "prompt") return isOver ? state : working({ ...state, asks }, at);
  // The client waits for a prompt: the turn is over, however it ended.
  const isOpen = turn !== null && turn.over === null;
  return { ...state, asks, ...(isOpen ? { turn: { ...turn, over: { at, how: "unseen" } }, calls: [] } : {}) };
}

/** Calls that were stopped as the client was asked to end ran until then: no user stopped them. */
function closed(state: Life, at: number): Life {
  const { turn, calls } = state;
  const cutOff = state.stopped.filter(({ stoppedAt }) => at - stoppedAt <= maxEndMs);
  const runs = cutOff.map(({ stoppedAt: _at, ...run }): OpenCall => Object.assign(run, { isLost: true as const }));
  const isReopened = runs.length > 0 && turn?.over?.how === "interrupted";
  return {
    ...state,
    turn: isReopened ? { ...turn, over: null } : turn,
    calls: [...calls, ...runs].slice(-maxCalls),
    stopped: [],
  };
}
