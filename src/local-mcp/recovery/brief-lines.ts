import type { ConversationTurn, Statement, UserRequest, WorkState } from "../../contract/work-state.ts";
import { pathOf } from "../sessions/entries.ts";
import { goalReached } from "../sessions/goal-state.ts";
import type { FinishedTask } from "../sessions/recoveries.ts";
import { lastGoalRequest } from "../sessions/requests.ts";
import { isOutdated } from "../sessions/statements.ts";
import { closingWordsIn } from "../words/next-step.ts";
import { isAboutTheSame, sentences } from "../words/sentences.ts";
import { age, ago, current, known, oneLine, ranked, stamp, when, type Line, type Section } from "./brief-text.ts";
import {
  goalOf,
  isDone,
  nextStepOf,
  perhapsOpen,
  requestsBetween,
  rulesOf,
  takenBackBy,
  tasks,
  type Known,
} from "./current-work.ts";
import * as remote from "./remote-brief.ts";
import type { Restoration } from "./restoration.ts";
import { room } from "./score.ts";

/** The parts of a brief. Pure. */

const widths = { goal: 500, request: 240, line: 220, words: 360, summary: 500, state: 400 };
const most = { recent: 5, kept: 10, lines: 8, todos: 8, finished: 5 };

export function aboutSection(from: Restoration, now: number): Section {
  const { session, cause, causeDetail, elsewhere, finished = [] } = from;
  const calls = `${session.toolCalls} tool calls, ${session.toolErrors} failed`;
  return {
    lines: ranked(0, [
      `project: ${oneLine(session.project ?? "none", 300)}`,
      ...(elsewhere ? remote.about(elsewhere) : []),
      ...finished.slice(-most.finished).map(finishedText),
      ...(cause === null ? [] : [`why it died: ${cause} (${oneLine(causeDetail, 300)})`]),
      `last sign of life: ${age(now - from.knownUntil)} ago; started ${age(now - session.startedAt)} ago; ${calls}`,
    ]),
  };
}

/** [RE70] */
export function finishedText({ task, type, state, by }: FinishedTask): string {
  if (state === "cancelled") return `its task ${task} (${type}) was cancelled: nobody wants it any more`;
  return `its task ${task} (${type}) was finished by ${by ?? "another chat"}: do not do it again`;
}

/** The user's words first: what the work is about, and how it came to that. */
export function wantedSections({ state }: Restoration, now: number): Section[] {
  const { requests = [] } = state;
  const goal = goalOf(state);
  const open = perhapsOpen(state) ?? undefined;
  const others = [requests[0], requests.at(-1)].filter(
    (one) => one !== undefined && one.text !== goal?.text && one !== open,
  );
  const last = others.find((one) => one === requests.at(-1));
  const first = others.find((one) => one !== last);
  const line = (name: string, one: UserRequest | undefined, width: number): string[] =>
    one ? [`${name}: ${current(state, one, width)}${when(now, one.at)}`] : [];
  return [
    {
      lines: [
        ...ranked(0, [
          goal ? `goal: ${known(state, goal, now, widths.goal)}${reached(state, goal)}` : "goal: not known",
        ]),
        ...ranked(1, line("request that is perhaps still open", open, widths.request)),
        ...ranked(1, line("last request", last, widths.goal)),
        ...ranked(2, line("first request", first, widths.request)),
        ...ranked(1, before(state)),
      ],
    },
    ...requestSections(state, now, [goal?.text, first?.text, last?.text, open?.text]),
    ...ruleSections(state, now),
  ];
}

function before({ continues }: WorkState): string[] {
  if (!continues) return [];
  const { session, goal, nextStep } = continues;
  const next = nextStep === null ? "" : `; next step: ${oneLine(nextStep, widths.line)}`;
  return [
    `before it: session ${session} had died and was handed to it; goal: ${oneLine(goal ?? "not known", widths.line)}${next}`,
  ];
}

/** [CP38] A goal of the user of which the chat has said that it is done is not stated without that. */
function reached(state: WorkState, goal: Known): string {
  const words = goal.at === null ? null : goalReached(state, goal);
  return words === null ? "" : ` [said to be done: ${oneLine(words, 100)}]`;
}

