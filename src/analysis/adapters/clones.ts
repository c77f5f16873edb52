import { compare } from "../../shared/compare.ts";
import type { Position, RawFinding } from "../finding.ts";

/** One finding at the first copy, whichever order the tool lists the copies in. */
export function clonesFinding(rule: string, copies: readonly Position[]): RawFinding[] {
  const [first, ...related] = copies.toSorted(
    (a, b) => compare(a.file, b.file) || (a.range?.line ?? 0) - (b.range?.line ?? 0),
  );
  if (first === undefined) return [];
  const { line = 1, endLine = line } = first.range ?? {};
  const positions = related.map(({ file, range }) => `${file}:${range?.line ?? 1}`);
  const message = `${endLine - line + 1} lines are also in ${positions.join(", ")}`;
  return [{ rule, level: "warning", ...first, message, related }];
}
