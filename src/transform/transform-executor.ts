import { realpathSync } from "node:fs";
import { join, sep } from "node:path";
import * as z from "zod";
import type { Json } from "../contract/json.ts";
import { codeOf } from "../shared/error.ts";
import { formatIssues } from "../shared/problems.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { gitInWorktree, resolveCommit } from "../worker-runner/work-git.ts";
import { readChange, type Change } from "./change.ts";
import { failure, type TransformFailure } from "./failure.ts";
import type { Release, Tests, TransformDeps, TransformReport } from "./request.ts";
import { defaultTimeMs, runTransform } from "./run-transform.ts";
import { resetTo } from "./throwaway-worktree.ts";
import { TransformTask } from "./transform-task.ts";
import { waitForFiles } from "./wait-for-files.ts";

/** A worker's settings for tasks that are transforms. */
export const TransformSettings = z.strictObject({
  /** Code of the repository may run: codemods, ESLint, tests. */
  trust: z.boolean().default(false),
  /** False: none. Default: npm test, where package.json names tests. */
  tests: z.union([z.literal(false), z.tuple([z.string().min(1).max(4_096)], z.string().max(4_096))]).optional(),
  /** Limit of each run of the tool, and of the tests. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(defaultTimeMs),
});
export type TransformSettings = z.infer<typeof TransformSettings>;

export interface TransformExecutorOptions {
  /** Where packages are installed: the top of the repository's work tree. */
  readonly top: string;
  readonly repository: string;
  readonly isTrusted: boolean;
  readonly tests: Tests;
  readonly timeoutMs: number;
  readonly reserve: (paths: readonly string[], files: readonly string[]) => Promise<Result<Release, TransformFailure>>;
}

/** [TX12] The worktree of the task gets the commit once everything has succeeded. */
export function transformExecutor(deps: TransformDeps, options: TransformExecutorOptions): Executor {
  return { run: (run) => runTask(deps, options, run) };
}

async function runTask(deps: TransformDeps, options: TransformExecutorOptions, run: TaskRun): Promise<RunOutcome> {
  const parsed = TransformTask.safeParse(run.task.payload);
  if (!parsed.success) {
    const reason = `the payload names no transform: ${formatIssues(parsed.error)}`;
    return { kind: "failed", reason, isRetryable: false };
  }
  const task = parsed.data;
  const { top, repository, isTrusted, tests, timeoutMs, reserve } = options;
  const git = gitInWorktree(deps.env, repository, run.folder);
  const report = await runTransform(deps, {
    source: { top, repository, base: run.base ?? (await resolveCommit(git, "HEAD")) },
    change: (tree) => toChange(task, tree),
    paths: task.paths,
    isTrusted,
    offer: { tests, allowsRepeat: task.allowRepeat, reserve: (files) => reserve(task.paths, files) },
    timeoutMs,
    signal: run.signal,
    onOutput: run.onOutput,
  });
  if (!report.ok) return toOutcome(run, report.error);
  if (report.value.commit !== null) await resetTo(git, report.value.commit);
  return { kind: "done", result: toResult(report.value) };
}

function toChange({ rule, codemod, lintFix, tool }: TransformTask, tree: string): Result<Change, TransformFailure> {
  if (rule !== undefined) return ok({ kind: "rules", text: rule });
  if (codemod === undefined) return ok({ kind: "lint-fix", linter: lintFix === true ? null : (lintFix ?? null) });
  const path = realPathIn(tree, codemod);
  if (path === null) return err(failure("bad_transform", `${codemod} is no file or folder in the repository.`));
  return readChange(path, tool ?? null);
}

/** A symbolic link may lead out of the repository. */
function realPathIn(tree: string, path: string): string | null {
  try {
    const real = realpathSync(join(tree, path));
    return real.startsWith(`${realpathSync(tree)}${sep}`) ? real : null;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return null;
  }
}

function toOutcome(run: TaskRun, { code, message, isRetryable }: TransformFailure): RunOutcome {
  if (code === "stopped") return { kind: "stopped" };
  return code === "reserved" ? waitForFiles(run, message) : { kind: "failed", reason: message, isRetryable };
}

function toResult({ tool, version, files, insertions, deletions, ...report }: TransformReport): Json {
  const { rules, isIdempotent, tests } = report;
  const counts = { files: files.length, insertions, deletions };
  return {
    tool,
    version,
    ...counts,
    rules: rules.map(({ rule, matches }) => ({ rule, matches })),
    isIdempotent,
    tests,
  };
}