/** Requests after the goal may change it; earlier ones are over or part of it. */
function requestSections(state: WorkState, now: number, shown: readonly (string | undefined)[]): Section[] {
  const all = requestsBetween(state, shown);
  const since = all
    .filter((one) => (one.at ?? 0) > (lastGoalRequest(state.requests ?? [])?.at ?? 0))
    .slice(-most.recent);
  const before = all.filter((one) => !since.includes(one));
  const line = (one: UserRequest): string => `- ${current(state, one, widths.request)}${when(now, one.at)}`;
  return [
    betweenSection(state, before, line),
    { heading: "later requests, newest last:", lines: ranked(2, since.map(line)), isNewestLast: true },
  ];
}

function betweenSection(
  state: WorkState,
  between: readonly UserRequest[],
  line: (one: UserRequest) => string,
): Section {
  const recent = between.slice(-most.recent);
  const kept = between
    .slice(0, -most.recent)
    .filter((one) => one.isKept)
    .slice(-most.kept);
  const thinned = state.thinned ?? { plain: 0, kept: 0 };
  const gone = thinned.kept + thinned.plain + between.length - recent.length - kept.length;
  return {
    heading: `requests in between, newest last${gone > 0 ? ` (${gone} more left out)` : ""}:`,
    lines: [...ranked(3, kept.map(line)), ...ranked(2, recent.map(line))],
    isNewestLast: true,
  };
}

function ruleSections(state: WorkState, now: number): Section[] {
  const { orders, decided } = rulesOf(state);
  const line = (one: Statement): string => {
    const before = takenBackBy(state, one);
    const changed = before ? ` (before: ${oneLine(before.text, 80)})` : "";
    const later = one.followedBy ? `; said later: ${oneLine(one.followedBy.text, 120)}` : "";
    const source = one.source === "user" ? "" : `${one.source}, `;
    return `- ${oneLine(one.text, widths.line)}${changed}${later}${stamp(source, now, one.at)}`;
  };
  const inherited = (state.continues?.orders ?? []).filter((text) => !orders.some((one) => one.text === text));
  const missing = state.missing ? [`- ${state.missing} older rules or decisions had no room`] : [];
  return [
    {
      heading: "standing orders of the user:",
      lines: ranked(1, [
        ...inherited.slice(-most.lines).map((text) => `- ${oneLine(text, widths.line)} (in the session before)`),
        ...orders.slice(-room.orders).map(line),
      ]),
      isNewestLast: true,
    },
    {
      heading: "decisions:",
      lines: ranked(1, [...decided.slice(-room.decided).map(line), ...missing]),
      isNewestLast: true,
    },
  ];
}

/** What is done, running and next. */
export function workSections({ state, cause }: Restoration, now: number): Section[] {
  const when = cause === null ? "begun, end not seen" : "was running when it died";
  const running = state.runningTools.map((tool) => `- ${when}: ${tool.name} ${oneLine(tool.input, widths.line)}`);
  const doing = [...state.inProgress, ...tasks(state, "in_progress")].filter((text) => !isDone(state, text));
  const next = nextStepOf(state);
  const pending = tasks(state, "pending");
  const open = pending.length === 1 && pending[0] === next?.text ? [] : pending;
  return [
    ...planSections(state, now),
    { heading: "done:", lines: list(2, state, [...state.done, ...tasks(state, "completed")]), isNewestLast: true },
    {
      heading: "in progress:",
      lines: [...list(1, state, doing), ...ranked(1, running.slice(-most.lines))],
      isNewestLast: true,
    },
    { lines: ranked(0, [`next step: ${nextStepLine(state, next, now)}`]) },
    { heading: "to do:", lines: list(2, state, open.slice(0, most.todos)) },
    { heading: "open questions:", lines: list(2, state, state.openQuestions.slice(-most.lines)), isNewestLast: true },
    { lines: ranked(2, state.state === null ? [] : [`state: ${oneLine(JSON.stringify(state.state), widths.state)}`]) },
  ];
}

