/** Pure. */

export interface DiffLine {
  readonly sign: " " | "+" | "-";
  readonly text: string;
  /** From 1 in the older and the newer text; null: it is not in that one. */
  readonly before: number | null;
  readonly after: number | null;
}

/** Longer differing parts are not compared line by line. */
const maxCompared = 400;

/** @returns the lines of both texts, those that only the older one has first where they differ */
export function diffLines(before: string, after: string): DiffLine[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  const start = commonLength(old, now);
  const end = commonLength(old.slice(start).toReversed(), now.slice(start).toReversed());
  const [oldMiddle, nowMiddle] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  const signs = [
    ...Array<DiffLine["sign"]>(start).fill(" "),
    ...signsOf(oldMiddle, nowMiddle),
    ...Array<DiffLine["sign"]>(end).fill(" "),
  ];
  let [a, b] = [0, 0];
  return signs.map((sign) => {
    const text = (sign === "+" ? now[b] : old[a]) ?? "";
    return { sign, text, before: sign === "+" ? null : (a += 1), after: sign === "-" ? null : (b += 1) };
  });
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split("\n");
}

function commonLength(one: readonly string[], other: readonly string[]): number {
  const differing = one.findIndex((line, at) => line !== other[at]);
  return differing < 0 ? Math.min(one.length, other.length) : differing;
}

/** By the longest common subsequence of lines. */
function signsOf(old: readonly string[], now: readonly string[]): DiffLine["sign"][] {
  const all = (count: number, sign: DiffLine["sign"]): DiffLine["sign"][] => Array<DiffLine["sign"]>(count).fill(sign);
  if (old.length > maxCompared || now.length > maxCompared) return [...all(old.length, "-"), ...all(now.length, "+")];
  const lengths = commonLengths(old, now);
  const lengthAt = (a: number, b: number): number => lengths[a]?.[b] ?? 0;
  const signs: DiffLine["sign"][] = [];
  let [a, b] = [0, 0];
  while (a < old.length && b < now.length) {
    const isSame = old[a] === now[b];
    const sign = isSame ? " " : lengthAt(a + 1, b) >= lengthAt(a, b + 1) ? "-" : "+";
    signs.push(sign);
    if (sign !== "+") a += 1;
    if (sign !== "-") b += 1;
  }
  return [...signs, ...all(old.length - a, "-"), ...all(now.length - b, "+")];
}

/** Lengths of the longest common subsequences of what follows each pair of lines. */
function commonLengths(old: readonly string[], now: readonly string[]): Uint16Array[] {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (const [a, line] of [...old.entries()].toReversed()) {
    const [row, next] = [lengths[a], lengths[a + 1]];
    if (!row || !next) continue;
    for (let b = now.length - 1; b >= 0; b--)
      row[b] = line === now[b] ? 1 + (next[b + 1] ?? 0) : Math.max(next[b] ?? 0, row[b + 1] ?? 0);
  }
  return lengths;
}
