import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { conceptOf } from "../analysis/equivalences.ts";
import type { Finding } from "../analysis/finding.ts";
import { loadAstGrep, MissingAstGrep } from "../mutation/ast-grep.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { run, type Git } from "../snapshots/git.ts";
import { runTransform } from "../transform/run-transform.ts";
import { commitAll, resolveCommit } from "../worker-runner/work-git.ts";
import type { Fixer } from "./candidate.ts";
import type { MeasureDeps } from "./measure.ts";
import type { RepositoryProject } from "../transform/in-commit.ts";
import { hunksOf } from "./hunks-of.ts";
import { removeUnused } from "./remove-unused.ts";

export type FixedFinding = Pick<Finding, "tool" | "rule" | "file" | "range" | "symbol" | "message">;

export interface FixRequest {
  readonly fixer: Fixer;
  /** Top of a worktree, whose files are those of its HEAD. */
  readonly tree: string;
  readonly git: Git;
  /** Relative to the project: no other file is changed. */
  readonly files: readonly string[];
  readonly findings: readonly FixedFinding[];
  /** [EV214] Findings of the same files that stay. */
  readonly left: readonly FixedFinding[];
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** [EV10] Changes the files and commits. The error says why it could not. */
export async function applyFixer(
  deps: MeasureDeps,
  project: RepositoryProject,
  request: FixRequest,
): Promise<Result<null, string>> {
  const { fixer, tree, git } = request;
  const applied = fixer === "unused" ? await fixUnused(project, request) : await fixLint(deps, project, request);
  if (!applied.ok) return applied;
  await commitAll(git, { tree, message: `shim: ${fixer} in ${request.files.join(", ")}`, now: deps.now() });
  return ok(null);
}

/** Rules that the fixer `unused` removes code for. */
export function isUnusedName({ tool, rule }: Pick<Finding, "tool" | "rule">): boolean {
  return ["unused-name", "unused-export", "unused-type"].includes(conceptOf(tool, rule));
}

async function fixUnused(
  { prefix, top }: RepositoryProject,
  { tree, files, findings }: FixRequest,
): Promise<Result<null, string>> {
  try {
    const astGrep = await loadAstGrep(join(top, prefix));
    for (const file of files) {
      const path = join(tree, prefix, file);
      if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) continue;
      const source = readFileSync(path, "utf8");
      const own = findings.filter((one) => one.file === file && isUnusedName(one));
      const nameless = own.filter((one) => nameOf(one).length === 0).flatMap(({ range }) => range?.line ?? []);
      const unused = { names: new Set(own.flatMap(nameOf)), lines: new Set(nameless) };
      const changed = removeUnused(astGrep, file, source, unused);
      if (changed !== source) writeFileSync(path, changed);
    }
    return ok(null);
  } catch (error) {
    if (error instanceof MissingAstGrep) return err(error.message);
    throw error;
  }
}

/** Tools of dead code name the symbol, compilers and linters quote it. */
function nameOf({ symbol, message }: FixedFinding): string[] {
  const name = symbol ?? /['"`]([\w$]+)['"`]/.exec(message)?.[1];
  return name === undefined ? [] : [name];
}

/** The linter works in a worktree of its own. */
async function fixLint(
  deps: MeasureDeps,
  { top, repository, prefix }: RepositoryProject,
  { git, files, findings, left, limitMs, signal }: FixRequest,
): Promise<Result<null, string>> {
  const paths = files.length === 0 ? (prefix === "" ? [] : [prefix]) : files.map((file) => inRepository(prefix, file));
  const report = await runTransform(deps, {
    source: { top, repository, base: await resolveCommit(git, "HEAD") },
    change: () => ok({ kind: "lint-fix", linter: null }),
    paths,
    isTrusted: true,
    offer: null,
    timeoutMs: limitMs,
    signal,
    onOutput: () => undefined,
  });
  if (!report.ok) return err(report.error.message);
  const { diff } = report.value;
  const patch = diff.slice(Math.max(0, diff.search(/^diff --git /m)));
  if (patch === "") return ok(null);
  await run(git, ["apply", "--whitespace=nowarn", "-"], patch);
  if (left.length > 0) await undoLines(git, prefix, findings, left);
  return ok(null);
}

/** A linter fixes all that it can in a file, so the lines of what is to stay are taken back. */
async function undoLines(
  git: Git,
  prefix: string,
  findings: readonly FixedFinding[],
  left: readonly FixedFinding[],
): Promise<void> {
  const plain = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--unified=0"];
  const readable = { ...git, before: [...git.before, "-c", "core.quotePath=false"] };
  const { stdout } = await run(readable, ["diff", ...plain, "HEAD"]);
  const inTop = (one: FixedFinding): FixedFinding => ({ ...one, file: inRepository(prefix, one.file) });
  const undone = hunksOf(stdout.toString("utf8"), findings.map(inTop), left.map(inTop));
  const args = ["apply", "--reverse", "--unidiff-zero", "--whitespace=nowarn", "-"];
  if (undone !== "") await run(git, args, undone);
}

function inRepository(prefix: string, file: string): string {
  return prefix === "" ? file : `${prefix}/${file}`;
}
