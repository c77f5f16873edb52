/** A line of one of two texts, or of both. */
export interface DiffLine {
  readonly sign: " " | "+" | "-";
  readonly text: string;
}

/** The lines of two texts; where they differ, those of the older one come first. */
export interface LineDiff {
  readonly lines: readonly DiffLine[];
  /** False: more lines differ than are compared, so those between the first and the last do all. */
  readonly isCompared: boolean;
}

/** Texts with more lines that differ are not compared line by line. */
const maxDiffering = 1_000;

/** Pure. */
export function diffLines(before: string, after: string): LineDiff {
  const [old, now] = [linesOf(before), linesOf(after)];
  const start = commonLength(old, now);
  const end = commonLength(old.slice(start).toReversed(), now.slice(start).toReversed());
  const [oldMiddle, nowMiddle] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  const compared = signsOf(oldMiddle, nowMiddle);
  const signs = [
    ...Array<DiffLine["sign"]>(start).fill(" "),
    ...(compared ?? allDiffer(oldMiddle, nowMiddle)),
    ...Array<DiffLine["sign"]>(end).fill(" "),
  ];
  let [a, b] = [0, 0];
  const lines = signs.map((sign) => {
    const text = (sign === "+" ? now[b] : old[a]) ?? "";
    if (sign !== "+") a += 1;
    if (sign !== "-") b += 1;
    return { sign, text };
  });
  return { lines, isCompared: compared !== null };
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split("\n");
}

function commonLength(one: readonly string[], other: readonly string[]): number {
  const differing = one.findIndex((line, at) => line !== other[at]);
  return differing < 0 ? Math.min(one.length, other.length) : differing;
}

function allDiffer(old: readonly string[], now: readonly string[]): DiffLine["sign"][] {
  return [...Array<DiffLine["sign"]>(old.length).fill("-"), ...Array<DiffLine["sign"]>(now.length).fill("+")];
}

/**
 * Myers' search for the shortest edit: its time grows with the square of the lines that differ.
 *
 * @returns null: too many do
 */
function signsOf(old: readonly string[], now: readonly string[]): DiffLine["sign"][] | null {
  if (old.length === 0 || now.length === 0) return allDiffer(old, now);
  const most = Math.min(maxDiffering, old.length + now.length);
  /** Before each step: the furthest old line on each diagonal, its number less the new one's. */
  const steps: Int32Array[] = [];
  const furthest = new Int32Array(2 * most + 3);
  for (let step = 0; step <= most; step++) {
    steps.push(furthest.slice());
    for (let diagonal = -step; diagonal <= step; diagonal += 2) {
      const from = cameFrom(furthest, diagonal, step);
      let a = lineAt(furthest, from) + (from < diagonal ? 1 : 0);
      while (a < old.length && a - diagonal < now.length && old[a] === now[a - diagonal]) a += 1;
      furthest[(furthest.length >> 1) + diagonal] = a;
      if (a >= old.length && a - diagonal >= now.length) return signsBack(steps, old.length, now.length);
    }
  }
  return null;
}

function lineAt(furthest: Int32Array, diagonal: number): number {
  return furthest[(furthest.length >> 1) + diagonal] ?? 0;
}

/** The diagonal above for a line that is added, the one below for one that is removed. */
function cameFrom(furthest: Int32Array, diagonal: number, step: number): number {
  const isAdded =
    diagonal === -step || (diagonal !== step && lineAt(furthest, diagonal - 1) < lineAt(furthest, diagonal + 1));
  return isAdded ? diagonal + 1 : diagonal - 1;
}

function signsBack(steps: readonly Int32Array[], oldLength: number, nowLength: number): DiffLine["sign"][] {
  const signs: DiffLine["sign"][] = [];
  let [a, b] = [oldLength, nowLength];
  for (const [step, furthest] of [...steps.entries()].toReversed()) {
    const from = cameFrom(furthest, a - b, step);
    const isFirst = step === 0;
    const [fromA, isAdded] = isFirst ? [0, false] : [lineAt(furthest, from), from > a - b];
    const same = isFirst ? a : a - fromA - (isAdded ? 0 : 1);
    signs.push(...Array<DiffLine["sign"]>(same).fill(" "));
    if (!isFirst) signs.push(isAdded ? "+" : "-");
    [a, b] = [fromA, fromA - from];
  }
  return signs.toReversed();
}
