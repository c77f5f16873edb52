import { age } from "../../../../shared/format.ts";
import { progressText } from "../task-list.ts";
import { pluralize } from "../../../screen-text.ts";
import { localTime } from "../../../times.ts";
import type { Claimant } from "./claimants.ts";
import { isEnded, type Needed, type TaskFacts } from "./task-facts.ts";

export function explainBlocked({ task, needs }: TaskFacts): string[] {
  const open = needs.filter((needed) => !isEnded(needed));
  return [
    `is blocked: ${open.length} of the ${pluralize(needs.length, "task")} that it depends on must end first.`,
    ...open.map(neededLine),
    ...(task.joinRule === null ? [] : [`Then the coordinator joins their results by the rule ${task.joinRule}.`]),
  ];
}

export function neededLine({ task, known }: Needed): string {
  if (known === null) return `  task ${task}: it has ended, and is no longer kept`;
  const { type, state, reason, chat, progress } = known;
  const details = [
    `${state}${reason === null ? "" : ` (${reason})`}`,
    chat === null ? "" : `by ${chat}`,
    progressText(progress),
  ];
  return `  task ${task} (${type}): ${details.filter((text) => text !== "").join(", ")}`;
}

export function explainScheduled({ task, attempts: [last] }: TaskFacts, now: number): string[] {
  const inMs = task.dueInMs ?? 0;
  const lines = [`is scheduled: it is queued at ${localTime(now + inMs)}, in ${age(inMs)}.`];
  if (last?.state !== "scheduled") return [...lines, "Its submit asked for that."];
  return [
    ...lines,
    `Attempt ${last.attempt} of ${task.maxAttempts}, by ${last.chat}, ended: ${last.end}${reasonText(last.reason)}. It waits before the next one.`,
  ];
}

export function explainQueued({ task, takers }: TaskFacts): string[] {
  const claimantCount = takers.filter(({ obstacle }) => obstacle === null).length;
  const expiry = task.dueInMs === null ? [] : [`If no chat takes it within ${age(task.dueInMs)}, it is dead: expired.`];
  const lines = takers.map((claimant) => `  ${claimant.chat}: ${formatClaimant(claimant)}`);
  return [`is queued: ${formatClaimantCount(claimantCount, takers.length)}`, ...lines, ...expiry];
}

function formatClaimantCount(claimantCount: number, chatCount: number): string {
  if (chatCount === 0) return "no chat lives that could take it.";
  if (chatCount === 1) return `the one chat that lives ${claimantCount > 0 ? "can take it" : "cannot take it now"}.`;
  if (claimantCount > 0) return `${claimantCount} of the ${pluralize(chatCount, "chat")} that live can take it.`;
  return `none of the ${pluralize(chatCount, "chat")} that live can take it now.`;
}

function formatClaimant(claimant: Claimant): string {
  return claimant.obstacle === null ? readyText(claimant) : obstacles[claimant.obstacle](claimant);
}

const obstacles: Record<NonNullable<Claimant["obstacle"]>, (claimant: Claimant) => string> = {
  draining: () => "drains: it ends what it has",
  takes_none: () => "takes no tasks",
  lacks_capability: ({ lacks }) => `lacks ${lacks.join(", ")}`,
  other_types: ({ taskTypes }) => `is only given ${taskTypes?.join(", ")}`,
  full: ({ held, capacity }) => `is full: it has ${held} of ${pluralize(capacity, "task")}`,
  stuck: () => "says that it is stuck: it is given nothing before it goes on",
  budget_spent: () => "has used up its budget: it begins nothing until that is raised",
  day_spent: () => "must wait: the budget of the workspace is used up for today (UTC)",
};

function readyText({ held, capacity, taskTypes, isConnected }: Claimant): string {
  const room = `has ${held} of ${pluralize(capacity, "task")}`;
  if (taskTypes === null) return `${room}; takes it when it asks`;
  return isConnected ? `${room}; is given it by the next look` : `${room}; has no connection, so it must ask`;
}

export function reasonText(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}
