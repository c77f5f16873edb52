import { isEnded, type Claimant, type Needed, type Task, type TaskFacts } from "./task-facts.ts";
import type { Attempt } from "../../../contract/task-views.ts";
import type { DeathReason } from "../../../contract/tasks.ts";
import { age, oneLine, pluralize } from "../../../shared/format.ts";
import { progressText } from "./task-list.ts";
import { localTime } from "../../times.ts";

/** The lines that say why the task is in its state. */
export function explainTask(facts: TaskFacts, now: number): string[] {
  const [first = "", ...others] = explain(facts, now);
  return [`Task ${facts.task.task} (${facts.task.type}) ${first}`, ...others].map(indentLine);
}

function explain(facts: TaskFacts, now: number): string[] {
  const { task } = facts;
  switch (task.state) {
    case "blocked":
      return explainBlocked(facts);
    case "scheduled":
      return explainScheduled(facts, now);
    case "queued":
      return explainQueued(facts);
    case "assigned":
      return explainAssigned(task);
    case "running":
      return explainRunning(task);
    case "done":
      return explainDone(facts);
    case "dead":
      return explainDead(facts);
    case "cancelled":
      return explainCancelled(facts);
  }
}

const maxShownChars = 1_000;

function indentLine(text: string): string {
  return `${text.startsWith("  ") ? "  " : ""}${oneLine(text, maxShownChars)}`;
}

function explainDone({ task, attempts: [last] }: TaskFacts): string[] {
  if (task.joinRule !== null)
    return [`is done: the coordinator has joined the results of its parts (${task.joinRule}).`];
  if (!last) return ["is done."];
  const ran = last.ranMs === null ? "" : `, after ${age(last.ranMs)}`;
  return [`is done: by ${last.chat}, ${age(last.endedAgeMs)} ago${ran}.`];
}

function explainCancelled({ task, attempts }: TaskFacts): string[] {
  return [`is cancelled${reasonText(task.detail)}.`, ...attempts.map(attemptLine)];
}

function explainDead({ task, attempts, needs }: TaskFacts): string[] {
  const { reason } = task;
  const lastError = task.detail === null ? [] : [`Last report: ${task.detail}`];
  const failedDependencies = needs.filter(({ known }) => known?.state === "dead" || known?.state === "cancelled");
  return [
    `is dead: ${reason === null ? "for a reason that is not known" : deathText(reason, task)}.`,
    ...lastError,
    ...failedDependencies.map(neededLine),
    ...attempts.map(attemptLine),
    ...adviceFor(task),
  ];
}

function deathText(reason: DeathReason, { failures, maxAttempts, stalls, lostChats }: Task): string {
  switch (reason) {
    case "failed":
      return failures < maxAttempts
        ? `another attempt would not fix its last failure (${failures} of ${pluralize(maxAttempts, "attempt")})`
        : `all of its ${pluralize(maxAttempts, "attempt")} failed`;
    case "poison":
      return `it was ended as poison, after ${pluralize(lostChats, "lost chat")} and ${pluralize(stalls, "stall")}`;
    case "expired":
      return "no chat started it in time";
    case "dependency":
      return "a task that it depends on is dead or cancelled";
    case "budget_exceeded":
      return "a limit was reached";
    case "discarded":
      return "it was discarded";
  }
}

function attemptLine({ attempt, chat, end, ranMs, endedAgeMs, reason }: Attempt): string {
  const ran = ranMs === null ? "not started" : `after ${age(ranMs)}`;
  return `  attempt ${attempt}, by ${chat}: ${end}, ${ran}, ${age(endedAgeMs)} ago${reasonText(reason)}`;
}

function adviceFor({ task, reason }: Task): string[] {
  if (reason === "discarded") return ["It cannot be replayed; submit it again if it is still needed."];
  const first = reason === "dependency" ? "First replay those, then this one: " : "";
  return [
    `${first}\`shim task replay ${task}\` starts it again, \`shim task discard ${task} --reason <text>\` discards it.`,
  ];
}

function explainAssigned({ chat, dueInMs }: Task): string[] {
  return [
    `is assigned to ${chat}, and has not started: it must start within ${age(dueInMs ?? 0)}, or it is queued again.`,
  ];
}

