import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { git, write } from "#harness/machine/git-project.ts";

const packages = resolve(import.meta.dirname, "../../../node_modules");

const settings = {
  "package.json": JSON.stringify({
    name: "sample",
    version: "1.0.0",
    type: "module",
    exports: { ".": "./src/index.ts" },
    scripts: { test: "node --test" },
    devDependencies: { typescript: "*", oxlint: "*", knip: "*" },
  }),
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      target: "es2023",
      lib: ["es2023"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ["node"],
      skipLibCheck: true,
    },
    include: ["src"],
  }),
  "knip.json": JSON.stringify({
    project: ["src/**/*.ts"],
    ignoreDependencies: ["typescript", "oxlint", "knip"],
  }),
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
  "src/index.test.ts": `import assert from "node:assert/strict";
import { test } from "node:test";
import { total } from "./index.ts";

test("total", () => assert.equal(total([1, 2]), 3));
test("nothing", () => assert.equal(total([]), 0));
`,
};

/** A function of a complexity that the linter reports, and one that does the same. */
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

export function gradingTest(name: string): string {
  return `import assert from "node:assert/strict";
import { test } from "node:test";
import { ${name} } from "./${name}.ts";

test("${name} at the top", () => assert.equal(${name}(95), "A"));
test("${name} at the bottom", () => assert.equal(${name}(1), "F"));
`;
}

/** Files with one complex function each, all of them public. */
export function complexFiles(names: readonly string[]): Record<string, string> {
  const files = names.flatMap((name) => [
    [`src/${name}.ts`, grading(name, false)],
    [`src/${name}.test.ts`, gradingTest(name)],
  ]);
  const index = names.map((name) => `export { ${name} } from "./${name}.ts";\n`).join("");
  return { "src/index.ts": index, ...(Object.fromEntries(files) as Record<string, string>) };
}

/** Without `fallow`: what the tools find is to be the same whatever else this repository uses. */
function linkTools(target: string): void {
  mkdirSync(join(target, ".bin"), { recursive: true });
  for (const name of readdirSync(packages).filter((one) => !one.startsWith(".") && one !== "fallow"))
    symlinkSync(join(packages, name), join(target, name));
  for (const name of ["tsc", "oxlint", "knip"]) symlinkSync(join(packages, ".bin", name), join(target, ".bin", name));
}

/** A package with the tools of this repository, in a repository that has one commit more. */
export function writeSample(project: string, files: Readonly<Record<string, string>>): void {
  write(project, { ...settings, ...files });
  linkTools(join(project, "node_modules"));
  git(project, "add", "--all");
  git(project, "commit", "--quiet", "--message", "sample");
}

/** Work trees besides the user's. */
export function extraWorktrees(project: string): number {
  return (
    git(project, "worktree", "list", "--porcelain")
      .split("\n")
      .filter((line) => line.startsWith("worktree ")).length - 1
  );
}

export function branches(project: string): string[] {
  const listed = git(project, "for-each-ref", "--format=%(refname:short)", "refs/heads/shim").trim();
  return listed === "" ? [] : listed.split("\n");
}
