import { array, assert, constantFrom, property, uniqueArray } from "fast-check";
import { expect, it } from "vitest";
import { aCandidate, aFinding } from "#harness/evolution/measured.ts";
import type { Finding } from "#src/code/analysis/finding.ts";
import { RunLimits } from "#src/code/evolution/candidate.ts";
import { isOpen, rank } from "#src/code/evolution/rank.ts";
import { stopReason, toTasks } from "#src/code/evolution/run.ts";

const none = new Map();

function hotspot(file: string, score: number) {
  return { file, complexity: score, commits: 1, lines: 1, score };
}

it("the value is severity times hotspot by effort, and the order is fixed", () => {
  const findings = [
    aFinding({ tool: "tsc", rule: "TS2322", level: "error", file: "src/cold.ts" }),
    aFinding({ tool: "tsc", rule: "TS2322", level: "error", file: "src/hot.ts" }),
    aFinding({ tool: "oxlint", rule: "complexity", file: "src/hot.ts", range: { line: 5 } }),
    aFinding({ tool: "knip", rule: "files", file: "src/old.ts", range: null }),
  ];
  const hot = [hotspot("src/hot.ts", 20), hotspot("src/cold.ts", 0)];
  const ranked = rank(findings, hot, none);
  expect(ranked.map(({ files, method, value }) => [files[0], method, value])).toEqual([
    ["src/hot.ts", "worker", 16],
    ["src/cold.ts", "worker", 4],
    ["src/hot.ts", "worker", 2.4],
    ["src/old.ts", "person", 1.5],
  ]);
  expect(rank(findings.toReversed(), hot, none)).toEqual(ranked);
});

function at(line: number, rule = "no-var"): Finding {
  return aFinding({ rule, range: { line } });
}

it("findings that one change removes are one candidate; complex functions are one each", () => {
  const fixable = new Map(
    [at(1), at(2), at(3, "prefer-const")].map(({ fingerprint }) => [fingerprint, "lint-fix" as const]),
  );
  const others = [at(4, "complexity"), at(5, "complexity"), at(6, "a"), at(7, "a")];
  const ranked = rank([at(1), at(2), at(3, "prefer-const"), ...others], [], fixable);
  expect(ranked.map(({ fixer, findings: own }) => [fixer, own.length])).toEqual([
    ["lint-fix", 3],
    [null, 2],
    [null, 1],
    [null, 1],
  ]);
});

it("what was rejected, and what --only leaves out, is no candidate", () => {
  const findings = [1, 2, 3].map((line) => aFinding({ rule: `rule-${line}`, range: { line } }));
  const count = (only: string[], decided: string[] = []): number =>
    findings.filter((one) => isOpen(one, only, new Set(decided))).length;
  expect(count([])).toBe(3);
  expect(count([], [findings[0]?.fingerprint ?? ""])).toBe(2);
  expect(count(["rule-1"])).toBe(1);
  expect(count(["lint"])).toBe(3);
  expect(count(["types"])).toBe(0);
});

const facts = {
  base: "c",
  findings: 0,
  tools: [],
  notes: [],
};

it("of tasks with a file in common each waits for the one before, and one task reports when all have ended", () => {
  const files = uniqueArray(constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 3 });
  assert(
    property(array(files, { minLength: 1, maxLength: 12 }), (all) => {
      const candidates = all.map((one) => aCandidate({ files: one }));
      const limits = RunLimits.parse({ costMicros: 100 });
      const tasks = toTasks(candidates, {
        type: "evolve",
        tag: "evolve.1",
        allowsApi: false,
        limits,
        facts,
      });
      const report = tasks.at(-1);
      expect(report?.dependsOn).toEqual(tasks.slice(0, -1).map(({ ref }) => ref));
      // Those between may be rejected, and what they began with is not there then.
      for (const [later, own] of all.entries()) {
        for (const [earlier, other] of all.slice(0, later).entries()) {
          const isShared = own.some((file) => other.includes(file));
          expect(tasks[later]?.dependsOn?.includes(`change-${earlier + 1}`)).toBe(isShared);
        }
      }
      expect(tasks.slice(0, -1).every(({ budget }) => budget?.costMicros === 100)).toBe(true);
    }),
  );
});

it("a run stops at its time or its budget", () => {
  const limits = RunLimits.parse({ timeMs: 60_000, costMicros: 1_000 });
  const used = { wallMs: 0, tokens: 0, costMicros: 600 };
  expect(stopReason([{ used }], limits, 0)).toBeNull();
  expect(stopReason([{ used }], limits, 60_000)).toMatch(/time/);
  expect(stopReason([{ used }, { used }], limits, 0)).toMatch(/dollars/);
});
