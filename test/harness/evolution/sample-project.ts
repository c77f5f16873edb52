import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { git, leftIn, write } from "#harness/machine/git-project.ts";
import { MachineHome } from "#harness/machine/programs.ts";

const modules = join(import.meta.dirname, "../../../node_modules");

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

/** A test for each of these results of the function. */
export function testOf(name: string, ...results: readonly string[]): string {
  const tests = results.map((one, at) => `test("${name} ${at}", () => assert.equal(${name}${one}));\n`);
  return `import assert from "node:assert/strict";
import { test } from "node:test";
import { ${name} } from "./${name}.ts";

${tests.join("")}`;
}

/** Links packages and their programs into a project, as npm installs them. @param from a folder node_modules */
export function linkPackages(
  from: string,
  project: string,
  packages: readonly string[],
  programs: readonly string[],
): void {
  for (const name of [...packages, ...programs.map((program) => join(".bin", program))]) {
    const target = join(project, "node_modules", name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(from, name), target);
  }
}

export function aMachine(files: Readonly<Record<string, string>>): MachineHome {
  const machine = new MachineHome();
  // Its tests are TypeScript, which an older Node does not run.
  symlinkSync(process.execPath, join(machine.home, "bin", "node"));
  write(machine.project, { ...settings, ...files });
  // What the tools find is to be the same whatever else this repository uses.
  const packages = readdirSync(modules).filter((name) => !name.startsWith(".") && name !== "fallow");
  linkPackages(modules, machine.project, packages, ["tsc", "oxlint", "knip"]);
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
