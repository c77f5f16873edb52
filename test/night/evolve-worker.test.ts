import { expect, it } from "vitest";
import { aMachine, evolved, expectClean, fix, withWorker } from "#harness/evolution/evolve-machine.ts";
import { complexFiles, duplicated, grading, shared } from "#harness/evolution/sample-project.ts";

const timeout = 300_000;

function wrong(value: string): string {
  return `export const count: number = ${value};\n`;
}

it("a worker that silences the compiler is rejected; one that mends the type is kept @night", { timeout }, async () => {
  for (const [value, outcome] of [
    ['"no" as any', "rejected"],
    ['"no" as unknown as number', "rejected"],
    ["2", "kept"],
  ] as const) {
    const machine = aMachine({ ...complexFiles(["alpha"]), "src/count.ts": wrong('"no"') });
    const settings = withWorker(machine, [{ files: { "src/count.ts": wrong(value) } }]);
    const { tried } = await evolved(machine, "--config", settings, "--only", "types");
    expect(tried).toMatchObject([{ outcome }]);
    if (outcome === "rejected") expect(tried[0]?.why).toContain("a checker is silenced (unchecked type)");
    expectClean(machine, outcome === "kept" ? 1 : 0);
  }
});

it("a worker removes a duplicate from both files; one that is only moved is rejected @night", { timeout }, async () => {
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
});

it("a run ends when its budget is used up @night", { timeout }, async () => {
  const machine = aMachine(complexFiles(["alpha", "beta", "delta", "gamma"]));
  const settings = withWorker(machine, [fix("alpha"), fix("beta"), { files: {} }]);
  const spent = await evolved(machine, "--config", settings, "--budget-cost", "0.02");
  expect(spent.tried.map(({ outcome }) => outcome)).toEqual(["kept", "kept", "stopped", "stopped"]);
  expect(spent.stopped).toMatch(/budget of 0.02 dollars is used up/);
  expectClean(machine, 2);
});

it(
  "a change that is stopped before it begins leaves no branch with the work of others @night",
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
