import { linesOf } from "./brief-lines.ts";
import { describe, weights, type Fact } from "./facts.ts";
import { falseIn } from "./judge-false.ts";
import { shareOf } from "./judge-recall.ts";

export interface Finding {
  readonly fact: string;
  readonly kind: Fact["kind"];
  readonly weight: number;
  readonly share: number;
}

export interface FalseStatement {
  readonly fact: string;
  readonly why: string;
  readonly line: string;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  readonly falseStatements: readonly FalseStatement[];
  /** 0 to 1. */
  readonly recall: number;
}

/** What the files of one session weigh together at most: a session of many edits is not all about files. */
const mostForFiles = 6;

/** Holds a brief against what was planted. See README.md for what counts. */
export function judge(brief: string, facts: readonly Fact[]): Verdict {
  const lines = linesOf(brief);
  const files = facts.filter((fact) => "path" in fact && weights[fact.kind] !== undefined);
  const findings = facts.flatMap((fact) => {
    const weight = "path" in fact ? Math.min(weights[fact.kind] ?? 0, mostForFiles / files.length) : weights[fact.kind];
    if (weight === undefined || weights[fact.kind] === undefined) return [];
    return [{ fact: describe(fact), kind: fact.kind, weight, share: shareOf(lines, fact) }];
  });
  const falseStatements = facts.flatMap((fact) =>
    falseIn(lines, fact).map(({ why, line }) => ({ fact: describe(fact), why, line: line.slice(0, 240) })),
  );
  const weight = findings.reduce((sum, finding) => sum + finding.weight, 0);
  const found = findings.reduce((sum, finding) => sum + finding.weight * finding.share, 0);
  return { findings, falseStatements, recall: weight === 0 ? 1 : found / weight };
}
