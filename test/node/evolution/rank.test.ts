import { array, assert, constantFrom, property, uniqueArray } from "fast-check";
import { expect, it } from "vitest";
import { aCandidate, aFinding } from "#harness/evolution/measured.ts";
import type { Finding } from "#src/analysis/finding.ts";
import { RunLimits } from "#src/evolution/candidate.ts";
import { rank, testCandidates, type RankOptions } from "#src/evolution/rank.ts";
import { stopReason, toTasks, type Tried } from "#src/evolution/run.ts";

const none: RankOptions = {
  fixable: new Map(),
  only: [],
  rejected: new Set(),
  stopped: new Set(),
  alone: new Set(),
};

function hotspot(file: string, score: number) {
  return { file, complexity: score, commits: 1, lines: 1, score };
}

it("[EV1] [EV2] the value is severity times hotspot by effort, each number is kept, and the order is fixed", () => {
  const findings = [
    aFinding({ tool: "tsc", rule: "TS2322", level: "error", file: "src/cold.ts" }),
    aFinding({ tool: "tsc", rule: "TS2322", level: "error", file: "src/hot.ts" }),
    aFinding({ tool: "oxlint", rule: "complexity", file: "src/hot.ts", range: { line: 5 } }),
    aFinding({ tool: "knip", rule: "files", file: "src/old.ts", range: null }),
  ];
  const ranked = rank(findings, [hotspot("src/hot.ts", 20), hotspot("src/cold.ts", 0)], none);
  expect(
    ranked.map(({ files, severity, hotspot: by, effort, value }) => [files[0], severity, by, effort, value]),
  ).toEqual([
    ["src/hot.ts", 8, 4, 2, 16],
    ["src/cold.ts", 8, 1, 2, 4],
    ["src/hot.ts", 3, 4, 5, 2.4],
    ["src/old.ts", 3, 1, 2, 1.5],
  ]);
  expect(ranked.map(({ method }) => method)).toEqual(["worker", "worker", "worker", "person"]);
  expect(rank(findings.toReversed(), [hotspot("src/hot.ts", 20)], none)).toEqual(
    rank(findings, [hotspot("src/hot.ts", 20)], none),
  );
});

function at(line: number, rule = "no-var"): Finding {
  return aFinding({ rule, range: { line } });
}

it("[EV1] findings that one change removes are one candidate; complex functions are one each", () => {
  const fix = { fixer: "lint-fix", group: "src/a.ts", cascade: [aFinding({ file: "src/b.ts" })] } as const;
  const fixable = new Map([at(1), at(2), at(3, "prefer-const")].map(({ fingerprint }) => [fingerprint, fix]));
  const findings = [
    at(1),
    at(2),
    at(3, "prefer-const"),
    at(4, "complexity"),
    at(5, "complexity"),
    at(6, "a"),
    at(7, "a"),
  ];
  const ranked = rank(findings, [], { ...none, fixable });
  expect(ranked.map(({ fixer, findings: own, files }) => [fixer, own.length, files])).toEqual([
    ["lint-fix", 3, ["src/a.ts", "src/b.ts"]],
    [null, 2, ["src/a.ts"]],
    [null, 1, ["src/a.ts"]],
    [null, 1, ["src/a.ts"]],
  ]);
});

it("[EV14] what a person rejected, a rule that is rejected too often, and what --only leaves out are no candidates", () => {
  const findings = [1, 2, 3].map((line) => aFinding({ rule: `rule-${line}`, range: { line } }));
  const count = (options: Partial<RankOptions>): number => rank(findings, [], { ...none, ...options }).length;
  expect(count({})).toBe(3);
  expect(count({ rejected: new Set([findings[0]?.fingerprint ?? ""]) })).toBe(2);
  expect(count({ stopped: new Set(["oxlint rule-2"]) })).toBe(2);
  expect(count({ only: ["rule-1"] })).toBe(1);
  expect(count({ only: ["lint"] })).toBe(3);
  expect(count({ only: ["types"] })).toBe(0);
});

it("[EV16] a worker may write tests for the hottest files", () => {
  expect(
    testCandidates([hotspot("src/a.ts", 9), hotspot("src/b.ts", 3)]).map(({ files, value, method }) => [
      files,
      value,
      method,
    ]),
  ).toEqual([
    [["src/a.ts"], 2.4, "worker"],
    [["src/b.ts"], 1.2, "worker"],
  ]);
});

const facts = {
  base: "c",
  findings: 0,
  coverage: null,
  tests: null,
  tools: [],
  reported: [],
  notReported: 0,
  notes: [],
};

