import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { displayPath, GitError, type Git } from "../snapshots/git.ts";
import { changesSince } from "../snapshots/work-tree.ts";
import { readDiff, type ChangedFile } from "../worker-runner/read-diff.ts";
import type { WorkDeps } from "../worker-runner/work-deps.ts";
import { commitAll } from "../worker-runner/work-git.ts";
import type { TransformReport, TransformRequest } from "./request.ts";
import { runTests } from "./run-tests.ts";
import { createThrowaway, resetTo, type ThrowawayWorktree } from "./throwaway-worktree.ts";
import { prepareTool, type PreparedTool } from "./tool-process.ts";

/** Limit of each run of a tool, and of the tests. */
export const defaultTimeMs = 600_000;

type Outcome = Result<TransformReport, Failure>;

/** [TX1] [TX2] Works in a worktree of its own, which is removed whatever happens. */
export async function runTransform(deps: WorkDeps, request: TransformRequest): Promise<Outcome> {
  const worktree = await createThrowaway(deps, request.source, request.offer !== null);
  try {
    return await transform(deps, request, worktree);
  } catch (error) {
    if (!(error instanceof GitError) || !request.signal.aborted) throw error;
    return fail("stopped", "the transform was stopped.");
  } finally {
    await worktree.remove();
  }
}

async function transform(deps: WorkDeps, request: TransformRequest, worktree: ThrowawayWorktree): Promise<Outcome> {
  const git = worktree.git(request.signal);
  const prepared = await prepareTool(deps, request, worktree);
  if (!prepared.ok) return prepared;
  const tool = prepared.value;
  const rules = await tool.count();
  if (!rules.ok) return rules;
  const applied = await tool.apply();
  if (!applied.ok) return applied;
  const { base } = request.source;
  const message = `shim: ${tool.subject}`;
  const { commit, leftOut } = await commitAll(git, { tree: worktree.tree, message, now: deps.now() });
  const { files, diff } = await readDiff(git, base, commit);
  const report = {
    tool: tool.name,
    version: tool.version,
    base,
    commit: files.length === 0 ? null : commit,
    files,
    insertions: sum(files, ({ added }) => added),
    deletions: sum(files, ({ removed }) => removed),
    rules: rules.value,
    isIdempotent: true,
    tests: null,
    leftOut,
    diff,
  };
  if (files.length === 0) return ok(report);
  return request.offer
    ? offerCommit({ deps, request, worktree, tool, offer: request.offer }, report, commit)
    : withRepeat(await repeat(git, tool, leftOut), report);
}

interface Offering {
  readonly deps: WorkDeps;
  readonly request: TransformRequest;
  readonly worktree: ThrowawayWorktree;
  readonly tool: PreparedTool;
  readonly offer: NonNullable<TransformRequest["offer"]>;
}

/** [TX10] The files are reserved until the commit is judged. */
async function offerCommit(offering: Offering, report: TransformReport, commit: string): Promise<Outcome> {
  const reserved = await offering.offer.reserve(report.files.map(({ path }) => path));
  if (!reserved.ok) return reserved;
  try {
    return await judge(offering, report, commit);
  } finally {
    await reserved.value();
  }
}

/** [TX8] [TX11] Applies the transform again, then runs the tests on the commit. */
async function judge(offering: Offering, report: TransformReport, commit: string): Promise<Outcome> {
  const { deps, request, worktree, tool, offer } = offering;
  const git = worktree.git(request.signal);
  const changed = await repeat(git, tool, report.leftOut);
  const repeated = withRepeat(changed, report);
  if (!changed.ok || !repeated.ok) return repeated;
  if (changed.value.length > 0 && !offer.allowsRepeat) return notIdempotent(changed.value);
  await resetTo(git, commit);
  const tests = await runTests(deps, request, worktree, { project: tool.project, tests: offer.tests });
  return tests.ok ? ok({ ...repeated.value, tests: tests.value }) : tests;
}

type ChangedAgain = Result<readonly string[], Failure>;

/** @returns the paths that a second run changes */
async function repeat(git: Git, tool: PreparedTool, leftOut: TransformReport["leftOut"]): Promise<ChangedAgain> {
  const applied = await tool.apply();
  return applied.ok ? ok(await changedPaths(git, leftOut)) : applied;
}

function withRepeat(changed: ChangedAgain, report: TransformReport): Outcome {
  return changed.ok ? ok({ ...report, isIdempotent: changed.value.length === 0 }) : changed;
}

async function changedPaths(git: Git, leftOut: TransformReport["leftOut"]): Promise<string[]> {
  const { changes } = await changesSince(git, "HEAD");
  const skipped = new Set(leftOut.map(({ path }) => path));
  return changes.map(({ path }) => displayPath(path)).filter((path) => !skipped.has(path));
}

const maxNamed = 5;

function notIdempotent(paths: readonly string[]): Outcome {
  const named = paths.slice(0, maxNamed).join(", ");
  const more = paths.length > maxNamed ? ` and ${paths.length - maxNamed} more` : "";
  return fail("not_idempotent", `a second run changes ${named}${more} again.`);
}

function sum(files: readonly ChangedFile[], count: (file: ChangedFile) => number | null): number {
  return files.reduce((total, file) => total + (count(file) ?? 0), 0);
}
