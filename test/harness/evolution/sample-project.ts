import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { init, lines, result, writeFakeClaude, type Part } from "#harness/claude/fake-claude.ts";
import { git, leftIn, write } from "#harness/machine/git-project.ts";
import { linkPackages } from "#harness/transform/transform-rig.ts";
import { MachineHome } from "#harness/machine/programs.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

const packages = join(import.meta.dirname, "../../../node_modules");

const target = { target: "es2023", lib: ["es2023"], module: "nodenext", types: ["node"], noEmit: true };
const compilerOptions = { ...target, strict: true, allowImportingTsExtensions: true, skipLibCheck: true };

const settings = {
  "package.json": JSON.stringify({
    name: "sample",
    version: "1.0.0",
    type: "module",
    exports: { ".": "./src/index.ts" },
    scripts: { test: "node --test" },
    devDependencies: { typescript: "*", oxlint: "*", knip: "*" },
  }),
  "tsconfig.json": JSON.stringify({ compilerOptions, include: ["src"] }),
  "knip.json": JSON.stringify({ project: ["src/**/*.ts"], ignoreDependencies: ["typescript", "oxlint", "knip"] }),
  ".oxlintrc.json": JSON.stringify({
    plugins: ["typescript"],
    categories: { correctness: "error" },
    rules: { complexity: ["warn", 5], "no-var": "error", "no-eval": "error" },
  }),
  ".gitignore": "node_modules\n",
};

/** Seeded: an unused import, unused exports, a lint error that a linter fixes, a type error. */
export const seeded = {
  "src/index.ts": `import { add, sub } from "./math.ts";

/** Sums up. */
export function total(values: readonly number[]): number {
  var sum = 0;
  for (const value of values) sum = add(sum, value);
  return sum;
}
`,
  "src/math.ts": `import { readFileSync } from "node:fs";

export function add(a: number, b: number): number {
  return a + b;
}

export function sub(a: number, b: number): number {
  return a - b;
}

/** Nobody needs it. */
export const dead = 2;

export function deadRead(path: string): string {
  return readFileSync(path, "utf8");
}
`,
  "src/typed.test.ts": `import { test } from "node:test";

const wrong: number = "text";
test("wrong", () => void wrong);
`,
  "src/total.test.ts": testOf("total", "([1, 2]), 3", "([]), 0").replace("./total.ts", "./index.ts"),
};

export function grading(name: string, isSimple: boolean): string {
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

/** A test for each of these results of the function. */
function testOf(name: string, ...results: readonly string[]): string {
  const tests = results.map((one, at) => `test("${name} ${at}", () => assert.equal(${name}${one}));\n`);
  return `import assert from "node:assert/strict";
import { test } from "node:test";
import { ${name} } from "./${name}.ts";

${tests.join("")}`;
}

export function gradingTest(name: string): string {
  return testOf(name, '(95), "A"', '(1), "F"');
}

export function complexFiles(names: readonly string[]): Record<string, string> {
  const files = names.flatMap((name) => [
    [`src/${name}.ts`, grading(name, false)],
    [`src/${name}.test.ts`, gradingTest(name)],
  ]);
  const index = names.map((name) => `export { ${name} } from "./${name}.ts";\n`).join("");
  return { "src/index.ts": index, ...(Object.fromEntries(files) as Record<string, string>) };
}

/** The same function in two files; fallow calls it a duplicate. */
const summary = `export function summary(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const sum = sorted.reduce((total, value) => total + value, 0);
  const mean = sorted.length === 0 ? 0 : sum / sorted.length;
  const spread = sorted.reduce((total, value) => total + (value - mean) ** 2, 0);
  const lowest = sorted.at(0) ?? 0;
  const highest = sorted.at(-1) ?? 0;
  const range = highest - lowest;
  return [middle, sum, mean, spread, lowest, highest, range].join(" ");
}
`;
const summaryTest = (name: string): string => testOf(name, `([1, 3]), "${name}: 3 4 2 2 1 3 2"`);
const user = (name: string, own: string): string =>
  `${own}\nexport function ${name}(values: readonly number[]): string {\n  return "${name}: " + summary(values);\n}\n`;

/** Two public functions, each with its own copy of one that both need. */
export const duplicated = {
  "src/index.ts": 'export { first } from "./first.ts";\nexport { second } from "./second.ts";\n',
  "src/first.ts": user("first", summary.replace("export ", "")),
  "src/second.ts": user("second", summary.replace("export ", "")),
  "src/first.test.ts": summaryTest("first"),
  "src/second.test.ts": summaryTest("second"),
};

export const shared = {
  "src/first.ts": user("first", summary),
  "src/second.ts": user("second", 'import { summary } from "./first.ts";\n'),
};

export function aMachine(files: Readonly<Record<string, string>>, more: readonly "fallow"[] = []): MachineHome {
  const machine = new MachineHome();
  write(machine.project, { ...settings, ...files });
  // What the tools find is to be the same whatever else this repository uses.
  const isLinked = (name: string): boolean => !name.startsWith(".") && (name !== "fallow" || more.length > 0);
  linkPackages(machine.project, readdirSync(packages).filter(isLinked), ["tsc", "oxlint", "knip", ...more]);
  git(machine.project, "add", "--all");
  git(machine.project, "commit", "--quiet", "--message", "sample");
  return machine;
}

/** Neither worktrees nor branches but those that are offered. */
export function expectClean({ project, paths }: Pick<MachineHome, "project" | "paths">, kept: number): void {
  const { worktrees, branches, folders } = leftIn(project, paths.home);
  const left = folders.filter((name) => /^(?:task|transform)-/.test(name));
  expect([worktrees.length, branches.length, left]).toEqual([0, kept, []]);
}

export async function evolved(machine: MachineHome, ...args: string[]): Promise<EvolveReport> {
  return (await machine.ask("code", "evolve", "--trust", ...args)) as unknown as EvolveReport;
}

export function fix(name: string): Omit<Part, "text"> {
  return { files: { [`src/${name}.ts`]: grading(name, true) } };
}

/** Where the settings of the worker are, whose Claude Code does these parts one after the other. */
export function withWorker(machine: MachineHome, parts: readonly Omit<Part, "text">[]): string {
  const done = lines(init(), result());
  const program = writeFakeClaude(
    machine.home,
    parts.map((part) => ({ text: done, ...part })),
  );
  const path = join(machine.home, "worker.json");
  const evolve = { trust: true, claude: { program, env: ["HOME"] } };
  writeFileSync(path, JSON.stringify({ types: { evolve: { repository: machine.project, evolve } } }));
  return path;
}
