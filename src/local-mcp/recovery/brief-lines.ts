import type { ApprovedPlan, ConversationTurn, ErrorNote, WorkState } from "../../contract/work-state.ts";
import { stepIn } from "../sessions/approved-plan.ts";
import { pathOf } from "../sessions/entries.ts";
import { saidSince } from "../sessions/last-error.ts";
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
  formatWhen,
  newestLast,
  type BriefLine,
  type BriefSection,
} from "./brief-text.ts";
import { clientTitle } from "../../clients/client-title.ts";
import { age } from "../../shared/format.ts";
import {
  isDone,
  isPlanDone,
  isStepOfPlanDone,
  nextStepOf,
  todoTexts,
  type SourcedText,
} from "../sessions/current-work.ts";
import type { Restoration } from "./restoration.ts";

/** Pure. */

const maxChars = { step: 500, line: 220, words: 360, summary: 500, state: 400, since: 140 };
const maxLines = { plan: 6, lines: 8, todos: 8, finished: 5 };

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
  const step = next ? formatSourced(state, next, now, maxChars.step) : "not stated";
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

function planSections(state: WorkState, now: number): BriefSection[] {
  const { plan, clientGoal } = state;
  return [
    {
      lines: rankedLines(
        1,
        clientGoal ? [`/goal: ${oneLine(clientGoal.text, maxChars.line)}${formatWhen(now, clientGoal.at)}`] : [],
      ),
    },
    ...(plan ? [planSection(state, plan, now)] : []),
  ];
}

/** [CP65] A plan that is done is one line. */
function planSection(state: WorkState, plan: ApprovedPlan, now: number): BriefSection {
  const [first = "", ...rest] = plan.text.split("\n").filter((line) => line.trim() !== "");
  const path = plan.path ? `${pathOf(plan.path)}, ` : "";
  const heading = `plan (${path}approved ${age(now - plan.at)} ago):`;
  if (isPlanDone(state, plan)) {
    const words = plan.done ? `said to be done: ${oneLine(plan.done.text, 100)}` : "all steps done";
    return { lines: rankedLines(2, [`${heading} ${oneLine(first, 140)} [${words}]`]) };
  }
  const lines = [first, ...rest].slice(0, maxLines.plan).map((line, index): BriefLine => {
    const step = stepIn(line);
    const done = step !== null && isStepOfPlanDone(state, plan, step) ? " [said to be done]" : "";
    return { text: `  ${annotateOutdated(state, { text: line, at: plan.at }, 140)}${done}`, rank: index < 3 ? 1 : 4 };
  });
  return { heading, lines };
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
    { lines: rankedLines(5, compactSummary ? [summaryLine(state, compactSummary, now)] : []) },
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
