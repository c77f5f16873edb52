import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import type { EvolveReport } from "#src/evolution/report.ts";
import { init, lines, result, writeFakeClaude, type Part } from "#harness/claude/fake-claude.ts";
import { aMachine, expectClean } from "#harness/evolution/evolve-machine.ts";
import {
  branches,
  complexFiles,
  duplicated,
  grading,
  gradingTest,
  references,
  seeded,
  shared,
} from "#harness/evolution/sample-project.ts";
import { git } from "#harness/machine/git-project.ts";
import type { MachineHome } from "#harness/machine/real-machine.ts";

const timeout = 300_000;

async function evolved(machine: MachineHome, ...args: string[]): Promise<EvolveReport> {
  return (await machine.ask("code", "evolve", "--trust", ...args)) as unknown as EvolveReport;
}

const names = ["alpha", "beta", "delta"] as const;
const done = lines(init(), result());

function fix(name: string): Omit<Part, "text"> {
  return { files: { [`src/${name}.ts`]: grading(name, true) } };
}

/** Where the settings of the worker are, whose Claude Code does these parts one after the other. */
function withWorker(machine: MachineHome, parts: readonly Omit<Part, "text">[]): string {
  const program = writeFakeClaude(
    machine.home,
    parts.map((part) => ({ text: done, ...part })),
  );
  const path = join(machine.home, "worker.json");
  const claude = { program, env: ["HOME"] };
  writeFileSync(
    path,
    JSON.stringify({ types: { evolve: { repository: machine.project, evolve: { trust: true, claude } } } }),
  );
  return path;
}

it(
  "[EV4] [EV6] [EV7] a worker's change is kept if nothing gets worse; others are rejected, each for its reason",
  { timeout },
  async () => {
    const machine = aMachine(complexFiles(names));
    const settings = withWorker(machine, [
      fix("alpha"),
      { files: { "src/beta.ts": grading("beta", true).replace('"ABCDEF"', '"XBCDEF"') } },
      {
        files: {
          "src/delta.ts": grading("delta", true)
            .replace("value: number", "value: number, extra = 0")
            .replace("{\n", "{\n  eval(String(extra));\n"),
          "src/delta.test.ts": null,
          "src/beta.test.ts": gradingTest("beta").replace('test("beta at the top"', 'test.skip("beta at the top"'),
        },
      },
    ]);
    const report = await evolved(machine, "--config", settings, "--max-rejected", "9");
    expect(report.tried.map(({ outcome }) => outcome)).toEqual(["kept", "rejected", "rejected"]);
    const [, beta = "", delta = ""] = report.tried.map(({ why }) => why ?? "");
    expect(beta).toMatch(/^the tests fail/);
    expect(delta).toMatch(/tests were deleted: src\/delta.test.ts/);
    expect(delta).toMatch(/the public API changes/);
    expect(delta).toMatch(/new findings: oxlint eslint\(no-eval\)/);
    expect(delta).toMatch(/a test is skipped in src\/beta.test.ts/);
    expect(report.used.costMicros).toBe(3 * 13_200);
    expectClean(machine, 1);
    // What the judge has rejected is not tried again, and what was kept is gone once it is merged.
    await machine.ask("code", "evolve", "review", "--accept", String(report.tried[0]?.task));
    const again = await machine.shim("code", "evolve", "--trust", "--config", settings, "--dry-run");
    expect(again.out).toContain("0 changes to try");
    expect(again.out).toContain("2 are not tried again");
  },
);

function wrong(value: string): string {
  return `export const count: number = ${value};\n`;
}

