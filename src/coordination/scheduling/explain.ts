import type { Chat } from "../../contract/chats.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Claimant, NeededTask, Obstacle, TaskFacts, Attempt } from "../../contract/task-views.ts";
import { WorkResult } from "../../contract/work-result.ts";
import { ok } from "../../shared/result.ts";
import * as chats from "../chats/chats.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptRows from "../tasks/attempt-rows.ts";
import * as budgets from "../tasks/budgets.ts";
import { handlers as queries } from "../tasks/task-queries.ts";
import * as rows from "../tasks/task-rows.ts";
import type { DeathReason } from "../../contract/tasks.ts";
import { age, oneLine, pluralize } from "../../shared/format.ts";
import { progressText } from "../../shared/progress-text.ts";

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
  const query = `SELECT ${rows.columns} FROM tasks WHERE parent = ? ORDER BY task LIMIT ?`;
  return tx.sql.all<rows.TaskRow>(query, parent, maxShown).map((row) => {
    const { task, ref, type, state } = row;
    const { text } = attemptRows.readResult(tx, row, maxResultBytes);
    const work = WorkResult.safeParse(JSON.parse(text ?? "null"));
    return { task, ref, type, state, branch: work.data?.branch ?? null };
  });
}

function listClaimants(tx: Tx, task: Task): Claimant[] {
  const counts = tx.sql.all<{ chat: string; n: number }>(
    "SELECT chat, count(*) AS n FROM tasks WHERE chat IS NOT NULL GROUP BY chat",
  );
  const heldBy = new Map(counts.map(({ chat, n }) => [chat, n]));
  return chats.listLive(tx, maxClaimants).map((chat) => {
    const { capacity, taskTypes, isConnected } = chat;
    const held = heldBy.get(chat.chat) ?? 0;
    const lacks = task.capabilities.filter((needed) => !chat.capabilities.includes(needed));
    const obstacle = lastingObstacle(chat, task.type, lacks) ?? passingObstacle(tx, chat, held);
    return { chat: chat.chat, obstacle, lacks, capacity, held, taskTypes, isConnected };
  });
}

function lastingObstacle({ status, capacity, taskTypes }: Chat, type: string, lacks: string[]): Obstacle | null {
  if (status === "draining") return "draining";
  if (capacity === 0) return "takes_none";
  if (lacks.length > 0) return "lacks_capability";
  return taskTypes === null || taskTypes.includes("*") || taskTypes.includes(type) ? null : "other_types";
}

function passingObstacle(tx: Tx, { chat, capacity, status }: Chat, held: number): Obstacle | null {
  if (held >= capacity) return "full";
  if (status === "stuck") return "stuck";
  if (budgets.isChatSpent(tx, chat)) return "budget_spent";
  return budgets.isDaySpent(tx) ? "day_spent" : null;
}

/** [CL51] The lines that say why a task is in its state; details are indented. */
function explain(task: TaskFacts): string[] {
  const [first = "", ...others] = explainState(task);
  return [`Task ${task.task} (${task.type}) ${first}`, ...others].map(
    (line) => `${line.startsWith("  ") ? "  " : ""}${oneLine(line, maxLineChars)}`,
  );
}

const maxLineChars = 1_000;

function explainState(task: TaskFacts): string[] {
  switch (task.state) {
    case "blocked":
      return explainBlocked(task);
    case "scheduled":
      return explainScheduled(task);
    case "queued":
      return explainQueued(task);
    case "assigned":
      return [
        `is assigned to ${task.chat}, and has not started: it must start within ${age(task.dueInMs ?? 0)}, or it is queued again.`,
      ];
    case "running":
      return explainRunning(task);
    case "done":
      return explainDone(task);
    case "dead":
      return explainDead(task);
    case "cancelled":
      return [`is cancelled${reasonText(task.detail)}.`, ...task.attempts.map(attemptLine)];
  }
}

function explainBlocked({ needs, joinRule }: TaskFacts): string[] {
  const open = needs.filter(({ known }) => known !== null && !endStates.has(known.state));
  return [
    `is blocked: ${open.length} of the ${pluralize(needs.length, "task")} that it depends on must end first.`,
    ...open.map(neededLine),
    ...(joinRule === null ? [] : [`Then the coordinator joins their results by the rule ${joinRule}.`]),
  ];
}

const endStates: ReadonlySet<string> = new Set(["done", "dead", "cancelled"]);

function neededLine({ task, known }: NeededTask): string {
  if (known === null) return `  task ${task}: it has ended, and is no longer kept`;
  const { type, state, reason, chat, progress } = known;
  const by = chat === null ? "" : `by ${chat}`;
  return `  task ${task} (${type}): ${[state + parenthesized(reason), by, progressText(progress)].filter(Boolean).join(", ")}`;
}

function explainScheduled({ dueInMs, maxAttempts, attempts: [last] }: TaskFacts): string[] {
  const first = `is scheduled: it is queued in ${age(dueInMs ?? 0)}.`;
  if (last?.state !== "scheduled") return [first, "It was submitted with this delay."];
  const { attempt, chat, end, reason } = last;
  const ended = `Attempt ${attempt} of ${maxAttempts}, by ${chat}, ended: ${end}${reasonText(reason)}.`;
  return [first, `${ended} It waits before the next one.`];
}

function explainQueued({ claimants, dueInMs }: TaskFacts): string[] {
  return [
    `is queued: ${claimantsText(claimants)}`,
    ...claimants.map(
      (one) => `  ${one.chat}: ${one.obstacle === null ? readyText(one) : obstacles[one.obstacle](one)}`,
    ),
    ...(dueInMs === null ? [] : [`If no chat takes it within ${age(dueInMs)}, it expires.`]),
  ];
}

