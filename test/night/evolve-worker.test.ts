import { expect, it } from "vitest";
import { aMachine, evolved, expectClean, fix, withWorker } from "#harness/evolution/evolve-machine.ts";
import { complexFiles, duplicated, grading, references, shared } from "#harness/evolution/sample-project.ts";
import { installStryker } from "#harness/mutation/fake-stryker.ts";

const timeout = 300_000;

const names = ["alpha", "beta", "delta"] as const;

function wrong(value: string): string {
  return `export const count: number = ${value};\n`;
}

it(
  "[EV101] a worker that silences the compiler is rejected; one that mends the type is kept @night",
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
  "[EV1] [EV4] a worker removes a duplicate from both files; one that is only moved is rejected @night",
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

it("[EV6] of a project that only has references the public API is compared, too @night", { timeout }, async () => {
  const machine = aMachine({ ...complexFiles(["alpha", "gamma"]), ...references });
  const changed = grading("gamma", true).replace("value: number", "value: number, extra = 0");
  const settings = withWorker(machine, [fix("alpha"), { files: { "src/gamma.ts": changed } }]);
  const { tried } = await evolved(machine, "--config", settings, "--only", "complexity");
  expect(tried).toMatchObject([
    { outcome: "kept", verdict: { api: "unchanged" } },
    { outcome: "rejected", why: expect.stringContaining("the public API changes: - export declare function gamma") },
  ]);
});

it("[EV8] a run ends when its budget is used up, or after rejections in a row @night", { timeout }, async () => {
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
  "[EV8] [EV17] a change that is stopped before it begins leaves no branch with the work of others @night",
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

it("[EV4] [EV16] tests of a worker that notice nothing more leave no branch @night", { timeout }, async () => {
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
  installStryker(machine.project);
  const idle = 'import { test } from "node:test";\nimport "./index.ts";\ntest("nothing", () => undefined);\n';
  const settings = withWorker(machine, [{ files: { "src/index.evolve.test.ts": idle } }]);
  const { tried } = await evolved(machine, "--config", settings, "--only", "tests");
  expect(tried).toMatchObject([
    { outcome: "rejected", why: expect.stringContaining("the tests notice none of the 2 mutants") },
  ]);
  expectClean(machine, 0);
});
