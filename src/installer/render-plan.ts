import { diff } from "node:util";
import type { FileEdit, Plan } from "./file-edits.ts";

/** Sum of line counts above which a changed part is shown as removed and added whole. */
const maxComparedLines = 2_000;
const maxLineChars = 160;

export function renderPlan(plan: Plan): string {
  const head = `${plan.action === "install" ? "Set up" : "Remove from"} ${plan.target.label}`;
  const edits = plan.edits.length === 0 ? ["Nothing to change."] : plan.edits.map(renderEdit);
  const notes = plan.notes.map((note) => `Note: ${note}`);
  return `${[head, ...edits, ...notes].join("\n")}\n`;
}

function renderEdit({ path, before, after, summary }: FileEdit): string {
  const changes = after === null ? [] : changedLines(linesOf(before ?? ""), linesOf(after));
  return [
    `--- ${before === null ? "(no file)" : path}`,
    `+++ ${after === null ? "(deleted)" : path}`,
    ...summary.map(({ says }) => `# ${says}`),
    ...changes,
  ].join("\n");
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/** Without the lines around them, whose values may be keys of other servers. */
function changedLines(before: readonly string[], after: readonly string[]): string[] {
  const { start, end } = commonEnds(before, after);
  const old = before.slice(start, before.length - end);
  const fresh = after.slice(start, after.length - end);
  if (old.length === 1 && fresh.length === 1) return changedParts(old[0] ?? "", fresh[0] ?? "");
  if (old.length + fresh.length > maxComparedLines)
    return [...old.map((line) => `- ${line}`), ...fresh.map((line) => `+ ${line}`)];
  return diff(old, fresh).flatMap(([side, line], at, all) => {
    if (side !== 0) return `${side > 0 ? "-" : "+"} ${line}`;
    return all[at - 1]?.[0] === 0 ? [] : "@@";
  });
}

/** Parts that differ of a long line, and of one with several keys. */
function changedParts(old: string, fresh: string): string[] {
  const { start, end } = commonEnds(old, fresh);
  const short = (line: string): string =>
    line.length <= maxLineChars && !severalKeys.test(line) ? line : `…${line.slice(start, line.length - end)}…`;
  return [`- ${short(old)}`, `+ ${short(fresh)}`];
}

const severalKeys = /"\s*:.*"\s*:/;

/** Counts the lines, or characters, that both share at their start and at the end of the rest. */
function commonEnds(before: ArrayLike<string>, after: ArrayLike<string>): { start: number; end: number } {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { start, end };
}
