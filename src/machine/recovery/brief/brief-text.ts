import { formatAgo, oneLine as shownLine } from "../../../shared/format.ts";
import { isPast } from "../../../shared/known-time.ts";
import { neutralize, removeMarks } from "../../sessions/text/neutralize.ts";
import type { TaskOfSession } from "../../sessions/session-content.ts";

export function oneLine(text: string, max: number): string {
  return shownLine(neutralize(text), max);
}

export function sanitize(line: string): string {
  return removeMarks(line).replaceAll("\n", " ");
}

/** @param at epoch ms; null or absent: the time is not known */
export function formatWhen(now: number, at: number | null | undefined): string {
  return at === null || at === undefined || !isPast(now, at) ? "" : ` (${formatAgo(now, at)})`;
}

/** Another machine has chosen its name, which is also outside of the fence. */
export function quotedMachine(machine: string): string {
  return machine.replaceAll(/shim-recovered-session|[^\w.@-]+/gi, "-").slice(0, 60);
}

export function formatEvents(count: number): string {
  return count === 1 ? "1 event" : `${count} events`;
}

export function formatTask({ task, type }: TaskOfSession): string {
  return `its task ${task} (${type}) was not finished then: it is queued again, and shim_next takes it with what was left of it; \`shim task show ${task}\` says whether another chat has done it`;
}