function explainRunning({ chat, failures, maxAttempts, running, progress, isCancelAsked }: Task): string[] {
  const since = running === null ? "" : ` for ${age(running.startedAgeMs)}`;
  const progressNote = progressText(progress);
  return [
    `is running: by ${chat}${since}, attempt ${failures + 1} of ${maxAttempts}.`,
    progressNote === "" ? "No progress was reported." : `Progress: ${progressNote}`,
    ...(running === null ? [] : deadlines(running)),
    ...(isCancelAsked ? ["It was cancelled: its chat learns of it in the answer to its next heartbeat."] : []),
  ];
}

function deadlines({ heardAgeMs, silenceLeftMs, remainingMs }: NonNullable<Task["running"]>): string[] {
  return [
    `Last heartbeat: ${age(heardAgeMs)} ago; after ${age(silenceLeftMs)} more without one it has stalled.`,
    `The attempt must end within ${age(remainingMs)}, or it times out.`,
  ];
}

function explainBlocked({ task, needs }: TaskFacts): string[] {
  const open = needs.filter((needed) => !isEnded(needed));
  return [
    `is blocked: ${open.length} of the ${pluralize(needs.length, "task")} that it depends on must end first.`,
    ...open.map(neededLine),
    ...(task.joinRule === null ? [] : [`Then the coordinator joins their results by the rule ${task.joinRule}.`]),
  ];
}

function neededLine({ task, known }: Needed): string {
  if (known === null) return `  task ${task}: it has ended, and is no longer kept`;
  const { type, state, reason, chat, progress } = known;
  const details = [
    `${state}${reason === null ? "" : ` (${reason})`}`,
    chat === null ? "" : `by ${chat}`,
    progressText(progress),
  ];
  return `  task ${task} (${type}): ${details.filter((text) => text !== "").join(", ")}`;
}

function explainScheduled({ task, attempts: [last] }: TaskFacts, now: number): string[] {
  const inMs = task.dueInMs ?? 0;
  const lines = [`is scheduled: it is queued at ${localTime(now + inMs)}, in ${age(inMs)}.`];
  if (last?.state !== "scheduled") return [...lines, "It was submitted with this delay."];
  return [
    ...lines,
    `Attempt ${last.attempt} of ${task.maxAttempts}, by ${last.chat}, ended: ${last.end}${reasonText(last.reason)}. It waits before the next one.`,
  ];
}

function explainQueued({ task, takers }: TaskFacts): string[] {
  const claimantCount = takers.filter(({ obstacle }) => obstacle === null).length;
  const expiry = task.dueInMs === null ? [] : [`If no chat takes it within ${age(task.dueInMs)}, it expires.`];
  const lines = takers.map((claimant) => `  ${claimant.chat}: ${formatClaimant(claimant)}`);
  return [`is queued: ${formatClaimantCount(claimantCount, takers.length)}`, ...lines, ...expiry];
}

function formatClaimantCount(claimantCount: number, chatCount: number): string {
  if (chatCount === 0) return "there is no live chat that could take it.";
  if (chatCount === 1) return `the only live chat ${claimantCount > 0 ? "can take it" : "cannot take it now"}.`;
  if (claimantCount > 0) return `${claimantCount} of the ${pluralize(chatCount, "live chat")} can take it.`;
  return `none of the ${pluralize(chatCount, "live chat")} can take it now.`;
}

function formatClaimant(claimant: Claimant): string {
  return claimant.obstacle === null ? readyText(claimant) : obstacles[claimant.obstacle](claimant);
}

const obstacles: Record<NonNullable<Claimant["obstacle"]>, (claimant: Claimant) => string> = {
  draining: () => "is draining: it finishes what it has",
  takes_none: () => "takes no tasks",
  lacks_capability: ({ lacks }) => `lacks ${lacks.join(", ")}`,
  other_types: ({ taskTypes }) => `is only assigned ${taskTypes?.join(", ")}`,
  full: ({ held, capacity }) => `is full: it has ${held} of ${pluralize(capacity, "task")}`,
  stuck: () => "reports that it is stuck: it is assigned nothing until it continues",
  budget_spent: () => "has used up its budget: it starts nothing until that is raised",
  day_spent: () => "must wait: the budget of the workspace is used up for today (UTC)",
};

function readyText({ held, capacity, taskTypes, isConnected }: Claimant): string {
  const room = `has ${held} of ${pluralize(capacity, "task")}`;
  if (taskTypes === null) return `${room}; takes it when it asks`;
  return isConnected ? `${room}; gets it with the next dispatch` : `${room}; is not connected, so it must ask`;
}

function reasonText(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}
