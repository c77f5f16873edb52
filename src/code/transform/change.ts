import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import * as z from "zod";
import { Duration } from "../../contract/machine/operation.ts";
import { codeOf } from "../../shared/error.ts";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";

/** A change of code, as the user or a task names it. */
export type Change =
  /** Rules of ast-grep: YAML documents. */
  | { readonly kind: "rules"; readonly text: string }
  /** Code that changes code. */
  | { readonly kind: "codemod"; readonly path: string; readonly tool: "jscodeshift" | "ts-morph" }
  /** Fixes of the first linter that the project uses. */
  | { readonly kind: "lint-fix" };

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
export function readChange(path: string): Result<Change, Failure> {
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

function readRules(path: string, isFolder: boolean): Result<Change, Failure> {
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

/** In the repository, with `/`; nothing leads out of it. */
const Path = z
  .string()
  .max(1_000)
  .regex(/^[^/\p{Cc}][^\p{Cc}]*$/u, "a path in the repository")
  .refine((path) => !path.split("/").includes(".."), "a path in the repository has no ..");

/**
 * Payload of a task: exactly one of `rule`, `codemod` and `lintFix`. Code comes from the
 * repository alone, since a task does not choose programs.
 */
export const TransformTask = z
  .strictObject({
    /** Rules of ast-grep, in YAML, which are data. */
    rule: z.string().min(1).max(100_000).optional(),
    /** Path of a rule, a folder of rules or a codemod. */
    codemod: Path.optional(),
    lintFix: z.literal(true).optional(),
    paths: z.array(Path).max(100).default([]),
  })
  .refine(
    ({ rule, codemod, lintFix }) => [rule, codemod, lintFix].filter((one) => one !== undefined).length === 1,
    "give one of rule, codemod and lintFix",
  );
export type TransformTask = z.infer<typeof TransformTask>;
