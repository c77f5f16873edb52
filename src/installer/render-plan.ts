import type { FileEdit, Plan } from "./file-edits.ts";

/** Context lines of a change. Few, since a neighbouring entry may be confidential. */
const contextLines = 2;
/** Product of line counts above which a changed part is shown as removed and added whole. */
const maxTableCells = 4_000_000;
const maxLineChars = 160;

/** @param maxLines of the changes of one file */
export function renderPlan(plan: Plan, maxLines = Infinity): string {
  const head = `${plan.action === "install" ? "Set up" : "Remove from"} ${plan.target.label}`;
  const edits = plan.edits.length === 0 ? ["Nothing to change."] : plan.edits.map((edit) => renderEdit(edit, maxLines));
  const notes = plan.notes.map((note) => `Note: ${note}`);
  return `${[head, ...edits, ...notes].join("\n")}\n`;
}

function renderEdit({ path, before, after, summary }: FileEdit, maxLines: number): string {
  const from = before === null ? "(no file)" : path;
  const to = after === null ? "(deleted)" : path;
  const changes = after === null ? [] : diff(linesOf(before ?? ""), linesOf(after));
  const left = changes.length - maxLines;
  const rest = left > 0 ? [`… ${left} more lines; --dry-run shows all`] : [];
  const shown = left > 0 ? changes.slice(0, maxLines) : changes;
  return [`--- ${from}`, `+++ ${to}`, ...summary.map((line) => `# ${line}`), ...shown, ...rest].join("\n");
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
}

interface DiffLine {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

function diff(before: readonly string[], after: readonly string[]): string[] {
  const { start, end } = commonEnds(before, after);
  const lines = [
    ...before.slice(0, start).map(unchangedLine),
    ...diffChanged(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(unchangedLine),
  ];
  return hunks(lines);
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

function unchangedLine(text: string): DiffLine {
  return { mark: " ", text };
}

function diffChanged(before: readonly string[], after: readonly string[]): DiffLine[] {
  if (before.length === 1 && after.length === 1) return shorten(before[0] ?? "", after[0] ?? "");
  if (before.length * after.length > maxTableCells) return align(before, after, () => 0);
  return align(before, after, commonLengths(before, after));
}

function shorten(before: string, after: string): DiffLine[] {
  const { start, end } = commonEnds(before, after);
  const shortenLine = (text: string): string => {
    if (text.length <= maxLineChars && !severalKeys.test(text)) return text;
    return `…${text.slice(start, text.length - end)}…`;
  };
  return [
    { mark: "-", text: shortenLine(before) },
    { mark: "+", text: shortenLine(after) },
  ];
}

const severalKeys = /"\s*:.*"\s*:/;

type CommonLength = (i: number, j: number) => number;

/** Longest common subsequence of before[i..] and after[j..], by dynamic programming. */
function commonLengths(before: readonly string[], after: readonly string[]): CommonLength {
  const width = after.length + 1;
  const table = new Uint32Array((before.length + 1) * width);
  const at: CommonLength = (i, j) => table[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      table[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  return at;
}

function align(before: readonly string[], after: readonly string[], common: CommonLength): DiffLine[] {
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i + j < before.length + after.length) {
    const old = before[i];
    const fresh = after[j];
    if (old !== undefined && old === fresh && common(i, j) > 0) {
      lines.push(unchangedLine(old));
      i++;
      j++;
    } else if (fresh !== undefined && (old === undefined || common(i, j + 1) > common(i + 1, j))) {
      lines.push({ mark: "+", text: fresh });
      j++;
    } else {
      lines.push({ mark: "-", text: old ?? "" });
      i++;
    }
  }
  return lines;
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
    shown.push(`${mark} ${mark === " " ? clip(maskValues(text)) : maskToken(text)}`);
  });
  return shown;
}

/** Values beside the change may be keys of other servers. */
function maskValues(text: string): string {
  return text.replace(/("[^"]*"\s*:\s*)"[^"]{12,}"/g, '$1"…"');
}

/** A plan may be shown to others. */
function maskToken(text: string): string {
  return text.replace(/(authorization=Bearer |"token": ?")[\w-]{32,}/g, "$1…");
}

function clip(text: string): string {
  return text.length > maxLineChars ? `${text.slice(0, maxLineChars)}…` : text;
}
