import type { Chat } from "../../contract/chats.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Claimant, NeededTask, Obstacle, TaskFacts } from "../../contract/task-views.ts";
import { WorkResult, type DeathReason } from "../../contract/tasks.ts";
import { ok } from "../../shared/result.ts";
import * as chats from "../chats/chats.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptRows from "../tasks/attempt-rows.ts";
import * as budgets from "../tasks/budgets.ts";
import { handlers as queries } from "../tasks/task-queries.ts";
import * as rows from "../tasks/task-rows.ts";
import { tasks } from "../tasks/task-tables.ts";
import { age, oneLine, pluralize } from "../../shared/format.ts";

type Task = OutputOf<"tasks.get">;

const maxShown = 100;
const maxClaimants = 500;

export const handlers = {
  "tasks.explain"(tx, { task }) {
    const found = queries["tasks.get"](tx, { task });
    if (!found.ok) return found;
    const history = queries["tasks.history"](tx, { task, limit: maxShown });
    if (!history.ok) return history;
    const facts: TaskFacts = {
      ...found.value,
      attempts: history.value.attempts,
      needs: found.value.dependsOn.map((one) => toNeeded(tx, one)),
      parts: listParts(tx, task),
      claimants: found.value.state === "queued" ? listClaimants(tx, found.value) : [],
    };
    return ok({ ...facts, why: explain(facts) });
  },
} satisfies Partial<Handlers>;

function toNeeded(tx: Tx, task: number): NeededTask {
  const row = rows.find(tx, task);
  if (!row) return { task, known: null };
  const { type, state, reason, chat } = row;
  return { task, known: { type, state, reason, chat, progress: rows.progressOf(row) } };
}

/** Enough for the result of a worker; a larger one names no branch. */
const maxResultBytes = 65_536;

function listParts(tx: Tx, parent: number): TaskFacts["parts"] {
  return rows.partsOf(tx, parent, maxShown).map((row) => {
    const { task, ref, type, state } = row;
    const { text } = attemptRows.readResult(tx, row, maxResultBytes);
    const work = WorkResult.safeParse(JSON.parse(text ?? "null"));
    return { task, ref, type, state, branch: work.data?.branch ?? null };
  });
}

function listClaimants(tx: Tx, task: Task): Claimant[] {
  return chats.listLive(tx, maxClaimants).map((chat) => {
    const lacks = task.capabilities.filter((needed) => !chat.capabilities.includes(needed));
    return { chat: chat.chat, obstacle: findObstacle(tx, chat, task.type, lacks), lacks };
  });
}

/** First what does not pass by waiting. */
function findObstacle(
  tx: Tx,
  { chat, status, capacity, taskTypes }: Chat,
  type: string,
  lacks: string[],
): Obstacle | null {
  const isOther = taskTypes !== null && !taskTypes.includes("*") && !taskTypes.includes(type);
  const checks: readonly [Obstacle, () => boolean][] = [
    ["draining", () => status === "draining"],
    ["takes_none", () => capacity === 0],
    ["lacks_capability", () => lacks.length > 0],
    ["other_types", () => isOther],
    ["full", () => tasks.count(tx.sql, { chat }) >= capacity],
    ["stuck", () => status === "stuck"],
    ["budget_spent", () => budgets.checkExhausted(tx, chat) !== null],
  ];
  return checks.find(([, isTrue]) => isTrue())?.[0] ?? null;
}

const maxLineChars = 1_000;

/** One sentence on why a task is in its state, then indented lines on what it waits for. */
function explain(task: TaskFacts): string[] {
  const first = oneLine(`Task ${task.task} (${task.type}) is ${task.state}: ${reasonOf(task)}.`, maxLineChars);
  return [first, ...waitedFor(task).map((line) => `  ${oneLine(line, maxLineChars)}`)];
}

