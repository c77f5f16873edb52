import type { Position } from "../analysis/finding.ts";

/**
 * Pure. [EV214] Hunks of a patch without context whose lines belong to findings that stay. Of
 * several findings at the same lines the one with the fewest counts; lines of no finding belong to
 * the change.
 */
export function hunksOf(patch: string, changed: readonly Position[], left: readonly Position[]): string {
  const all = [...changed.map((one) => ({ ...one, stays: false })), ...left.map((one) => ({ ...one, stays: true }))];
  const files = patch.split(/^(?=diff --git )/m).map((part) => {
    const [header = "", ...hunks] = part.split(/^(?=@@ )/m);
    const file = /^--- "?a\/(.+?)"?$/m.exec(header)?.[1];
    const own = all.filter((one) => one.file === file);
    const kept = hunks.flatMap(byLine).filter((hunk) => isOfStaying(hunk, own));
    return kept.length === 0 ? "" : header + kept.join("");
  });
  return files.join("");
}

/** Neighbouring lines are one hunk, also where each has changed on its own. */
function byLine(hunk: string): string[] {
  const [head = "", ...body] = hunk.split(/(?<=\n)/);
  const [, before = "0", after = "0"] = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(head) ?? [];
  const removed = body.filter((line) => line.startsWith("-"));
  const added = body.filter((line) => line.startsWith("+"));
  const isPaired = removed.length === added.length && removed.length + added.length === body.length;
  if (!isPaired) return [hunk];
  return removed.map((line, at) => `@@ -${Number(before) + at} +${Number(after) + at} @@\n${line}${added[at] ?? ""}`);
}

function isOfStaying(hunk: string, findings: readonly (Position & { readonly stays: boolean })[]): boolean {
  const [, start = "0", count = "1"] = /^@@ -(\d+)(?:,(\d+))? /.exec(hunk) ?? [];
  const first = Number(start);
  const last = first + Math.max(1, Number(count)) - 1;
  const over = findings.flatMap(({ range, stays }) => {
    const from = range?.line ?? 0;
    const to = range?.endLine ?? from;
    return from <= last && first <= to ? [{ lines: to - from, stays }] : [];
  });
  const narrowest = Math.min(...over.map(({ lines }) => lines));
  const owners = over.filter(({ lines }) => lines === narrowest);
  return owners.length > 0 && owners.every(({ stays }) => stays);
}
