import { diff } from "node:util";
import type { FileEdit, Plan } from "./file-edits.ts";

/** Context lines of a change. Few, since a neighbouring entry may be confidential. */
const contextLines = 2;
/** Sum of line counts above which a changed part is shown as removed and added whole. */
const maxComparedLines = 2_000;
const maxLineChars = 160;

/** @param maxLines of the changes of one file */
export function renderPlan(plan: Plan, maxLines = Infinity): string {
  const head = `${plan.action === "install" ? "Set up" : "Remove from"} ${plan.target.label}`;
  const edits = plan.edits.length === 0 ? ["Nothing to change."] : plan.edits.map((edit) => renderEdit(edit, maxLines));
  const notes = plan.notes.map((note) => `Note: ${note}`);
  return `${[head, ...edits, ...notes].join("\n")}\n`;
}

function renderEdit({ path, before, after, summary }: FileEdit, maxLines: number): string {
  const changes = after === null ? [] : hunks(compare(linesOf(before ?? ""), linesOf(after)));
  const left = changes.length - maxLines;
  return [
    `--- ${before === null ? "(no file)" : path}`,
    `+++ ${after === null ? "(deleted)" : path}`,
    ...summary.map((line) => `# ${line}`),
    ...changes.slice(0, maxLines),
    ...(left > 0 ? [`… ${left} more lines; --dry-run shows all`] : []),
  ].join("\n");
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
}

interface DiffLine {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

function marked(mark: DiffLine["mark"]): (text: string) => DiffLine {
  return (text) => ({ mark, text });
}

function compare(before: readonly string[], after: readonly string[]): DiffLine[] {
  const { start, end } = commonEnds(before, after);
  return [
    ...before.slice(0, start).map(marked(" ")),
    ...compareChanged(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(marked(" ")),
  ];
}

/** Counts the lines, or characters, that both share at their start and at the end of the rest. */
function commonEnds(before: ArrayLike<string>, after: ArrayLike<string>): { start: number; end: number } {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { start, end };
}

const severalKeys = /"\s*:.*"\s*:/;

function compareChanged(before: readonly string[], after: readonly string[]): DiffLine[] {
  const [old = "", fresh = ""] = [before[0], after[0]];
  if (before.length === 1 && after.length === 1) {
    const { start, end } = commonEnds(old, fresh);
    const short = (text: string): string =>
      text.length <= maxLineChars && !severalKeys.test(text) ? text : `…${text.slice(start, text.length - end)}…`;
    return [marked("-")(short(old)), marked("+")(short(fresh))];
  }
  if (before.length + after.length > maxComparedLines) return [...before.map(marked("-")), ...after.map(marked("+"))];
  return diff(before, after).map(([side, text]) => marked(side === 0 ? " " : side > 0 ? "-" : "+")(text));
}

function hunks(lines: readonly DiffLine[]): string[] {
  const isNear = (at: number): boolean =>
    lines.slice(Math.max(0, at - contextLines), at + contextLines + 1).some(({ mark }) => mark !== " ");
  const shown: string[] = [];
  let isGap = false;
  lines.forEach(({ mark, text }, at) => {
    if (mark === " " && !isNear(at)) {
      isGap = true;
      return;
    }
    if (isGap) shown.push("@@");
    isGap = false;
    shown.push(`${mark} ${mark === " " ? besideChange(text) : text.replace(token, "$1…")}`);
  });
  return shown;
}

/** A plan may be shown to others. */
const token = /(authorization=Bearer |"token": ?")[\w-]{32,}/g;

/** Values beside the change may be keys of other servers. */
function besideChange(text: string): string {
  const masked = text.replace(/("[^"]*"\s*:\s*)"[^"]{12,}"/g, '$1"…"');
  return masked.length > maxLineChars ? `${masked.slice(0, maxLineChars)}…` : masked;
}
