import { age, clip } from "../../shared/format.ts";
import type { FinishedTask } from "../sessions/recoveries.ts";
import { onOneLine } from "../text/excerpt.ts";
import { neutralize } from "../text/neutralize.ts";
import type { TaskOfSession } from "./tasks-at-death.ts";

export function oneLine(text: string, max: number): string {
  return clip(onOneLine(neutralize(text)), max);
}

/** @param at epoch ms; null or absent: the time is not known */
export function formatWhen(now: number, at: number | null | undefined): string {
  return at === null || at === undefined || at === 0 ? "" : ` (${age(now - at)} ago)`;
}

/** Another machine has chosen its name, which is also outside of the fence. */
export function quotedMachine(machine: string): string {
  return machine.replaceAll(/shim-recovered-session|[^\w.@-]+/gi, "-").slice(0, 60);
}

export function formatEvents(count: number): string {
  return count === 1 ? "1 event" : `${count} events`;
}

export function formatOpenTask({ task, type }: TaskOfSession): string {
  return `its task ${task} (${type}) was not finished: it is queued again, and shim_next takes it with what was left of it`;
}

export function formatFinishedTask({ task, type, state, by }: FinishedTask): string {
  if (state === "cancelled") return `its task ${task} (${type}) was cancelled: it is no longer needed`;
  return `its task ${task} (${type}) was finished by ${by ?? "another chat"}: do not do it again`;
}
