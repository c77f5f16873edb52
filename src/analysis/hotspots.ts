import { compare } from "../shared/compare.ts";
import type { FileComplexity } from "./adapter.ts";
import type { Hotspot } from "./report.ts";

export interface FileChurn {
  readonly commits: number;
  /** Added and deleted. */
  readonly lines: number;
}

/** Parses `git log -z --numstat --no-renames --format=`: one record for each file of a commit. */
export function parseChurn(text: string): Map<string, FileChurn> {
  const churn = new Map<string, FileChurn>();
  for (const record of text.split("\0")) {
    const [, added, deleted, file] = /^\s*(\d+|-)\t(\d+|-)\t([\s\S]+)$/.exec(record) ?? [];
    if (file === undefined) continue;
    const { commits, lines } = churn.get(file) ?? { commits: 0, lines: 0 };
    // Binary files have no lines.
    const changed = [added, deleted].reduce((sum, count) => sum + (Number(count) || 0), 0);
    churn.set(file, { commits: commits + 1, lines: lines + changed });
  }
  return churn;
}

const maxHotspots = 20;

/** [AN10] Files by complexity times commits; a file without either is none. */
export function findHotspots(
  complexities: readonly FileComplexity[],
  churn: ReadonlyMap<string, FileChurn>,
): Hotspot[] {
  const hotspots = complexities.flatMap(({ file, complexity }) => {
    const changes = churn.get(file);
    return changes && complexity > 0 ? [{ file, complexity, ...changes, score: complexity * changes.commits }] : [];
  });
  return hotspots.toSorted((a, b) => b.score - a.score || compare(a.file, b.file)).slice(0, maxHotspots);
}
