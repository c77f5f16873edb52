import { age } from "../../local-mcp/recovery/brief.ts";
import { progressText } from "../commands/task-list.ts";
import { many } from "../screen-text.ts";
import { localTime } from "../times.ts";
import type { Taker } from "./takers.ts";
import { isEnded, type Needed, type TaskFacts } from "./task-facts.ts";

/** Why a task that nobody has waits. Pure. */

export function blockedWhy({ needs }: TaskFacts): string[] {
  const open = needs.filter((needed) => !isEnded(needed));
  return [
    `is blocked: ${open.length} of the ${many(needs.length, "task")} that it depends on must end first.`,
    ...open.map(neededLine),
  ];
}

export function neededLine({ task, known }: Needed): string {
  if (known === null) return `  task ${task}: it has ended, and is no longer kept`;
  const { type, state, reason, chat, progress } = known;
  const told = [
    `${state}${reason === null ? "" : ` (${reason})`}`,
    chat === null ? "" : `by ${chat}`,
    progressText(progress),
  ];
  return `  task ${task} (${type}): ${told.filter((text) => text !== "").join(", ")}`;
}

/** @param now epoch ms, of this machine */
export function scheduledWhy({ task, attempts: [last] }: TaskFacts, now: number): string[] {
  const inMs = task.dueInMs ?? 0;
  const lines = [`is scheduled: it is queued at ${localTime(now + inMs)}, in ${age(inMs)}.`];
  if (last?.state !== "scheduled") return [...lines, "Its submit asked for that."];
  return [
    ...lines,
    `Attempt ${last.attempt} of ${task.maxAttempts}, by ${last.chat}, ended: ${last.end}${reasonText(last.reason)}. It waits before the next one.`,
  ];
}

export function queuedWhy({ task, takers }: TaskFacts): string[] {
  const able = takers.filter(({ obstacle }) => obstacle === null).length;
  const expiry =
    task.dueInMs === null ? [] : [`When nobody takes it for ${age(task.dueInMs)} more it is dead: expired.`];
  const lines = takers.map((taker) => `  ${taker.chat}: ${takerText(taker)}`);
  return [`is queued: ${ableText(able, takers.length)}`, ...lines, ...expiry];
}

function ableText(able: number, there: number): string {
  if (there === 0) return "no chat lives that could take it.";
  if (able > 0) return `${able} of the ${many(there, "chat")} that live can take it.`;
  return `none of the ${many(there, "chat")} that live can take it now.`;
}

function takerText(taker: Taker): string {
  switch (taker.obstacle) {
    case "takes_none":
      return "takes no tasks";
    case "draining":
      return "drains: it ends what it has";
    case "lacks_capability":
      return `lacks ${taker.lacks.join(", ")}`;
    case "full":
      return `is full: it has ${taker.held} of ${many(taker.capacity, "task")}`;
    case "other_types":
      return `is only given ${taker.taskTypes?.join(", ")}`;
    case null:
      return readyText(taker);
  }
}

function readyText({ held, capacity, taskTypes, isConnected }: Taker): string {
  const room = `has ${held} of ${many(capacity, "task")}`;
  if (taskTypes === null) return `${room}; takes it when it asks`;
  return isConnected ? `${room}; is given it by the next look` : `${room}; has no connection, so it must ask`;
}

export function reasonText(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}
