import type { FileEdit, Plan } from "./plan.ts";

/** Lines shown before and after a change. Few, since a neighbour's entry may hold what is nobody else's business. */
const contextLines = 2;
/** Beyond this product of line counts a changed part is shown as taken out and put in whole. */
const largestTable = 4_000_000;
const longestLine = 160;

/** [IN3] The plan as text, like a unified diff; for a dry run and for the question before a change. */
export function renderPlan(plan: Plan): string {
  const head = `${plan.action === "install" ? "Set up" : "Remove from"} ${plan.target.label}`;
  const edits = plan.edits.length === 0 ? ["Nothing to change."] : plan.edits.map(renderEdit);
  const notes = plan.notes.map((note) => `Note: ${note}`);
  return `${[head, ...edits, ...notes].join("\n")}\n`;
}

function renderEdit({ path, before, after, summary }: FileEdit): string {
  const from = before === null ? "(no file)" : path;
  const to = after === null ? "(deleted)" : path;
  const changes = after === null ? [] : diff(linesOf(before ?? ""), linesOf(after));
  return [`--- ${from}`, `+++ ${to}`, ...summary.map((line) => `# ${line}`), ...changes].join("\n");
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
}

interface Line {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

function diff(before: readonly string[], after: readonly string[]): string[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end++;
  const lines = [
    ...before.slice(0, start).map(same),
    ...changed(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
  return hunks(lines);
}

function same(text: string): Line {
  return { mark: " ", text };
}

function changed(before: readonly string[], after: readonly string[]): Line[] {
  if (before.length === 1 && after.length === 1) return shorten(before[0] ?? "", after[0] ?? "");
  if (before.length * after.length > largestTable) return align(before, after, () => 0);
  return align(before, after, commonLengths(before, after));
}

/** One line with much on it, as of a minified file: only what differs, since the rest is not SHIM's business. */
function shorten(before: string, after: string): Line[] {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end++;
  const cut = (text: string): string => {
    if (text.length <= longestLine && !severalKeys.test(text)) return text;
    return `…${text.slice(start, text.length - end)}…`;
  };
  return [
    { mark: "-", text: cut(before) },
    { mark: "+", text: cut(after) },
  ];
}

const severalKeys = /"\s*:.*"\s*:/;

type Common = (i: number, j: number) => number;

/** Length of the longest common subsequence of before[i..] and after[j..], by dynamic programming. */
function commonLengths(before: readonly string[], after: readonly string[]): Common {
  const width = after.length + 1;
  const table = new Uint32Array((before.length + 1) * width);
  const at: Common = (i, j) => table[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      table[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  return at;
}

function align(before: readonly string[], after: readonly string[], common: Common): Line[] {
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i + j < before.length + after.length) {
    const old = before[i];
    const fresh = after[j];
    if (old !== undefined && old === fresh && common(i, j) > 0) {
      lines.push(same(old));
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

function hunks(lines: readonly Line[]): string[] {
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
    shown.push(`${mark} ${mark === " " ? clip(masked(text)) : text}`);
  });
  return shown;
}

/** A value beside the change may be a key of another server. What SHIM changes is shown in full. */
function masked(text: string): string {
  return text.replace(/("[^"]*"\s*:\s*)"[^"]{12,}"/g, '$1"…"');
}

function clip(text: string): string {
  return text.length > longestLine ? `${text.slice(0, longestLine)}…` : text;
}
