import { err, ok, type Result } from "../../shared/result.ts";
import { commitAll } from "../../snapshots/commit-work.ts";
import { run, type Git } from "../../snapshots/git.ts";
import { conceptOf, type Finding } from "../analysis/finding.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { runTransform } from "../transform/run-transform.ts";
import type { FixName } from "../transform/transformers.ts";
import { inCommit, type RepositoryProject } from "../transform/worktree.ts";
import { limitMs, type MeasureDeps } from "./measure.ts";

/** Changes of fixers, for `git apply`. */
export type Patches = ReadonlyMap<FixName, string>;

/** Work of a tool of the project. */
export interface Fixed {
  /** Its changes of all files, for `git apply`; "" where it changes nothing. */
  readonly patch: string;
  /** Fingerprints of the findings that are gone then. */
  readonly removed: ReadonlySet<string>;
}

interface FixRequest {
  readonly commit: string;
  readonly findings: readonly Finding[];
  readonly signal: AbortSignal;
}

/**
 * Runs a fixer on a commit, and the project's tools on what it leaves.
 *
 * @returns an error that says why it could not
 */
export async function tryFixer(
  deps: MeasureDeps,
  project: RepositoryProject,
  fixer: FixName,
  { commit, findings, signal }: FixRequest,
): Promise<Result<Fixed, string>> {
  const { top, repository, prefix } = project;
  const report = await runTransform(deps, {
    source: { top, repository, base: commit },
    change: { kind: "fixes", name: fixer },
    paths: prefix === "" ? [] : [prefix],
    offer: null,
    timeoutMs: limitMs,
    signal,
  });
  if (!report.ok) return err(report.error.message);
  const { diff } = report.value;
  const patch = diff.slice(Math.max(0, diff.search(/^diff --git /m)));
  if (patch === "") return ok({ patch, removed: new Set() });
  return inCommit(deps, project, { commit, signal }, async (folder, worktree) => {
    const git = worktree.git(signal);
    await run(git, ["apply", "--whitespace=nowarn", "-"], patch);
    await commitAll(git, { tree: worktree.tree, message: fixer, now: deps.now() });
    const analysed = await analyze({ ...deps, folder, signal });
    if (!analysed.ok) return analysed;
    const left = new Set(analysed.value.findings.map(({ fingerprint }) => fingerprint));
    return ok({ patch, removed: new Set(findings.map((one) => one.fingerprint).filter((one) => !left.has(one))) });
  });
}

/**
 * Makes the part of a patch that is about these files.
 *
 * @param files relative to the top of the worktree
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