it(
  "[EV101] a worker that silences the compiler is rejected; one that mends the type is kept",
  { timeout },
  async () => {
    for (const [value, outcome] of [
      ['"no" as any', "rejected"],
      ['"no" as unknown as number', "rejected"],
      ["2", "kept"],
    ] as const) {
      const machine = aMachine({ ...complexFiles(["alpha"]), "src/count.ts": wrong('"no"') });
      const settings = withWorker(machine, [{ files: { "src/count.ts": wrong(value) } }]);
      const { tried } = await evolved(machine, "--config", settings, "--only", "types");
      expect(tried).toMatchObject([{ outcome }]);
      if (outcome === "rejected") expect(tried[0]?.why).toContain("a checker is silenced (cast that checks nothing)");
      expectClean(machine, outcome === "kept" ? 1 : 0);
    }
  },
);

it(
  "[EV1] [EV4] a worker removes a duplicate from both files; one that is only moved is rejected",
  { timeout },
  async () => {
    for (const [outcome, files] of [
      ["rejected", { "src/second.ts": `// moved\n${duplicated["src/second.ts"]}` }],
      ["kept", shared],
    ] as const) {
      const machine = aMachine(duplicated, ["fallow"]);
      const settings = withWorker(machine, [{ files }]);
      const { tried } = await evolved(machine, "--config", settings, "--only", "duplicates");
      expect(tried).toMatchObject([{ outcome, what: "fallow code-duplication in src/first.ts:1" }]);
      if (outcome === "rejected") expect(tried[0]?.why).toMatch(/1 of 1 findings are still there: fallow/);
      expectClean(machine, outcome === "kept" ? 1 : 0);
    }
  },
);

it("[EV6] of a project that only has references the public API is compared, too", { timeout }, async () => {
  const machine = aMachine({ ...complexFiles(["alpha", "gamma"]), ...references });
  const changed = grading("gamma", true).replace("value: number", "value: number, extra = 0");
  const settings = withWorker(machine, [fix("alpha"), { files: { "src/gamma.ts": changed } }]);
  const { tried } = await evolved(machine, "--config", settings, "--only", "complexity");
  expect(tried).toMatchObject([
    { outcome: "kept", verdict: { api: "unchanged" } },
    { outcome: "rejected", why: expect.stringContaining("the public API changes: - export declare function gamma") },
  ]);
});

it("[EV8] a run ends when its budget is used up, or after rejections in a row", { timeout }, async () => {
  const machine = aMachine(complexFiles([...names, "gamma"]));
  const settings = withWorker(machine, [fix("alpha"), fix("beta"), { files: {} }]);
  const spent = await evolved(machine, "--config", settings, "--budget-cost", "0.02");
  expect(spent.tried.map(({ outcome }) => outcome)).toEqual(["kept", "kept", "stopped", "stopped"]);
  expect(spent.stopped).toMatch(/budget of 0.02 dollars is used up/);
  expectClean(machine, 2);
  for (const { task } of spent.tried.slice(0, 2))
    await machine.ask("code", "evolve", "review", "--accept", String(task));
  const hopeless = await evolved(machine, "--config", settings, "--max-rejected", "1");
  expect(hopeless.tried.map(({ outcome }) => outcome)).toEqual(["rejected", "stopped"]);
  expect(hopeless.stopped).toBe("1 changes in a row were rejected");
});

it(
  "[EV8] [EV17] a change that is stopped before it begins leaves no branch with the work of others",
  { timeout },
  async () => {
    const both = `${grading("beta", false)}\nexport function first(): number {\n  var one = 1;\n  return one;\n}\n`;
    const machine = aMachine({ ...complexFiles(["alpha", "beta"]), "src/beta.ts": both });
    const settings = withWorker(machine, [fix("alpha"), fix("beta")]);
    const only = "complexity,eslint(no-var)";
    const { tried } = await evolved(machine, "--config", settings, "--only", only, "--budget-cost", "0.01");
    const stopped = tried.find(({ outcome }) => outcome === "stopped");
    expect(stopped?.dependsOn).toHaveLength(1);
    expectClean(machine, 2);
  },
);