function nextStepLine(state: WorkState, next: Known | null, now: number): string {
  const step = next ? known(state, next, now, widths.goal) : "not stated";
  return next && next.at === state.said?.nextStep ? step : `${step}${closingRemark(state, now)}`;
}

/** Without a known step the words that the last whole turn ended with say most of where the work stands. */
function closingRemark(state: WorkState, now: number): string {
  const last = lastOfTurn(state);
  const words = last && closingWordsIn(last.text);
  if (!words) return "";
  const shown = current(state, { text: words, at: last.at }, widths.words);
  return `; the chat's last words: ${shown}${ago(now, last.at)}`;
}

function lastOfTurn({ conversation, said }: WorkState): ConversationTurn | undefined {
  return conversation.findLast(({ role, at }) => role === "assistant" && at <= (said?.turnEnd ?? 0));
}

function planSections({ plan, clientGoal }: WorkState, now: number): Section[] {
  const lines = plan ? plan.text.split("\n").filter((line) => line.trim() !== "") : [];
  const path = plan?.path ? `${pathOf(plan.path)}, ` : "";
  return [
    {
      lines: ranked(1, clientGoal ? [`/goal: ${oneLine(clientGoal.text, widths.line)}${ago(now, clientGoal.at)}`] : []),
    },
    {
      heading: plan ? `plan (${path}approved ${age(now - plan.at)} ago):` : "plan:",
      lines: lines.slice(0, 6).map((line, index) => ({ text: `  ${oneLine(line, 140)}`, rank: index < 3 ? 1 : 3 })),
    },
  ];
}

function list(rank: Line["rank"], state: WorkState, texts: readonly string[]): Line[] {
  const shown = [...new Set(texts)]
    .slice(-most.lines)
    .map((text) => `- ${current(state, { text, at: null }, widths.line)}`);
  return ranked(rank, shown);
}

/** What was said and seen last, as far as the parts before do not say it. */
export function tailSections({ state }: Restoration, now: number): Section[] {
  const { lastError, compactSummary } = state;
  const error = lastError
    ? [`last error (${age(now - lastError.at)} ago): ${oneLine(lastError.text, widths.words)}`]
    : [];
  return [
    { lines: ranked(2, error) },
    { heading: "end of the conversation:", lines: ranked(2, [...lastAnswer(state, now), ...lastReply(state)]) },
    { lines: ranked(4, compactSummary ? [summaryLine(state, compactSummary, now)] : []) },
  ];
}

function lastAnswer(state: WorkState, now: number): string[] {
  const last = state.conversation.findLast(({ role }) => role === "assistant");
  if (!last) return [];
  const words = closingWords(last.text);
  const isRepeated = state.nextStep !== null && isAboutTheSame(words, state.nextStep, 0.9);
  return isRepeated
    ? []
    : [`- assistant: ${current(state, { text: words, at: last.at }, widths.words)}${ago(now, last.at)}`];
}

function lastReply({ conversation, requests = [] }: WorkState): string[] {
  const after = conversation.at(-1);
  const isReply = after?.role === "user" && !requests.some(({ at }) => at === after.at);
  return isReply ? [`- user: ${oneLine(after.text, 80)}`] : [];
}

/** The last sentences: a long answer says at its end where it stands. */
function closingWords(text: string): string {
  const plain = text.replaceAll(/\s+/g, " ").trim();
  if (plain.length <= widths.words) return plain;
  const kept: string[] = [];
  let left = widths.words;
  for (const one of sentences(text).toReversed()) {
    if (one.length > left) break;
    kept.unshift(one);
    left -= one.length + 1;
  }
  return kept.length > 0 ? `… ${kept.join(" ")}` : plain;
}

function summaryLine(state: WorkState, summary: string, now: number): string {
  const at = state.said?.summary ?? null;
  const holds = sentences(summary).filter((one) => isOutdated(state, one, at) === null);
  return `summary of the compacted part: ${oneLine(holds.join(" "), widths.summary)}${when(now, at)}`;
}
