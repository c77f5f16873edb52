import type { Failure } from "../../contract/errors.ts";
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { Json } from "../../contract/values.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { isTrusted } from "../tool-runner/project-folder.ts";
import type { Tests } from "../tool-runner/run-tool.ts";
import { failed, readPayload, type Executor, type RunOutcome, type TaskRun } from "../../runner/worker/executor.ts";
import type { TaskDeps } from "../../runner/worker/tasks/task-type.ts";
import { CommandWords } from "../../runner/worker/client/claude-executor.ts";
import { openRepository, resolveCommit } from "../../snapshots/user-repository.ts";
import { gitInWorktree } from "../../snapshots/worktrees.ts";
import { readChange, TransformTask, type Change } from "./transformers.ts";
import { reserveForTask, waitForFiles } from "./reserve-files.ts";
import { defaultTimeMs, runTransform, type TransformReport, type TransformRequest } from "./run-transform.ts";
import { resetTo } from "./worktree.ts";

/** A worker's settings for tasks that are transforms. */
export const TransformSettings = z.strictObject({
  /** Code of the repository may run: codemods, ESLint, tests. */
  trust: z.boolean().default(false),
  /** False: none. Default: npm test, where package.json names tests. */
  tests: z.union([z.literal(false), CommandWords]).optional(),
  /** Limit of each run of the tool, and of the tests. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(defaultTimeMs),
});
export type TransformSettings = z.infer<typeof TransformSettings>;

interface Options extends Pick<TransformRequest, "isTrusted" | "timeoutMs"> {
  /** Where packages are installed. */
  readonly top: string;
  readonly repository: string;
  readonly tests: Tests | "script" | null;
}

/** Refused where code would have to run, and nothing says that it may. */
export async function createTransform(
  deps: TaskDeps,
  { trust, tests, timeLimitMs: timeoutMs }: TransformSettings,
  top: string,
): Promise<Result<Executor>> {
  const isCodeTrusted = trust || isTrusted(top, deps.runtime.config.analysis.trusted);
  if (!isCodeTrusted && tests !== false)
    return fail("bad_input", "tests run code of the repository: set trust to true, or tests to false.");
  const { repository } = await openRepository(deps.env, top);
  const words = tests === false ? null : (tests ?? "script");
  const options = { top, repository, isTrusted: isCodeTrusted, tests: words, timeoutMs } as const;
  return ok({ programs: tests ? [tests[0]] : [], run: (run) => runTask(deps, options, run) });
}

/** The worktree of the task gets the commit once everything has succeeded. */
async function runTask(deps: TaskDeps, options: Options, run: TaskRun): Promise<RunOutcome> {
  const payload = readPayload(TransformTask, run.task.payload);
  if (!payload.ok) return payload.error;
  const task = payload.value;
  const { top, repository, tests, ...rest } = options;
  const target = { top, paths: task.paths };
  const git = gitInWorktree(deps.env, repository, run.folder);
  const report = await runTransform(deps, {
    source: { top, repository, base: run.base ?? (await resolveCommit(git, "HEAD")) },
    change: (tree) => toChange(task, tree),
    paths: task.paths,
    ...rest,
    offer: { tests, reserve: (files) => reserveForTask(deps.workspace, target, files) },
    signal: run.signal,
    onOutput: run.onOutput,
  });
  if (!report.ok) return toOutcome(report.error);
  if (report.value.commit !== null) await resetTo(git, report.value.commit);
  return { kind: "done", result: toResult(report.value) };
}

/** The tree has no symbolic links. */
function toChange({ rule, codemod }: TransformTask, tree: string): Result<Change> {
  if (rule !== undefined) return ok({ kind: "rules", text: rule });
  if (codemod === undefined) return ok({ kind: "lint-fix" });
  const path = join(tree, codemod);
  return existsSync(path) ? readChange(path) : fail("bad_input", `${codemod} is no file or folder in the repository.`);
}

/** The same transform may succeed later, when tests failed. */
function toOutcome({ code, message: reason }: Failure): RunOutcome {
  if (code === "reserved") return waitForFiles(reason);
  return failed(reason, code === "tests_failed");
}

function toResult({ files, tool, version, insertions, deletions, tests }: TransformReport): Json {
  return { tool, version, files: files.length, insertions, deletions, tests };
}
