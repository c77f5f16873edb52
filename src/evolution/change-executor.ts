import type { Failure } from "../shared/failure.ts";
import { posix } from "node:path";
import type { Result } from "../shared/result.ts";
import type { Release } from "../transform/request.ts";
import { resetTo } from "../transform/throwaway-worktree.ts";
import { waitForFiles } from "../transform/wait-for-files.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { gitInFolder, gitInWorktree, resolveCommit } from "../worker-runner/work-git.ts";
import type { Git } from "../snapshots/git.ts";
import type { ChangeTask, TestWords } from "./candidate.ts";
import { Change, unchanged } from "./change.ts";
import type { RepositoryProject } from "../transform/in-commit.ts";
import { measure, type MeasureDeps } from "./measure.ts";
import type { Measured } from "./measured.ts";
import type { MeasuredFiles } from "./measured-files.ts";
import { stoppedPrefix, stopRun, type Caller } from "./run-state.ts";

export interface ChangeOptions {
  readonly deps: MeasureDeps;
  readonly project: RepositoryProject;
  readonly measuredFiles: MeasuredFiles;
  /** Does what no tool can; null: not set up. */
  readonly claude: Executor | null;
  /** Revision that changes start from. */
  readonly base: string;
  /** [EV13] From the worker's settings, never from a task. */
  readonly tests: TestWords;
  /** Limit of each tool and of each run of the tests. */
  readonly limitMs: number;
  readonly call: Caller;
  /** [EV18] Reserves files of the repository, all or none. */
  readonly reserve: (files: readonly string[]) => Promise<Result<Release, Failure>>;
}

/** [EV4] Makes one change in the task's worktree, and keeps it only if nothing got worse. */
export async function runChange(options: ChangeOptions, run: TaskRun, task: ChangeTask): Promise<RunOutcome> {
  const git = gitInWorktree(options.deps.env, options.project.repository, run.folder);
  const stopped = await stopRun(options.call, run.task.task, task.limits, null);
  const outcome =
    stopped === null ? await changeAndJudge(options, run, task, git) : failed(`${stoppedPrefix}${stopped}`, false);
  return withoutBranch(options, git, outcome);
}

async function changeAndJudge(options: ChangeOptions, run: TaskRun, task: ChangeTask, git: Git): Promise<RunOutcome> {
  const base = run.base ?? (await resolveCommit(git, "HEAD"));
  run.onProgress({ percent: 5, note: "measuring what was there before" });
  const before = await measureBefore(options, base, run.signal);
  if (!before.ok) return run.signal.aborted ? { kind: "stopped" } : failed(before.error);
  const refusal = baselineRefusal(before.value);
  if (refusal !== null) return failed(refusal, false);
  if (isGone(task, before.value)) return unchanged(before.value, task.candidate);
  run.onProgress({ percent: 30, note: `changing ${task.candidate.files.join(", ")}`.slice(0, maxNoteChars) });
  const start = { commit: base, measured: before.value };
  return withFiles(options, run, task, () => new Change(options, run, task, git).make(start));
}

/** The worker deletes a branch that has nothing beyond the start. */
async function withoutBranch(
  { deps, project, base }: ChangeOptions,
  git: Git,
  outcome: RunOutcome,
): Promise<RunOutcome> {
  const isFinal = outcome.kind === "failed" && !outcome.isRetryable;
  if (isFinal) await resetTo(git, await resolveCommit(gitInFolder(deps.env, project.top), base));
  return outcome;
}

/** [EV18] */
async function withFiles(
  { project, reserve }: ChangeOptions,
  run: TaskRun,
  { candidate }: ChangeTask,
  body: () => Promise<RunOutcome>,
): Promise<RunOutcome> {
  const reserved = await reserve(candidate.files.map((file) => posix.join(project.prefix, file)));
  if (!reserved.ok) return waitForFiles(run, reserved.error.message);
  const release = reserved.value;
  try {
    // A model is a chat of its own, which respects reservations. A second release is harmless.
    if (candidate.method === "worker") await release();
    return await body();
  } finally {
    await release();
  }
}

const maxNoteChars = 400;

export type MeasureOptions = Pick<ChangeOptions, "deps" | "project" | "measuredFiles" | "limitMs" | "tests">;

export function measureBefore(
  { deps, project, measuredFiles, limitMs, tests }: MeasureOptions,
  commit: string,
  signal: AbortSignal,
  { isRenewed = false } = {},
): Promise<Result<Measured, string>> {
  const request = { commit, tests, runs: 2, limitMs, signal } as const;
  return measuredFiles.get([project, commit, tests], () => measure(deps, project, request), { isRenewed });
}

/** [EV3] @returns why the tests cannot judge a change */
export function baselineRefusal({ tests }: Measured): string | null {
  if (tests.flaky !== null) return `the tests are flaky, and cannot judge: ${tests.flaky}`;
  return tests.passed ? null : `the tests fail before any change: ${tests.output.trim()}`;
}

/** Another change has removed the findings. */
function isGone({ candidate: { findings } }: ChangeTask, before: Measured): boolean {
  const present = new Set(before.findings.map(({ fingerprint }) => fingerprint));
  return findings.length > 0 && !findings.some(({ fingerprint }) => present.has(fingerprint));
}

function failed(reason: string, isRetryable = true): RunOutcome {
  return { kind: "failed", reason, isRetryable };
}