function claimantsText(claimants: readonly Claimant[]): string {
  const ready = claimants.filter(({ obstacle }) => obstacle === null).length;
  const chats = pluralize(claimants.length, "live chat");
  if (claimants.length === 0) return "there is no live chat that could take it.";
  if (claimants.length === 1) return `the only live chat ${ready === 1 ? "can take it" : "cannot take it now"}.`;
  return ready === 0 ? `none of the ${chats} can take it now.` : `${ready} of the ${chats} can take it.`;
}

function readyText({ held, capacity, taskTypes, isConnected }: Claimant): string {
  const room = `has ${held} of ${pluralize(capacity, "task")}`;
  if (taskTypes === null) return `${room}; takes it when it asks`;
  return isConnected ? `${room}; gets it with the next dispatch` : `${room}; is not connected, so it must ask`;
}

const obstacles: Record<Obstacle, (claimant: Claimant) => string> = {
  draining: () => "is draining: it finishes what it has",
  takes_none: () => "takes no tasks",
  lacks_capability: ({ lacks }) => `lacks ${lacks.join(", ")}`,
  other_types: ({ taskTypes }) => `is only assigned ${taskTypes?.join(", ")}`,
  full: ({ held, capacity }) => `is full: it has ${held} of ${pluralize(capacity, "task")}`,
  stuck: () => "reports that it is stuck: it is assigned nothing until it continues",
  budget_spent: () => "has used up its budget: it starts nothing until that is raised",
  day_spent: () => "must wait: the budget of the workspace is used up for today (UTC)",
};

function explainRunning({ chat, failures, maxAttempts, running, progress, isCancelAsked }: TaskFacts): string[] {
  const done = progressText(progress);
  return [
    `is running: by ${chat}${running ? ` for ${age(running.startedAgeMs)}` : ""}, attempt ${failures + 1} of ${maxAttempts}.`,
    done === "" ? "No progress was reported." : `Progress: ${done}`,
    ...(running
      ? [
          `Last heartbeat: ${age(running.heardAgeMs)} ago; after ${age(running.silenceLeftMs)} more without one it has stalled.`,
          `The attempt must end within ${age(running.remainingMs)}, or it times out.`,
        ]
      : []),
    ...(isCancelAsked ? ["It was cancelled: its chat learns of it in the answer to its next heartbeat."] : []),
  ];
}

function explainDone(task: TaskFacts): string[] {
  const {
    joinRule,
    attempts: [last],
  } = task;
  if (joinRule !== null) return [`is done: the coordinator has joined the results of its parts (${joinRule}).`];
  if (!last) return ["is done."];
  const ran = last.ranMs === null ? "" : `, after ${age(last.ranMs)}`;
  return [`is done: by ${last.chat}, ${age(last.endedAgeMs)} ago${ran}.`, ...workLines(task)];
}

/** [CL123] Where a worker did it in a worktree. */
function workLines({ result, parts }: TaskFacts): string[] {
  const { data } = WorkResult.safeParse(result);
  if (!data) return [];
  const { branch, commit, machine, tests } = data;
  if (branch === null) return ["It has no branch: nothing was changed."];
  const untested = "no tests ran on it: its worker's settings name none (jobTests)";
  const tested = tests ? `its tests have passed: ${tests.command}` : parts.length > 0 ? untested : null;
  const where = `${commit.slice(0, 12)}${machine === undefined ? "" : ` on ${machine}`}`;
  return [`Its work is on ${branch} (${where})${tested === null ? "" : `; ${tested}`}.`];
}

function explainDead(task: TaskFacts): string[] {
  const { reason, detail, needs, attempts } = task;
  const failed = needs.filter(({ known }) => known?.state === "dead" || known?.state === "cancelled");
  return [
    `is dead: ${reason === null ? "for a reason that is not known" : deaths[reason](task)}.`,
    ...(detail === null ? [] : [`Last report: ${detail}`]),
    ...failed.map(neededLine),
    ...attempts.map(attemptLine),
    reason === "discarded"
      ? "It cannot be replayed; submit it again if it is still needed."
      : `${reason === "dependency" ? "First replay those. " : ""}A replay starts it again, a discard gives it up.`,
  ];
}

const deaths: Record<DeathReason, (task: TaskFacts) => string> = {
  failed: ({ failures, maxAttempts }) =>
    failures < maxAttempts
      ? `another attempt would not fix its last failure (${failures} of ${pluralize(maxAttempts, "attempt")})`
      : `all of its ${pluralize(maxAttempts, "attempt")} failed`,
  poison: ({ lostChats, stalls }) =>
    `it was ended as poison, after ${pluralize(lostChats, "lost chat")} and ${pluralize(stalls, "stall")}`,
  expired: () => "no chat started it in time",
  dependency: () => "a task that it depends on is dead or cancelled",
  budget_exceeded: () => "a limit was reached",
  discarded: () => "it was discarded",
};

function attemptLine({ attempt, chat, end, ranMs, endedAgeMs, reason }: Attempt): string {
  const ran = ranMs === null ? "not started" : `after ${age(ranMs)}`;
  return `  attempt ${attempt}, by ${chat}: ${end}, ${ran}, ${age(endedAgeMs)} ago${reasonText(reason)}`;
}

function reasonText(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}

function parenthesized(reason: string | null): string {
  return reason === null ? "" : ` (${reason})`;
}
