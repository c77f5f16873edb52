import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import * as z from "zod";
import { Duration } from "../../contract/machine/operation.ts";
import { codeOf } from "../../shared/error.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import {
  detectTool,
  type Adapter,
  type CommandContext,
  type Detection,
  type ProjectView,
} from "../analysis/adapter.ts";
import { knip } from "../analysis/adapters/dead-code.ts";
import { biome, eslint, oxlint } from "../analysis/adapters/linters.ts";
import { detectLibrary } from "../tool-runner/project-folder.ts";

/** A change of code, as the user or a task names it. */
export type Change =
  /** Rules of ast-grep: YAML documents. */
  | { readonly kind: "rules"; readonly text: string }
  /** Code that changes code. */
  | { readonly kind: "codemod"; readonly path: string; readonly tool: "jscodeshift" | "ts-morph" }
  /** Fixes of a tool of the project. */
  | { readonly kind: "fixes"; readonly name: FixName };

/**
 * lint-fix: safe fixes of the first linter that the project uses. unused-fix: knip takes the word
 * `export` from what is used nowhere else.
 */
export const fixNames = ["lint-fix", "unused-fix"] as const;
export type FixName = (typeof fixNames)[number];

const ruleEndings = new Set([".yml", ".yaml"]);
const codeEndings = new Set([".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"]);
/** Bounds what is read into memory. */
const maxRuleBytes = 1_048_576;

/**
 * Reads rules. A codemod is for ts-morph if its text names that package, else for
 * jscodeshift.
 *
 * @param path absolute: a file, or a folder of rules
 */
export function readChange(path: string): Result<Change> {
  try {
    const isFolder = statSync(path).isDirectory();
    if (isFolder || ruleEndings.has(extname(path))) return readRules(path, isFolder);
    if (!codeEndings.has(extname(path)))
      return fail("bad_input", `${path} is neither a rule (.yml) nor a codemod (.js, .ts).`);
    const text = readFileSync(path, "utf8");
    return ok({ kind: "codemod", path, tool: text.includes("ts-morph") ? "ts-morph" : "jscodeshift" });
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return fail("bad_input", code === "ENOENT" ? `there is no ${path}.` : `${path} cannot be read: ${code}.`);
  }
}

function readRules(path: string, isFolder: boolean): Result<Change> {
  const names = isFolder
    ? readdirSync(path)
        .filter((name) => ruleEndings.has(extname(name)))
        .sort()
    : [];
  const files = isFolder ? names.map((name) => join(path, name)) : [path];
  if (files.length === 0) return fail("bad_input", `there is no rule (.yml) in ${path}.`);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  if (bytes > maxRuleBytes) return fail("bad_input", `the rules in ${path} have more than 1 MiB.`);
  return ok({ kind: "rules", text: files.map((file) => readFileSync(file, "utf8")).join("\n---\n") });
}

/** A transform of the project here, as a person asks for it. */
export const TransformInput = z.strictObject({
  what: z.string().min(1),
  paths: z.array(z.string()).default([]),
  branch: z
    .boolean()
    .default(false)
    .describe("leave a branch shim/transform-... once a second run changes nothing and the tests pass"),
  /** False: none are to run. */
  tests: z
    .union([z.literal(false), z.string()])
    .optional()
    .describe("with --branch: a command that has to succeed (default: npm test, where package.json has one)"),
  trust: z.boolean().default(false).describe("also run code of the project, this time"),
  timeLimitMs: Duration.min(1_000)
    .max(3_600_000)
    .optional()
    .describe("for each run of the tool, and for the tests (default: 10m)"),
});
export type TransformInput = z.infer<typeof TransformInput>;

export interface TransformContext extends Pick<CommandContext, "project" | "isTrusted" | "writeScratch"> {
  /** Relative to the project, each beginning with `./`. */
  readonly paths: readonly string[];
  /** Files that git tracks below the paths, by ending; relative to the project. */
  readonly listFiles: (endings: readonly string[]) => Promise<readonly string[]>;
}

export interface TransformCommand {
  readonly args: readonly string[];
  /** Started by Node with the tool's path as first argument, instead of the tool itself. */
  readonly script?: string;
  /** Other exit codes than these are failures. */
  readonly codes: readonly number[];
}

export interface Transformer {
  readonly name: string;
  /** @param from where the project's packages are installed */
  readonly detect: (project: ProjectView, from: string) => Detection | null;
  /** Options of Node, which keeps it from writing elsewhere; null: not a program of Node. */
  readonly permissions: readonly string[] | null;
  readonly apply: (context: TransformContext) => Promise<readonly TransformCommand[]>;
}

/** @returns the tools that can do it, the first that the project has counts */
export function transformersFor(change: Change): readonly Transformer[] {
  switch (change.kind) {
    case "rules":
      return [astGrep(change.text)];
    case "codemod":
      return [change.tool === "ts-morph" ? tsMorph(change.path) : jscodeshift(change.path)];
    case "fixes":
      return fixes[change.name];
  }
}

