import { defaults } from "../../contract/config.ts";
import type { ConversationTurn, ErrorNote, Statement, UserRequest, WorkState } from "../../contract/work-state.ts";
import { pathOf } from "../sessions/entries.ts";
import { goalReached } from "../sessions/goal-state.ts";
import { saidSince } from "../sessions/last-error.ts";
import { lastGoalRequest } from "../sessions/requests.ts";
import { outdatedBy } from "../sessions/statements.ts";
import { findClosingWords } from "../words/next-step.ts";
import { joinLines } from "../words/neutralize.ts";
import { isAboutTheSame, sentences } from "../words/sentences.ts";
import {
  formatFinishedTask,
  formatOpenTask,
  annotateOutdated,
  formatSourced,
  oneLine,
  quotedMachine,
  rankedLines,
  formatSource,
  formatWhen,
  newestLast,
  type BriefLine,
  type BriefSection,
} from "./brief-text.ts";
import { clientTitle } from "../../clients/client-title.ts";
import { age } from "../../shared/format.ts";
import {
  goalOf,
  isDone,
  nextStepOf,
  possiblyOpenGoal,
  requestsBetween,
  rulesOf,
  takenBackBy,
  todoTexts,
  type SourcedText,
} from "../sessions/current-work.ts";
import type { Restoration } from "./restoration.ts";

/** Pure. */

const maxChars = { goal: 500, request: 240, line: 220, words: 360, summary: 500, state: 400, since: 140 };
const maxLines = { recent: 5, kept: 10, lines: 8, todos: 8, finished: 5 };

export function aboutSection(from: Restoration, now: number): BriefSection {
  const { session, cause, causeDetail, elsewhere, finished = [], tasks = [] } = from;
  const calls = `${session.toolCalls} tool calls, ${session.toolErrors} failed`;
  return {
    lines: rankedLines(0, [
      `client: ${oneLine(clientTitle(session), 80)}; project: ${oneLine(session.project ?? "none", 300)}`,
      ...(elsewhere
        ? [
            `it ran on: ${quotedMachine(elsewhere.machine)}, in ${elsewhere.root?.slice(0, 300) ?? "no project folder"} there`,
          ]
        : []),
      ...finished.slice(-maxLines.finished).map(formatFinishedTask),
      ...tasks.slice(-maxLines.finished).map(formatOpenTask),
      ...(cause === null ? [] : [`why it died: ${cause} (${oneLine(causeDetail, 300)})`]),
      `last sign of life: ${age(now - from.knownUntil)} ago; started ${age(now - session.startedAt)} ago; ${calls}`,
    ]),
  };
}

export function goalSections(from: Restoration, now: number): BriefSection[] {
  const { state } = from;
  const { requests = [] } = state;
  const goal = goalOf(state);
  const possiblyOpen = possiblyOpenGoal(state) ?? undefined;
  const others = [requests[0], requests.at(-1)].filter(
    (one) => one !== undefined && one.text !== goal?.text && one !== possiblyOpen,
  );
  const last = others.find((one) => one === requests.at(-1));
  const first = others.find((one) => one !== last);
  const formatRequest = (name: string, one: UserRequest | undefined, width: number): string[] =>
    one ? [`${name}: ${annotateOutdated(state, one, width)}${formatWhen(now, one.at)}`] : [];
  return [
    {
      lines: [
        ...rankedLines(0, [
          goal
            ? `goal: ${formatSourced(state, goal, now, maxChars.goal)}${goalReachedNote(state, goal)}`
            : "goal: not known",
        ]),
        ...rankedLines(1, formatRequest("request that is perhaps still open", possiblyOpen, maxChars.request)),
        ...rankedLines(1, formatRequest("last request", last, maxChars.goal)),
        ...rankedLines(2, formatRequest("first request", first, maxChars.request)),
        ...rankedLines(1, predecessorLines(state)),
      ],
    },
    ...requestSections(state, now, [goal?.text, first?.text, last?.text, possiblyOpen?.text]),
    ...ruleSections(from, now),
  ];
}

function predecessorLines({ continues }: WorkState): string[] {
  if (!continues) return [];
  const { session, goal, nextStep } = continues;
  const next = nextStep === null ? "" : `; next step: ${oneLine(nextStep, maxChars.line)}`;
  return [
    `before it: session ${session} had died and was handed to it; goal: ${oneLine(goal ?? "not known", maxChars.line)}${next}`,
  ];
}

function goalReachedNote(state: WorkState, goal: SourcedText): string {
  const words = goal.at === null ? null : goalReached(state, goal);
  return words === null ? "" : ` [said to be done: ${oneLine(words, 100)}]`;
}

