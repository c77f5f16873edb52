import type { Attempt } from "../../../../contract/task-views.ts";
import type { DeathReason } from "../../../../contract/tasks.ts";
import { age } from "../../../../shared/format.ts";
import { pluralize } from "../../../screen-text.ts";
import type { Task, TaskFacts } from "./task-facts.ts";
import { neededLine, reasonText } from "./waiting-tasks.ts";

export function explainDone({ task, attempts: [last] }: TaskFacts): string[] {
  if (task.joinRule !== null)
    return [`is done: the coordinator has joined the results of its parts (${task.joinRule}).`];
  if (!last) return ["is done."];
  const ran = last.ranMs === null ? "" : `, after ${age(last.ranMs)}`;
  return [`is done: by ${last.chat}, ${age(last.endedAgeMs)} ago${ran}.`];
}

export function explainCancelled({ task, attempts }: TaskFacts): string[] {
  return [`is cancelled${reasonText(task.detail)}.`, ...attempts.map(attemptLine)];
}

export function explainDead({ task, attempts, needs }: TaskFacts): string[] {
  const { reason } = task;
  const lastError = task.detail === null ? [] : [`Last said: ${task.detail}`];
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
        ? `its last failure is none that another attempt would mend (${failures} of ${pluralize(maxAttempts, "attempt")})`
        : `all of its ${pluralize(maxAttempts, "attempt")} failed`;
    case "poison":
      return `it was given up as poison, after ${pluralize(lostChats, "lost chat")} and ${pluralize(stalls, "stall")}`;
    case "expired":
      return "no chat took it in time";
    case "dependency":
      return "one that it depends on is dead or cancelled";
    case "budget_exceeded":
      return "a limit was reached";
    case "discarded":
      return "it was given up for good";
  }
}

function attemptLine({ attempt, chat, end, ranMs, endedAgeMs, reason }: Attempt): string {
  const ran = ranMs === null ? "not begun" : `after ${age(ranMs)}`;
  return `  attempt ${attempt}, by ${chat}: ${end}, ${ran}, ${age(endedAgeMs)} ago${reasonText(reason)}`;
}

function adviceFor({ task, reason }: Task): string[] {
  if (reason === "discarded") return ["It is not replayed; what is still wanted is submitted anew."];
  const first = reason === "dependency" ? "First replay those, then it: " : "";
  return [
    `${first}\`shim queue replay ${task}\` begins it anew, \`shim queue discard ${task} --reason <text>\` gives it up.`,
  ];
}
