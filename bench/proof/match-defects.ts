import { conceptOf, type Finding } from "../../src/code/analysis/finding.ts";
import type { Defect, DefectKind } from "./defects.ts";

export interface Matched {
  readonly missed: readonly Defect[];
  /** New findings that report no seeded defect. */
  readonly strays: readonly Finding[];
}

const concepts: Readonly<Record<DefectKind, readonly string[]>> = {
  "dead export": ["unused-export"],
  duplicate: ["duplicate"],
  "complex function": ["complexity"],
  "type error": ["tsc TS2322"],
  lint: ["lint no-useless-escape", "lint no-useless-rename"],
};

/** Pure. Which defects the findings report, and which findings report none. */
export function matchDefects(findings: readonly Finding[], defects: readonly Defect[]): Matched {
  return {
    missed: defects.filter(
      (defect) => !findings.some((finding) => reports(finding, defect) || isCopy(finding, defect)),
    ),
    strays: findings.filter((finding) => !defects.some((defect) => reports(finding, defect))),
  };
}

function reports(finding: Finding, defect: Defect): boolean {
  return finding.file === defect.file && isOf(defect.kind, finding) && isWithin(finding, defect);
}

export function isOf(kind: DefectKind, { tool, rule }: Finding): boolean {
  return concepts[kind].includes(conceptOf(tool, rule));
}

/** A finding of duplicated code stands at the first copy. */
function isCopy({ related = [] }: Finding, { kind, file, lines }: Defect): boolean {
  return kind === "duplicate" && related.some((copy) => copy.file === file && overlaps(copy.range, lines));
}

function isWithin({ range, symbol }: Finding, defect: Defect): boolean {
  return symbol === defect.symbol || overlaps(range, defect.lines);
}

function overlaps(range: Finding["range"], [first, last]: Defect["lines"]): boolean {
  return range !== null && range.line <= last && (range.endLine ?? range.line) >= first;
}