/** Requests after the goal may change it; earlier ones are done or part of it. */
function requestSections(state: WorkState, now: number, shown: readonly (string | undefined)[]): BriefSection[] {
  const all = requestsBetween(state, shown);
  const recentRequests = all
    .filter((one) => (one.at ?? 0) > (lastGoalRequest(state.requests ?? [])?.at ?? 0))
    .slice(-maxLines.recent);
  const olderRequests = all.filter((one) => !recentRequests.includes(one));
  const formatRequest = (one: UserRequest): string =>
    `- ${annotateOutdated(state, one, maxChars.request)}${formatWhen(now, one.at)}`;
  return [
    olderRequestsSection(state, olderRequests, formatRequest),
    newestLast("later requests, newest last:", rankedLines(2, recentRequests.map(formatRequest))),
  ];
}

function olderRequestsSection(
  state: WorkState,
  between: readonly UserRequest[],
  formatRequest: (one: UserRequest) => string,
): BriefSection {
  const recent = between.slice(-maxLines.recent);
  const keptRequests = between
    .slice(0, -maxLines.recent)
    .filter((one) => one.isKept)
    .slice(-maxLines.kept);
  const thinned = state.thinned ?? { plain: 0, kept: 0 };
  const omittedCount = thinned.kept + thinned.plain + between.length - recent.length - keptRequests.length;
  return newestLast(`requests in between, newest last${omittedCount > 0 ? ` (${omittedCount} more left out)` : ""}:`, [
    ...rankedLines(3, keptRequests.map(formatRequest)),
    ...rankedLines(2, recent.map(formatRequest)),
  ]);
}

function ruleSections({ state, capacity = defaults.brief }: Restoration, now: number): BriefSection[] {
  const { orders, decided } = rulesOf(state);
  const formatRule = (one: Statement): string => {
    const takenBack = takenBackBy(state, one);
    const changed = takenBack ? ` (before: ${oneLine(takenBack.text, 80)})` : "";
    const later = one.followedBy ? `; said later: ${oneLine(one.followedBy.text, 120)}` : "";
    const source = one.source === "user" ? "" : `${one.source}, `;
    return `- ${oneLine(one.text, maxChars.line)}${changed}${later}${formatSource(source, now, one.at)}`;
  };
  const inherited = (state.continues?.orders ?? []).filter((text) => !orders.some((one) => one.text === text));
  const missing = state.missing ? [`- ${state.missing} older rules or decisions had no room`] : [];
  return [
    newestLast(
      "standing orders of the user:",
      rankedLines(1, [
        ...inherited.slice(-maxLines.lines).map((text) => `- ${oneLine(text, maxChars.line)} (in the session before)`),
        ...orders.slice(-capacity.orders).map(formatRule),
      ]),
    ),
    newestLast("decisions:", rankedLines(1, [...decided.slice(-capacity.decided).map(formatRule), ...missing])),
  ];
}

const shellTool = /^(Bash|PowerShell)\b/;

/** [RE120] No client ends its commands when it is killed. */
function runningText({ name, input }: WorkState["runningTools"][number], hasDied: boolean): string {
  const call = `${name} ${oneLine(input, maxChars.line)}`;
  if (!hasDied) return `begun, end not seen: ${call}`;
  const note = shellTool.test(name) ? " (the command may still be running, or have finished)" : "";
  return `was running when it died: ${call}${note}`;
}

export function workSections({ state, cause }: Restoration, now: number): BriefSection[] {
  const running = state.runningTools.map((tool) => `- ${runningText(tool, cause !== null)}`);
  const inProgressTexts = [...state.inProgress, ...todoTexts(state, "in_progress")].filter(
    (text) => !isDone(state, text),
  );
  const next = nextStepOf(state);
  const pending = todoTexts(state, "pending");
  const pendingLines = pending.length === 1 && pending[0] === next?.text ? [] : pending;
  return [
    ...planSections(state, now),
    newestLast("done:", listLines(2, state, [...state.done, ...todoTexts(state, "completed")])),
    newestLast("in progress:", [
      ...listLines(1, state, inProgressTexts),
      ...rankedLines(1, running.slice(-maxLines.lines)),
    ]),
    { lines: rankedLines(0, [`next step: ${nextStepLine(state, next, now)}`]) },
    { heading: "to do:", lines: listLines(2, state, pendingLines.slice(0, maxLines.todos)) },
    newestLast("open questions:", listLines(2, state, state.openQuestions.slice(-maxLines.lines))),
    {
      lines: rankedLines(
        2,
        state.state === null ? [] : [`state: ${oneLine(JSON.stringify(state.state), maxChars.state)}`],
      ),
    },
  ];
}

