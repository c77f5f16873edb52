import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { init, lines, result, writeFakeClaude, type Part } from "#harness/claude/fake-claude.ts";
import { aMachine, expectClean, seeded, testOf } from "#harness/evolution/sample-project.ts";
import { printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import type { MachineHome } from "#harness/machine/programs.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

function grading(name: string, isSimple: boolean): string {
  const complex = `  if (value > 90) return "A";
  if (value > 80) return "B";
  if (value > 70) return "C";
  if (value > 60) return "D";
  if (value > 50) return "E";
  return "F";
`;
  const simple = `  const limits = [90, 80, 70, 60, 50];
  return "ABCDEF"[limits.filter((limit) => value <= limit).length] ?? "F";
`;
  return `export function ${name}(value: number): string {\n${isSimple ? simple : complex}}\n`;
}

function gradingTest(name: string): string {
  return testOf(name, '(95), "A"', '(1), "F"');
}

function complexFiles(names: readonly string[]): Record<string, string> {
  const files = names.flatMap((name) => [
    [`src/${name}.ts`, grading(name, false)],
    [`src/${name}.test.ts`, gradingTest(name)],
  ]);
  const index = names.map((name) => `export { ${name} } from "./${name}.ts";\n`).join("");
  return { "src/index.ts": index, ...(Object.fromEntries(files) as Record<string, string>) };
}

async function evolved(machine: MachineHome, ...args: string[]): Promise<EvolveReport> {
  return (await machine.ask("code", "evolve", "--trust", ...args)) as unknown as EvolveReport;
}

function fix(name: string): Omit<Part, "text"> {
  return { files: { [`src/${name}.ts`]: grading(name, true) } };
}

/** Where the settings of the worker are, whose Claude Code does these parts one after the other. */
function withWorker(machine: MachineHome, parts: readonly Omit<Part, "text">[]): string {
  const done = lines(init(), result());
  const all = parts.map((part) => ({ text: done, ...part }));
  const program = writeFakeClaude(machine.home, all);
  const path = join(machine.home, "evolve.json");
  writeFileSync(path, JSON.stringify({ claude: { program, env: ["HOME"] } }));
  return path;
}

it("seeded defects are fixed on branches, by the tools that the project has @night", async () => {
  const machine = aMachine(seeded);
  const { project } = machine;
  const head = git(project, "rev-parse", "HEAD");
  expect(await machine.shim("code", "evolve", "--trust", "--dry-run")).toMatchObject(printed("2 changes to try"));
  expectClean(machine, 0);
  const report = await evolved(machine);
  expect(report.tried.map(({ outcome, what }) => `${outcome} ${what}`).toSorted()).toEqual([
    "kept 2 × knip exports in src/math.ts",
    "kept oxlint eslint(no-var) in src/index.ts:5",
  ]);
  expect(report).toMatchObject({ stopped: null, findings: { before: 5 } });
  const notes = ["1 need a worker, which is not set up.", "1 findings are in tests, which are not changed."];
  expect(report.facts.notes).toEqual(expect.arrayContaining(notes));
  expectClean(machine, 2);
  expect(git(project, "rev-parse", "HEAD")).toBe(head);
  const unused = report.tried.find(({ what }) => what.includes("knip"));
  const left = git(project, "show", `${unused?.branch}:src/math.ts`);
  expect(left.match(/^export \S+ \w+/gm)).toEqual(["export function add", "export function sub"]);
  expect(left).toContain("\nconst dead = 2;");
  for (const { branch } of report.tried) git(project, "merge", "--quiet", branch ?? "");
  // What is used nowhere now, no tool of the project removes by itself.
  const next = await machine.shim("code", "evolve", "--trust", "--dry-run");
  expect(next).toMatchObject(printed("0 changes to try", "need a worker"));
});

const names = ["alpha", "beta", "delta"] as const;

it("a worker's change is kept if nothing gets worse; others are rejected, each for its reason @night", async () => {
  const machine = aMachine(complexFiles(names));
  const wider = grading("delta", true).replace("value: number", "value: number, extra = 0");
  const files = {
    "src/delta.ts": wider.replace("{\n", "{\n  eval(String(extra));\n"),
    "src/delta.test.ts": null,
    "src/beta.test.ts": gradingTest("beta").replace("test(", "test.skip("),
  };
  const wrong = grading("beta", true).replace('"ABCDEF"', '"XBCDEF"');
  const settings = withWorker(machine, [fix("alpha"), { files: { "src/beta.ts": wrong } }, { files }]);
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
  git(machine.project, "merge", "--quiet", report.tried[0]?.branch ?? "");
  const again = await machine.shim("code", "evolve", "--trust", "--config", settings, "--dry-run");
  expect(again.out).toContain("0 changes to try");
  expect(again.out).toContain("2 are left out, since a branch waits, or the judge has rejected them");
});
