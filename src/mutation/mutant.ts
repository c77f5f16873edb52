import { createHash } from "node:crypto";

/** Lines and columns count from 1; the end column is the first one after the range. */
export interface Range {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

export interface Mutant {
  /** [MU3] Stable when other code of the file changes. */
  readonly id: string;
  /** Relative to the project, with `/`. */
  readonly file: string;
  readonly operator: string;
  readonly range: Range;
  /** In UTF-16 units of the file's text. */
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
}

/** Gives the mutants of one file their ids, in the order of their positions. */
export function withIds(mutants: readonly Omit<Mutant, "id">[]): Mutant[] {
  const counts = new Map<string, number>();
  return mutants.map((mutant) => {
    const normal = [mutant.before, mutant.after].map((text) => text.replaceAll(/\s+/g, " "));
    const key = [mutant.file, mutant.operator, ...normal].join("\0");
    const ordinal = counts.get(key) ?? 0;
    counts.set(key, ordinal + 1);
    const id = createHash("sha256").update(`${key}\0${ordinal}`).digest("hex").slice(0, 12);
    return { id, ...mutant };
  });
}

export function mutate(source: string, { start, end, after }: Mutant): string {
  return source.slice(0, start) + after + source.slice(end);
}

/** [MU4] The same seed draws the same items. They keep their order. */
export function sample<Item>(items: readonly Item[], count: number, random: () => number): Item[] {
  if (items.length <= count) return [...items];
  const drawn = items.map((item, index) => ({ item, index, key: random() })).sort((a, b) => a.key - b.key);
  return drawn
    .slice(0, count)
    .sort((a, b) => a.index - b.index)
    .map(({ item }) => item);
}