function astGrep(rules: string): Transformer {
  return {
    name: "ast-grep",
    permissions: null,
    detect: (project) =>
      detectTool(project, {
        packageName: "@ast-grep/cli",
        program: "ast-grep",
        setUp: "rules are applied by ast-grep",
        risk: null,
      }),
    apply: ({ paths, writeScratch }) => {
      // The project's own configuration could name libraries to load.
      const config = writeScratch("sgconfig.yml", "ruleDirs: []\n");
      const rule = writeScratch("rules.yml", rules);
      const args = ["scan", "--config", config, "--rule", rule, "--update-all", ...paths];
      // 1: a rule of the level error still has matches.
      return Promise.resolve([{ args, codes: [0, 1] }]);
    },
  };
}

const parsers: Readonly<Record<string, readonly string[]>> = {
  ts: [".ts", ".mts", ".cts"],
  tsx: [".tsx"],
  babel: [".js", ".mjs", ".cjs", ".jsx"],
};

/** A codemod that names a parser overrides the one of the file's ending. */
function jscodeshift(codemod: string): Transformer {
  return {
    name: "jscodeshift",
    permissions: [],
    detect: (project) =>
      detectTool(project, { packageName: "jscodeshift", setUp: "the codemod is for jscodeshift", risk: codemodRisk }),
    apply: async ({ listFiles, writeScratch }) => {
      const commands: TransformCommand[] = [];
      for (const [parser, endings] of Object.entries(parsers)) {
        const files = await listFiles(endings);
        const flags = [`--transform=${codemod}`, `--parser=${parser}`, "--run-in-band", "--fail-on-error"];
        const args = [writeScratch(`files-${parser}`, toLines(files)), ...flags];
        if (files.length > 0) commands.push({ args, script: jscodeshiftScript, codes: [0] });
      }
      return commands;
    },
  };
}

function tsMorph(codemod: string): Transformer {
  return {
    name: "ts-morph",
    permissions: [],
    detect: (_project, from) => detectLibrary(from, "ts-morph", codemodRisk),
    apply: async ({ listFiles, project, writeScratch }) => {
      const files = await listFiles(Object.values(parsers).flat());
      const config = project.read("tsconfig.json") === null ? "" : join(project.root, "tsconfig.json");
      const args = [writeScratch("files", toLines(files)), codemod, config];
      return [{ args, script: tsMorphScript, codes: [0] }];
    },
  };
}

function toLines(files: readonly string[]): string {
  return files.map((file) => `${file}\n`).join("");
}

const codemodRisk = "a codemod is code";

/** @param args of a run on these paths */
function fixer(
  { name, detect }: Adapter,
  permissions: Transformer["permissions"],
  args: (context: TransformContext) => readonly string[],
): Transformer {
  // 1: faults are left that have no fix.
  const apply = (context: TransformContext): TransformCommand[] => [{ args: args(context), codes: [0, 1] }];
  return { name, permissions, detect, apply: (context) => Promise.resolve(apply(context)) };
}

const linters: readonly Transformer[] = [
  // Configurations in folders below could name plugins, which are code.
  fixer(oxlint, null, ({ paths, isTrusted }) => ["--fix", ...(isTrusted ? [] : ["--disable-nested-config"]), ...paths]),
  fixer(biome, null, ({ paths }) => ["lint", "--write", ...paths]),
  // Resolvers of its plugins are native.
  fixer(eslint, ["--allow-addons"], ({ paths }) => ["--fix", ...paths]),
];

const fixes: Readonly<Record<FixName, readonly Transformer[]>> = {
  "lint-fix": linters,
  // Without paths: what is used nowhere is known of a project as a whole.
  "unused-fix": [fixer(knip, null, () => ["--fix", "--fix-type", "exports,types", "--no-progress"])],
};

/**
 * Runs jscodeshift's own program. Its writes ask for fsync, which Node's permissions refuse
 * (seen in 24.21: "fsync API is disabled"); the files are in a worktree that is thrown away.
 */
const jscodeshiftScript = `"use strict";
const fs = require("node:fs");
const [program, list, ...args] = process.argv.slice(1);
fs.fsync = (_file, done) => process.nextTick(done, null);
process.env.BABEL_DISABLE_CACHE = "1";
process.argv = [process.argv[0], program, ...args, ...fs.readFileSync(list, "utf8").split("\\n").filter(Boolean)];
require(program);
`;

/** ts-morph is a library: the codemod's default export gets a project of the listed files. */
const tsMorphScript = `"use strict";
const { readFileSync } = require("node:fs");
const { pathToFileURL } = require("node:url");
const [library, list, codemod, tsConfigFilePath] = process.argv.slice(1);
const { Project } = require(library);
const project = new Project(
  tsConfigFilePath
    ? { tsConfigFilePath, skipAddingFilesFromTsConfig: true }
    : { compilerOptions: { allowJs: true } },
);
for (const file of readFileSync(list, "utf8").split("\\n").filter(Boolean)) project.addSourceFileAtPath(file);
async function main() {
  const loaded = await import(pathToFileURL(codemod).href);
  const transform = loaded.default?.default ?? loaded.default;
  if (typeof transform !== "function") throw new Error(codemod + " has no default export that is a function");
  await transform(project);
  await project.save();
}
main().catch((error) => {
  console.error(error?.stack ?? error);
  process.exitCode = 1;
});
`;
