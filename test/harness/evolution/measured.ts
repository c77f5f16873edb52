import type { Finding } from "#src/code/analysis/finding.ts";
import type { Candidate } from "#src/code/evolution/candidate.ts";
import type { Measured } from "#src/code/evolution/measure.ts";

export function aFinding(changes: Partial<Finding> = {}): Finding {
  const { tool = "oxlint", rule = "no-var", file = "src/a.ts", range = { line: 1 } } = changes;
  const fingerprint = `${tool} ${rule} ${file}:${range?.line ?? 0}`;
  const fixed = { version: "1.0.0", level: "warning", message: "say why", content: fingerprint } as const;
  return { ...fixed, tool, rule, file, range, fingerprint, ...changes };
}

export function aMeasurement(changes: Partial<Measured> = {}): Measured {
  return {
    commit: "c",
    tools: [{ name: "oxlint", status: "ran", why: null }],
    findings: [],
    hotspots: [],
    tests: { failure: null, isFlaky: false },
    api: ["export declare const a: number;"],
    testFiles: ["src/a.test.ts"],
    notes: [],
    ...changes,
  };
}

export function aCandidate(changes: Partial<Candidate> = {}): Candidate {
  return {
    id: "id",
    subject: "lint",
    method: "fix",
    fixer: "lint-fix",
    files: ["src/a.ts"],
    findings: [aFinding()],
    value: 3,
    ...changes,
  };
}
