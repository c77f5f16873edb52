import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aMachine, evolved, expectClean, fix, withWorker } from "#harness/evolution/evolve-machine.ts";
import { branches, complexFiles, grading, gradingTest, seeded } from "#harness/evolution/sample-project.ts";
import { git } from "#harness/machine/git-project.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

const timeout = 300_000;

const names = ["alpha", "beta", "delta"] as const;

it(
  "a worker's change is kept if nothing gets worse; others are rejected, each for its reason @night",
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
    const report = await evolved(machine, "--config", settings);
    expect(report.tried.map(({ outcome }) => outcome)).toEqual(["kept", "rejected", "rejected"]);
    const [, beta = "", delta = ""] = report.tried.map(({ why }) => why ?? "");
    expect(beta).toMatch(/^the tests fail: npm test ended with exit code 1/);
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
    expect(again.out).toContain("2 findings are left out");
  },
);

it(
  "flaky tests, tests that fail and a project that is not trusted end it before any change @night",
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

it("a chat's task plans a run, and workers do it; no task chooses a program @night", { timeout }, async () => {
  const machine = aMachine(complexFiles(["alpha"]));
  const settings = withWorker(machine, [fix("alpha")]);
  const payload = { only: ["complexity"], tests: ["touch", "chosen"] };
  const { tasks } = await machine.ask("task", "submit", "evolve", "--payload", JSON.stringify(payload));
  const plan = String((tasks as OutputOf<"tasks.submit">["tasks"])[0]?.task);
  const worked = await machine.shim("worker", "--config", settings, "--once");
  expect(worked.code, worked.out + worked.err).toBe(0);
  const shown = async (task: string) => (await machine.ask("task", "show", task)) as unknown as OutputOf<"tasks.get">;
  const { job, plan: planned } = (await shown(plan)).result as { job: number; plan: object[] };
  expect(planned).toMatchObject([{ files: ["src/alpha.ts"], value: 2.4 }]);
  const report = (await shown(String(job))).result as unknown as EvolveReport;
  expect(report.tried).toMatchObject([{ outcome: "kept", method: "a worker" }]);
  expect(existsSync(join(machine.project, "chosen"))).toBe(false);
  const [branch = ""] = branches(machine.project);
  expect(git(machine.project, "diff", "--name-only", `HEAD...${branch}`).trim()).toBe("src/alpha.ts");
  expectClean(machine, 1);
  writeFileSync(settings, JSON.stringify({ types: { evolve: { repository: machine.project, evolve: {} } } }));
  const untrusted = await machine.shim("worker", "--config", settings, "--once");
  expect(untrusted.code).toBe(2);
  expect(untrusted.err).toContain("set trust to true");
});
