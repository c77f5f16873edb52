import { age, clip } from "../../shared/format.ts";
import type { Remark, Statement, WorkState } from "../../contract/work-state.ts";
import type { FinishedTask } from "../sessions/recoveries.ts";
import type { TaskOfSession } from "./tasks-at-death.ts";
import { outdatedBy } from "../sessions/statements.ts";
import { neutralize } from "../words/neutralize.ts";
import type { SourcedText } from "../sessions/current-work.ts";

/** Lines of the highest rank are left out first, of one rank the last of their part. */
export interface BriefLine {
  readonly text: string;
  readonly rank: 0 | 1 | 2 | 3 | 4 | 5;
  /** The user's or the chat's words that it shows. */
  readonly shows?: string;
}

export interface BriefSection {
  readonly heading?: string | ((shown: number) => string);
  readonly lines: readonly BriefLine[];
  readonly isNewestLast?: boolean;
}

export function newestLast(heading: NonNullable<BriefSection["heading"]>, lines: readonly BriefLine[]): BriefSection {
  return { heading, lines, isNewestLast: true };
}

/** Marks a text that names what was retracted later, or a decision with a later remark. */
export function annotateOutdated(
  state: WorkState,
  { text, at }: { text: string; at: number | null },
  width: number,
): string {
  const changed = outdatedBy(state, text, at) ?? laterRemark(state, text, at, ({ takenBack }) => takenBack);
  const said = changed ? null : laterRemark(state, text, at, ({ followedBy }) => followedBy);
  const note = changed ? ` [changed later: ${oneLine(changed.text, 120)}]` : "";
  return `${oneLine(text, width)}${said ? ` [said later: ${oneLine(said.text, 120)}]` : note}`;
}

function laterRemark(
  { decided = [] }: WorkState,
  text: string,
  at: number | null,
  remarkOn: (decision: Statement) => Remark | undefined,
): Remark | null {
  const plain = text.replaceAll(/\s+/g, " ");
  const remarks = decided.flatMap((one) => (plain.includes(one.text) ? [remarkOn(one)] : []));
  return remarks.findLast((one) => one && one.text !== plain && (at === null || at < one.at)) ?? null;
}

export function formatSourced(state: WorkState, { text, source, at }: SourcedText, now: number, width: number): string {
  return `${annotateOutdated(state, { text, at }, width)}${formatSource(`${source}, `, now, at)}`;
}

export function formatSource(source: string, now: number, at: number | null): string {
  const time = at === null || at === 0 ? "" : `${age(now - at)} ago`;
  const all = `${source}${time}`.replace(/, $/, "");
  return all === "" ? "" : ` (${all})`;
}

export function formatWhen(now: number, at: number | null): string {
  return formatSource("", now, at);
}

export function rankedLines(rank: BriefLine["rank"], texts: readonly string[]): BriefLine[] {
  return texts.map((text) => ({ text, rank }));
}

export function oneLine(text: string, max: number): string {
  return clip(neutralize(text).replaceAll(/\s+/g, " ").trim(), max);
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
