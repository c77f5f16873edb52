import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { commitAll, readDiff } from "../../snapshots/commit-work.ts";
import { run, type Git } from "../../snapshots/git.ts";
import { withoutLinks } from "../../snapshots/worktrees.ts";
import { detectTool, outputProblem, type Adapter } from "../analysis/adapter.ts";
import { knip } from "../analysis/adapters/dead-code.ts";
import { biome, eslint, oxlint } from "../analysis/adapters/linters.ts";
import { conceptOf, type Finding } from "../analysis/finding.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { openCopy, openProject } from "../tool-runner/project-folder.ts";
import { runTool } from "../tool-runner/run-tool.ts";
import { inCommit, type RepositoryProject } from "../tool-runner/worktree.ts";
import type { FixName } from "./candidate.ts";
import { limitMs, type MeasureDeps } from "./measure.ts";

/** A tool that changes code. Exit code 1: faults are left that have no fix. */
interface Fixer extends Pick<Adapter, "detect"> {
  readonly name: string;
  readonly args: readonly string[];
  /** Files in its scratch folder, which its arguments name. */
  readonly files?: Readonly<Record<string, string>>;
}

const fixers: Readonly<Record<FixName, readonly Fixer[]>> = {
  "lint-fix": [
    { ...oxlint, args: ["--fix", "."] },
    { ...biome, args: ["lint", "--write", "."] },
    { ...eslint, args: ["--fix", "."] },
  ],
  // Without paths: what is used nowhere is known of a project as a whole.
  "unused-fix": [{ ...knip, args: ["--fix", "--fix-type", "exports,types", "--no-progress"] }],
};

function astGrep(rules: string): Fixer {
  const needed = { packageName: "@ast-grep/cli", program: "ast-grep", setUp: "rules are applied by ast-grep" };
  return {
    name: "ast-grep",
    detect: (project) => detectTool(project, needed),
    // The project's own configuration could name libraries to load.
    files: { "sgconfig.yml": "ruleDirs: []\n", "rules.yml": rules },
    args: ["scan", "--config", "{scratch}/sgconfig.yml", "--rule", "{scratch}/rules.yml", "--update-all", "."],
  };
}

const ruleEndings = new Set([".yml", ".yaml"]);
/** Bounds what is read into memory. */
const maxRuleBytes = 1_048_576;

/** Rules of ast-grep. @param path absolute: a file, or a folder of them */
export function readRules(path: string): Result<string, string> {
  try {
    const names = statSync(path).isDirectory() ? readdirSync(path).sort() : [""];
    const files = names.map((name) => join(path, name)).filter((file) => ruleEndings.has(extname(file)));
    if (files.length === 0) return err(`there is no rule of ast-grep (.yml) in ${path}`);
    if (files.reduce((sum, file) => sum + statSync(file).size, 0) > maxRuleBytes)
      return err(`the rules in ${path} have more than 1 MiB`);
    return ok(files.map((file) => readFileSync(file, "utf8")).join("\n---\n"));
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return err(code === "ENOENT" ? `there is no ${path}` : `${path} cannot be read: ${code}`);
  }
}

/** Changes of fixers, for `git apply`. */
export type Patches = ReadonlyMap<FixName | "rules", string>;

interface FixRequest {
  readonly commit: string;
  readonly signal: AbortSignal;
}

/**
 * Changes that a tool of the project makes in a commit, for `git apply`; "" where it makes none.
 *
 * @param what rules of ast-grep, or a fixer
 * @returns an error that says why it could not
 */
export async function patchOf(
  deps: MeasureDeps,
  project: RepositoryProject,
  what: FixName | { readonly rules: string },
  { commit, signal }: FixRequest,
): Promise<Result<string, string>> {
  return inCommit(deps, project, { commit, signal, hasLinks: false }, async (folder, worktree) => {
    // Settings are those of the commit, tools are where they are installed.
    const view = openCopy(openProject(join(project.top, project.prefix)), folder);
    const found = (typeof what === "string" ? fixers[what] : [astGrep(what.rules)]).map((fixer) => {
      return { fixer, detected: fixer.detect(view) };
    });
    const ready = found.find(({ detected }) => detected?.kind === "ready");
    if (ready?.detected?.kind !== "ready") {
      const why = found.map(({ fixer: { name }, detected }) =>
        detected?.kind === "missing" ? detected.why : `${name} is not used here`,
      );
      return err(why.join("; "));
    }
    const { tool } = ready.detected;
    const { name, files = {}, args: words } = ready.fixer;
    const scratch = join(worktree.folder, "scratch");
    mkdirSync(scratch);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(scratch, file), text);
    const args = words.map((word) => word.replace("{scratch}", scratch));
    const output = await runTool({ tool, command: { args }, folder, scratch, env: deps.env, timeMs: limitMs, signal });
    if (!output.ok) return err(`${name} ${output.error}`);
    if (output.value.code > 1) return err(`${name}: ${outputProblem(output.value)}`);
    const git = withoutLinks(worktree.git(signal));
    const made = await commitAll(git, { tree: worktree.tree, message: name, now: deps.now() });
    return ok(await readDiff(git, commit, made.commit));
  });
}

/** Work of a fixer of the project. */
interface Fixed {
  readonly patch: string;
  /** Fingerprints of the findings that are gone then. */
  readonly removed: ReadonlySet<string>;
}

/** Runs a fixer on a commit, and the project's tools on what it leaves. */
export async function tryFixer(
  deps: MeasureDeps,
  project: RepositoryProject,
  fixer: FixName,
  { findings, ...request }: FixRequest & { readonly findings: readonly Finding[] },
): Promise<Result<Fixed, string>> {
  const made = await patchOf(deps, project, fixer, request);
  if (!made.ok) return made;
  const patch = made.value;
  if (patch === "") return ok({ patch, removed: new Set() });
  return inCommit(deps, project, request, async (folder, worktree) => {
    const git = worktree.git(request.signal);
    await run(git, ["apply", "--whitespace=nowarn", "-"], patch);
    await commitAll(git, { tree: worktree.tree, message: fixer, now: deps.now() });
    const analysed = await analyze({ ...deps, folder, signal: request.signal });
    if (!analysed.ok) return analysed;
    const left = new Set(analysed.value.findings.map(({ fingerprint }) => fingerprint));
    return ok({ patch, removed: new Set(findings.map((one) => one.fingerprint).filter((one) => !left.has(one))) });
  });
}

/**
 * Makes the part of a patch that is about these files.
 *
 * @param files relative to the top of the worktree; none: all of it
 * @returns false: an earlier change has left other lines there
 */
export async function applyPatch(git: Git, patch: string, files: readonly string[]): Promise<boolean> {
  const included = files.map((file) => `--include=${file.replaceAll(/[*?[\\]/g, "\\$&")}`);
  const { code } = await run(git, ["apply", "--whitespace=nowarn", "--3way", ...included, "-"], patch, [0, 1, 128]);
  return code === 0;
}

/** Rules about code that is used nowhere: what only it used is then unused, too. */
export function isUnusedName({ tool, rule }: Pick<Finding, "tool" | "rule">): boolean {
  return ["unused-name", "unused-export", "unused-type"].includes(conceptOf(tool, rule));
}

/** Tools of dead code name the symbol, compilers and linters quote it. */
export function namesOf({ symbol, message }: Pick<Finding, "symbol" | "message">): string[] {
  const name = symbol ?? /['"`]([\w$]+)['"`]/.exec(message)?.[1];
  return name === undefined ? [] : [name];
}