it(
  "[EV3] flaky tests, tests that fail and a project that is not trusted end it before any change",
  { timeout },
  async () => {
    const failing = aMachine({
      ...seeded,
      "src/bad.test.ts": 'import { test } from "node:test";\ntest("bad", () => { throw new Error("always"); });\n',
    });
    const failed = await failing.shim("code", "evolve", "--trust");
    expect(failed.code).toBe(1);
    expect(failed.err).toContain("the tests fail before any change");
    const untrusted = await failing.shim("code", "evolve");
    expect(untrusted.err).toContain("--trust");
    const flag = join(failing.home, "flag");
    const flaky = `import { test } from "node:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
test("every other time", () => {
  if (!existsSync(${JSON.stringify(flag)})) return writeFileSync(${JSON.stringify(flag)}, "");
  rmSync(${JSON.stringify(flag)});
  throw new Error("every other time");
});
`;
    const machine = aMachine({ ...seeded, "src/flaky.test.ts": flaky });
    const refused = await machine.shim("code", "evolve", "--trust");
    expect(refused.err).toContain("the tests are flaky");
    expect(refused.err).toContain("every other time");
    expectClean(machine, 0);
  },
);

it("[EV4] [EV16] tests of a worker that notice nothing more leave no branch", { timeout }, async () => {
  const machine = aMachine({
    "src/index.ts": `export class Gauge {
  level = 0;
  add(by: number): boolean {
    if (by < 0) return false;
    this.level += by;
    return this.level > 10;
  }
}
`,
    "src/index.test.ts": `import { test } from "node:test";
import { Gauge } from "./index.ts";
test("is made", () => void new Gauge());
`,
  });
  const idle = 'import { test } from "node:test";\nimport "./index.ts";\ntest("nothing", () => undefined);\n';
  const settings = withWorker(machine, [{ files: { "src/index.evolve.test.ts": idle } }]);
  const { tried } = await evolved(machine, "--config", settings, "--only", "tests");
  expect(tried).toMatchObject([{ outcome: "rejected", why: expect.stringContaining("no test kills a mutant") }]);
  expectClean(machine, 0);
});

it(
  "[EV12] [EV13] [EV16] a chat's task plans a run, workers do it, and tests come that notice mutants; no task chooses a program",
  { timeout },
  async () => {
    const machine = aMachine(complexFiles(["alpha"]));
    const settings = withWorker(machine, []);
    const payload = { only: ["tests"], rules: { tests: ["touch", "chosen"] }, tests: ["touch", "chosen"] };
    const { tasks } = await machine.ask("task", "submit", "evolve", "--payload", JSON.stringify(payload));
    const plan = String((tasks as OutputOf<"tasks.submit">["tasks"])[0]?.task);
    const worked = await machine.shim("worker", "--config", settings, "--once");
    expect(worked.code, worked.out + worked.err).toBe(0);
    const shown = async (task: string) => (await machine.ask("task", "show", task)) as unknown as OutputOf<"tasks.get">;
    const { job, plan: planned } = (await shown(plan)).result as { job: number; plan: object[] };
    expect(planned).toMatchObject([{ files: ["src/alpha.ts"], value: 2.4 }]);
    const report = (await shown(String(job))).result as unknown as EvolveReport;
    expect(report.tried).toMatchObject([{ outcome: "kept", method: "generated tests" }]);
    expect(report.mutants.survivedBefore).toBeGreaterThan(report.mutants.survivedAfter);
    expect(report.used.costMicros).toBe(0);
    expect(existsSync(join(machine.project, "chosen"))).toBe(false);
    const [branch = ""] = branches(machine.project);
    expect(git(machine.project, "diff", "--name-only", `HEAD...${branch}`).trim()).toBe(
      "src/alpha.characterisation.test.ts",
    );
    expectClean(machine, 1);
    writeFileSync(settings, JSON.stringify({ types: { evolve: { repository: machine.project, evolve: {} } } }));
    const untrusted = await machine.shim("worker", "--config", settings, "--once");
    expect(untrusted.code).toBe(2);
    expect(untrusted.err).toContain("set trust to true");
  },
);