function reasonOf(task: TaskFacts): string {
  const { chat, dueInMs, detail, joinRule, needs, claimants } = task;
  const report = detail === null ? "" : `; ${detail}`;
  switch (task.state) {
    case "blocked":
      return `${openOf(needs).length} of the ${pluralize(needs.length, "task")} that it depends on must end first`;
    case "scheduled":
      return `it is queued in ${age(dueInMs ?? 0)}${report}`;
    case "queued": {
      const ready = claimants.filter(({ obstacle }) => obstacle === null).length;
      return `${ready} of the ${pluralize(claimants.length, "live chat")} can take it`;
    }
    case "assigned":
      return `${chat} must start it within ${age(dueInMs ?? 0)}, or it is queued again`;
    case "running":
      return runningText(task);
    case "done":
      return joinRule === null ? doneText(task) : `the coordinator has joined the results of its parts (${joinRule})`;
    case "dead":
      return `${task.reason ? deaths[task.reason](task) : "the reason is not known"}${report}`;
    case "cancelled":
      return detail ?? "on request";
  }
}

function runningText({ chat, failures, maxAttempts, running, isCancelAsked }: TaskFacts): string {
  const { startedAgeMs = 0, remainingMs = 0, silenceLeftMs = 0 } = running ?? {};
  const limits = `it times out in ${age(remainingMs)}, and stalls after ${age(silenceLeftMs)} without a heartbeat`;
  const since = `by ${chat} for ${age(startedAgeMs)}, attempt ${failures + 1} of ${maxAttempts}`;
  return `${since}; ${isCancelAsked ? "it was asked to stop" : limits}`;
}

/** Where a worker did it in a worktree: its branch. */
function doneText({ result, parts, attempts: [last] }: TaskFacts): string {
  const by = last ? `by ${last.chat}, ${age(last.endedAgeMs)} ago` : "its attempt is no longer kept";
  const { data } = WorkResult.safeParse(result);
  if (!data) return by;
  const { branch, commit, machine, tests } = data;
  if (branch === null) return `${by}; nothing was changed, so it has no branch`;
  const untested = parts.length > 0 ? "; no tests ran on it: its worker's settings name none (jobTests)" : "";
  const where = `${commit.slice(0, 12)}${machine === undefined ? "" : ` on ${machine}`}`;
  return `${by}; its work is on ${branch} (${where})${tests ? `; its tests have passed: ${tests.command}` : untested}`;
}

const deaths: Record<DeathReason, (task: TaskFacts) => string> = {
  failed: ({ failures, maxAttempts }) =>
    `it failed for good, after ${failures} of ${pluralize(maxAttempts, "attempt")}`,
  poison: ({ lostChats, stalls }) => `after ${pluralize(lostChats, "lost chat")} and ${pluralize(stalls, "stall")}`,
  expired: () => "no chat started it in time",
  dependency: () => "a task that it depends on is dead or cancelled; replay that first",
  budget_exceeded: () => "a limit was reached",
  discarded: () => "it was discarded, and cannot be replayed",
};

function waitedFor({ state, reason, needs, claimants }: TaskFacts): string[] {
  if (state === "queued")
    return claimants.map(
      ({ chat, obstacle, lacks }) =>
        `${chat}: ${obstacle ? obstacles[obstacle] : "can take it"}${lacks.length > 0 ? ` (${lacks.join(", ")})` : ""}`,
    );
  if (state === "blocked") return openOf(needs).map(neededLine);
  return reason === "dependency"
    ? needs.filter(({ known }) => known !== null && rows.isEnded(known) && known.state !== "done").map(neededLine)
    : [];
}

const obstacles: Record<Obstacle, string> = {
  draining: "is draining",
  takes_none: "takes no tasks",
  lacks_capability: "lacks a capability",
  other_types: "takes other types",
  full: "is full",
  stuck: "reports that it is stuck",
  budget_spent: "has used up its budget, or the workspace its own of today (UTC)",
};

function openOf(needs: readonly NeededTask[]): NeededTask[] {
  return needs.filter(({ known }) => known !== null && !rows.isEnded(known));
}

function neededLine({ task, known }: NeededTask): string {
  if (known === null) return `task ${task}: it is no longer kept`;
  return `task ${task} (${known.type}): ${known.state}${known.chat === null ? "" : `, by ${known.chat}`}`;
}
