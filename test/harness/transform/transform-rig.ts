import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { aCliHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { leftIn, makeRepository } from "#harness/machine/git-project.ts";

const modules = join(import.meta.dirname, "..", "..", "..", "node_modules");

/** Links packages of this repository and their programs into a project, as npm installs them. */
export function linkPackages(project: string, packages: readonly string[], programs: readonly string[]): void {
  for (const name of [...packages, ...programs.map((program) => join(".bin", program))]) {
    const target = join(project, "node_modules", name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(modules, name), target);
  }
}

export const varRule = `id: no-var
language: TypeScript
rule: { pattern: "var $A = $B" }
fix: "let $A = $B"
`;

/** jscodeshift: each var becomes let. */
const varCodemod = `module.exports = ({ source }, { jscodeshift: j }) =>
  j(source).find(j.VariableDeclaration, { kind: "var" }).forEach(({ node }) => { node.kind = "let"; }).toSource();
`;

/** ts-morph: the variable \`a\` is renamed wherever it is used. */
const renameCodemod = `import { Project } from "ts-morph";
export default (project: Project): void => {
  for (const file of project.getSourceFiles()) file.getVariableDeclaration("a")?.rename("renamed");
};
`;

const sources: Readonly<Record<string, string>> = {
  ".gitignore": "node_modules/\n",
  "package.json": JSON.stringify({ name: "small", type: "module", scripts: { test: "node check.js" } }),
  "src/a.ts": "export var a = 1;\nvar b = 2;\nconsole.log(a, b);\n",
  "src/ü b.ts": "import { a } from './a.ts';\r\nvar c: number = a;\r\nvar d = <number>c;\r\n",
  "check.js":
    'import { readFileSync } from "node:fs";\nif (!readFileSync("src/a.ts", "utf8").includes("console.log(")) process.exit(1);\n',
  "rules/no-var.yml": varRule,
  "codemods/no-var.cjs": varCodemod,
  "codemods/rename.ts": renameCodemod,
};

export function aTransformHome(files: Readonly<Record<string, string>> = {}) {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, { ...sources, ...files });
  const programs = ["ast-grep", "jscodeshift", "oxlint"];
  linkPackages(home.project, ["@ast-grep/cli", "jscodeshift", "ts-morph", "oxlint"], programs);
  const env = { ...home.runtime.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  Object.assign(home.runtime, { env });
  const io = { env, interrupted: () => new AbortController().signal };
  /** `shim code transform` with Node's folder on the path, and no Ctrl-C. */
  const transform = (command: string, overrides: Partial<Io> = {}): ReturnType<CliHome["shim"]> =>
    home.shimWith({ ...io, ...overrides }, `code transform ${command}`);
  return Object.assign(home, {
    transform,
    report: async (command: string) => (await transform(`--json ${command}`)).json(),
    refuses: async (command: string, ...why: Parameters<typeof failed>) =>
      expect([command, await transform(command)]).toMatchObject([command, failed(...why)]),
    prints: async (command: string, ...parts: Parameters<typeof printed>) =>
      expect([command, await transform(command)]).toMatchObject([command, printed(...parts)]),
    branches: () => leftIn(home.project, home.paths.home).branches,
    /** What a transform could leave behind, which is nothing but branches. */
    leftovers() {
      const { folders, worktrees } = leftIn(home.project, home.paths.home);
      return [...folders, ...worktrees];
    },
  });
}

export type TransformHome = ReturnType<typeof aTransformHome>;
