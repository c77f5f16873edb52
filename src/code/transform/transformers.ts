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

/** A change of code, as the user or a task names it. */
export type Change =
  /** Rules of ast-grep: YAML documents. */
  | { readonly kind: "rules"; readonly text: string }
  /** Fixes of a tool of the project. */
  | { readonly kind: "fixes"; readonly name: FixName };

/**
 * lint-fix: safe fixes of the first linter that the project uses. unused-fix: knip takes the word
 * `export` from what is used nowhere else.
 */
export const fixNames = ["lint-fix", "unused-fix"] as const;
export type FixName = (typeof fixNames)[number];

const ruleEndings = new Set([".yml", ".yaml"]);
/** Bounds what is read into memory. */
const maxRuleBytes = 1_048_576;

/** @param path absolute: a file, or a folder of rules */
export function readChange(path: string): Result<Change> {
  try {
    const isFolder = statSync(path).isDirectory();
    if (isFolder || ruleEndings.has(extname(path))) return readRules(path, isFolder);
    return fail("bad_input", `${path} is no rule of ast-grep (.yml).`);
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
  trust: z.boolean().default(false).describe("run the project's tools and tests, this time"),
  timeLimitMs: Duration.min(1_000)
    .max(3_600_000)
    .optional()
    .describe("for each run of the tool, and for the tests (default: 10m)"),
});
export type TransformInput = z.infer<typeof TransformInput>;

export interface TransformContext extends Pick<CommandContext, "writeScratch"> {
  /** Relative to the project, each beginning with `./`. */
  readonly paths: readonly string[];
}

export interface Transformer {
  readonly name: string;
  readonly detect: (project: ProjectView) => Detection | null;
  /** Arguments of its run. Exit code 1: faults are left that have no fix. */
  readonly args: (context: TransformContext) => readonly string[];
}

/** @returns the tools that can do it, the first that the project has counts */
export function transformersFor(change: Change): readonly Transformer[] {
  switch (change.kind) {
    case "rules":
      return [astGrep(change.text)];
    case "fixes":
      return fixes[change.name];
  }
}

function astGrep(rules: string): Transformer {
  return {
    name: "ast-grep",
    detect: (project) =>
      detectTool(project, {
        packageName: "@ast-grep/cli",
        program: "ast-grep",
        setUp: "rules are applied by ast-grep",
      }),
    args: ({ paths, writeScratch }) => {
      // The project's own configuration could name libraries to load.
      const config = writeScratch("sgconfig.yml", "ruleDirs: []\n");
      const rule = writeScratch("rules.yml", rules);
      return ["scan", "--config", config, "--rule", rule, "--update-all", ...paths];
    },
  };
}

function fixer({ name, detect }: Adapter, args: Transformer["args"]): Transformer {
  return { name, detect, args };
}

const linters: readonly Transformer[] = [
  fixer(oxlint, ({ paths }) => ["--fix", ...paths]),
  fixer(biome, ({ paths }) => ["lint", "--write", ...paths]),
  fixer(eslint, ({ paths }) => ["--fix", ...paths]),
];

const fixes: Readonly<Record<FixName, readonly Transformer[]>> = {
  "lint-fix": linters,
  // Without paths: what is used nowhere is known of a project as a whole.
  "unused-fix": [fixer(knip, () => ["--fix", "--fix-type", "exports,types", "--no-progress"])],
};