it("[EV9] of tasks with a file in common each waits for the one before, and one task reports when all have ended", () => {
  const files = uniqueArray(constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 3 });
  assert(
    property(array(files, { minLength: 1, maxLength: 12 }), (all) => {
      const candidates = all.map((one) => aCandidate({ files: one }));
      const limits = RunLimits.parse({ tokens: 100 });
      const tasks = toTasks(candidates, { type: "evolve", rules: { allowsApi: false }, limits, facts });
      const report = tasks.at(-1);
      expect(report?.dependsOn).toEqual(tasks.slice(0, -1).map(({ ref }) => ref));
      // Those between may be rejected, and what they began with is not there then.
      for (const [later, own] of all.entries()) {
        for (const [earlier, other] of all.slice(0, later).entries()) {
          const isShared = own.some((file) => other.includes(file));
          expect(tasks[later]?.dependsOn?.includes(`change-${earlier + 1}`)).toBe(isShared);
        }
      }
      expect(tasks.slice(0, -1).every(({ budget }) => budget?.tokens === 100)).toBe(true);
    }),
  );
});

type Ended = Pick<Tried, "task" | "outcome" | "used">;

function ended(task: number, outcome: "kept" | "rejected" | "open", used: Partial<Tried["used"]> = {}): Ended {
  return { task, outcome, used: { wallMs: 0, tokens: 0, costMicros: 0, ...used } };
}

it("[EV8] a run stops at its time, its budget, or after rejections in a row", () => {
  const limits = RunLimits.parse({ timeMs: 60_000, tokens: 100, costMicros: 1_000, maxRejected: 2 });
  const open = [ended(1, "kept", { tokens: 60 }), ended(2, "rejected"), ended(3, "open")];
  expect(stopReason(open, limits, 0)).toBeNull();
  expect(stopReason(open, limits, 60_000)).toMatch(/time/);
  expect(stopReason([...open, ended(4, "kept", { tokens: 40 })], limits, 0)).toMatch(/100 tokens/);
  expect(stopReason([...open, ended(4, "kept", { costMicros: 1_000 })], limits, 0)).toMatch(/dollars/);
  expect(stopReason([...open, ended(4, "rejected")], limits, 0)).toBe("2 changes in a row were rejected");
  expect(stopReason([...open, ended(4, "rejected"), ended(5, "kept")], limits, 0)).toBeNull();
});

it("[EV106] what several tools report is removed apart from what one tool alone reports", () => {
  const others = [{ tool: "fallow", version: null, rule: "unused-export" }];
  const [first, second, alone] = [1, 2, 3].map((line) =>
    aFinding({ tool: "knip", rule: "exports", range: { line }, ...(line < 3 ? { others } : {}) }),
  );
  if (!first || !second || !alone) throw new Error("there are three");
  const planned = (cascade: readonly Finding[]): number[] => {
    const fix = { fixer: "unused", group: "src/a.ts", cascade } as const;
    const fixable = new Map([first, second, alone].map(({ fingerprint }) => [fingerprint, fix]));
    return rank([first, second, alone], [], { ...none, fixable }).map(({ findings }) => findings.length);
  };
  expect(planned([])).toEqual([2, 1]);
  expect(planned([aFinding({ file: "src/b.ts" })])).toEqual([3]);
  expect(rank([first, second, alone], [], none).map(({ method, findings }) => [method, findings.length])).toEqual([
    ["worker", 2],
    ["worker", 1],
  ]);
  const lint = [at(1), { ...at(2), others: [{ tool: "eslint", version: null, rule: "no-var" }] }];
  const fix = { fixer: "lint-fix", group: "src/a.ts", cascade: [] } as const;
  const fixable = new Map(lint.map(({ fingerprint }) => [fingerprint, fix]));
  expect(rank(lint, [], { ...none, fixable })).toHaveLength(1);
});

it("[EV211] of a change that was rejected each unused name is tried alone; fixes of a linter cannot be", () => {
  const findings = [at(1), at(2), at(3)];
  const alone = new Set([at(1), at(2)].map(({ fingerprint }) => fingerprint));
  const planned = (fixer: "unused" | "lint-fix"): number[] => {
    const fix = { fixer, group: "src/a.ts", cascade: [] } as const;
    const fixable = new Map(findings.map(({ fingerprint }) => [fingerprint, fix]));
    const ranked = rank(findings, [], { ...none, fixable, alone });
    return ranked.map((one) => one.findings.length);
  };
  expect(planned("unused")).toEqual([1, 1, 1]);
  expect(planned("lint-fix")).toEqual([3]);
});