function nextStepLine(state: WorkState, next: SourcedText | null, now: number): string {
  const step = next ? formatSourced(state, next, now, maxChars.goal) : "not stated";
  return next && next.at === state.said?.nextStep ? step : `${step}${closingRemark(state, now)}`;
}

/** Replaces a missing next step by the last words of the last whole turn. */
function closingRemark(state: WorkState, now: number): string {
  const last = lastTurnEnd(state);
  const words = last && findClosingWords(last.text);
  if (!words) return "";
  const shown = annotateOutdated(state, { text: words, at: last.at }, maxChars.words);
  return `; the chat's last words: ${shown}${formatWhen(now, last.at)}`;
}

function lastTurnEnd({ conversation, said }: WorkState): ConversationTurn | undefined {
  return conversation.findLast(({ role, at }) => role === "assistant" && at <= (said?.turnEnd ?? 0));
}

function planSections({ plan, clientGoal }: WorkState, now: number): BriefSection[] {
  const lines = plan ? plan.text.split("\n").filter((line) => line.trim() !== "") : [];
  const path = plan?.path ? `${pathOf(plan.path)}, ` : "";
  return [
    {
      lines: rankedLines(
        1,
        clientGoal ? [`/goal: ${oneLine(clientGoal.text, maxChars.line)}${formatWhen(now, clientGoal.at)}`] : [],
      ),
    },
    {
      heading: plan ? `plan (${path}approved ${age(now - plan.at)} ago):` : "plan:",
      lines: lines.slice(0, 6).map((line, index) => ({ text: `  ${oneLine(line, 140)}`, rank: index < 3 ? 1 : 3 })),
    },
  ];
}

function listLines(rank: BriefLine["rank"], state: WorkState, texts: readonly string[]): BriefLine[] {
  const shown = [...new Set(texts)]
    .slice(-maxLines.lines)
    .map((text) => `- ${annotateOutdated(state, { text, at: null }, maxChars.line)}`);
  return rankedLines(rank, shown);
}

export function tailSections({ state }: Restoration, now: number): BriefSection[] {
  const { lastError, compactSummary } = state;
  const error = lastError ? [lastErrorLine(lastError, state.conversation, now)] : [];
  return [
    { lines: rankedLines(2, error) },
    {
      heading: "end of the conversation:",
      lines: rankedLines(2, [...lastAnswerLines(state, now), ...lastReplyLines(state)]),
    },
    { lines: rankedLines(4, compactSummary ? [summaryLine(state, compactSummary, now)] : []) },
  ];
}

function lastErrorLine(error: ErrorNote, conversation: readonly ConversationTurn[], now: number): string {
  const said = saidSince(
    error,
    conversation.filter(({ role }) => role === "assistant"),
  );
  const since = said === null ? "" : ` [said since: ${oneLine(said, maxChars.since)}]`;
  return `last error (${age(now - error.at)} ago): ${oneLine(error.text, maxChars.words)}${since}`;
}

function lastAnswerLines(state: WorkState, now: number): string[] {
  const last = state.conversation.findLast(({ role }) => role === "assistant");
  if (!last) return [];
  const words = closingSentences(last.text);
  const isRepeated = state.nextStep !== null && isAboutTheSame(words, state.nextStep, 0.9);
  return isRepeated
    ? []
    : [
        `- assistant: ${annotateOutdated(state, { text: words, at: last.at }, maxChars.words)}${formatWhen(now, last.at)}`,
      ];
}

function lastReplyLines({ conversation, requests = [] }: WorkState): string[] {
  const after = conversation.at(-1);
  const isReply = after?.role === "user" && !requests.some(({ at }) => at === after.at);
  return isReply ? [`- user: ${oneLine(after.text, 80)}`] : [];
}

/** A long answer gives its status at the end. */
function closingSentences(text: string): string {
  const plain = joinLines(text);
  if (plain.length <= maxChars.words) return plain;
  const keptSentences: string[] = [];
  let remainingChars = maxChars.words;
  for (const one of sentences(text).toReversed()) {
    if (one.length > remainingChars) break;
    keptSentences.unshift(one);
    remainingChars -= one.length + 1;
  }
  return keptSentences.length > 0 ? `… ${keptSentences.join(" ")}` : plain;
}

function summaryLine(state: WorkState, summary: string, now: number): string {
  const at = state.said?.summary ?? null;
  const validSentences = sentences(summary).filter((one) => outdatedBy(state, one, at) === null);
  return `summary of the compacted part: ${oneLine(validSentences.join(" "), maxChars.summary)}${formatWhen(now, at)}`;
}
