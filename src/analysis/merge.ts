import { compare } from "../shared/compare.ts";
import { conceptOf } from "./equivalences.ts";
import type { Finding, Level, Position, Range, RawFinding } from "./finding.ts";

export interface ToolFindings {
  readonly tool: string;
  readonly version: string | null;
  readonly findings: readonly RawFinding[];
}

/** A finding before it has a fingerprint. */
export type MergedFinding = Omit<Finding, "fingerprint" | "content" | "isNew">;

/**
 * [AN5] Joins what several tools report about the same thing: rules that are declared equivalent,
 * in the same file, at the same symbol or overlapping ranges. Findings of one tool are not joined.
 *
 * @param results in the order of precedence: the first tool names a joined finding
 */
export function mergeFindings(results: readonly ToolFindings[]): MergedFinding[] {
  const byConcept = new Map<string, MergedFinding[]>();
  for (const { tool, version, findings } of results) {
    for (const found of findings) {
      const key = `${conceptOf(tool, found.rule)}\n${found.file}`;
      const group = byConcept.get(key) ?? [];
      byConcept.set(key, group);
      const at = group.findIndex((one) => !hasTool(one, tool) && isSameThing(one, found));
      const first = group[at];
      if (first === undefined) group.push({ tool, version, ...found });
      else group[at] = join(first, found, { tool, version, rule: found.rule });
    }
  }
  return [...byConcept.values()].flat().toSorted(byPosition);
}

/** The level is the highest that a tool gives. */
function join(first: MergedFinding, found: RawFinding, other: NonNullable<Finding["others"]>[number]): MergedFinding {
  const level = higherLevel(first.level, found.level);
  return { ...first, level, others: [...(first.others ?? []), other] };
}

function hasTool({ tool, others = [] }: MergedFinding, name: string): boolean {
  return tool === name || others.some((other) => other.tool === name);
}

function byPosition(a: MergedFinding, b: MergedFinding): number {
  return (
    compare(a.file, b.file) || compareStarts(a.range, b.range) || compare(a.tool, b.tool) || compare(a.rule, b.rule)
  );
}

/** A file as a whole comes first. */
function compareStarts(a: Range | null, b: Range | null): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null);
  return a.line - b.line || (a.column ?? 0) - (b.column ?? 0);
}

const levelOrder: readonly Level[] = ["note", "warning", "error"];

function higherLevel(a: Level, b: Level): Level {
  return levelOrder.indexOf(a) >= levelOrder.indexOf(b) ? a : b;
}

function isSameThing(a: RawFinding, b: RawFinding): boolean {
  if (a.symbol !== undefined && b.symbol !== undefined) {
    if (a.symbol !== b.symbol) return false;
    return a.range === null || b.range === null || a.range.line === b.range.line;
  }
  if (a.related && b.related) return overlaps(a.range, b.range) && sharesCopy(a.related, b.related);
  return overlaps(a.range, b.range);
}

function sharesCopy(a: readonly Position[], b: readonly Position[]): boolean {
  return a.some((copy) => b.some((other) => copy.file === other.file && overlaps(copy.range, other.range)));
}

/** A range without an end is a point, one without a column a whole line. */
function overlaps(a: Range | null, b: Range | null): boolean {
  if (a === null || b === null) return a === b;
  return startsBeforeEnd(a, b) && startsBeforeEnd(b, a);
}

function startsBeforeEnd(a: Range, b: Range): boolean {
  const endLine = b.endLine ?? b.line;
  if (a.line !== endLine) return a.line < endLine;
  const endColumn = b.endColumn ?? (b.endLine === undefined && b.column !== undefined ? b.column + 1 : Infinity);
  return (a.column ?? 1) < endColumn;
}
