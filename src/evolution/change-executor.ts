import { join, posix } from "node:path";
import type { Json } from "../contract/json.ts";
import { redact } from "../redaction/redact.ts";
import { ok, err, type Result } from "../shared/result.ts";
import type { TransformFailure } from "../transform/failure.ts";
import { findAstGrep } from "../mutation/ast-grep.ts";
import { linkModulesInside } from "../transform/link-modules.ts";
import type { Release } from "../transform/request.ts";
import { resetTo } from "../transform/throwaway-worktree.ts";
import { waitForFiles } from "../transform/wait-for-files.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { readDiff } from "../worker-runner/read-diff.ts";
import { commitAll, gitInFolder, gitInWorktree, resolveCommit } from "../worker-runner/work-git.ts";
import type { Git } from "../snapshots/git.ts";
import { addTests } from "./add-tests.ts";
import { applyFixer } from "./apply-fixer.ts";
import type { ChangeTask, TestWords } from "./candidate.ts";
import { changedFiles } from "./changed-files.ts";
import { judge, type FileDelta } from "./judge.ts";
import { measure, type EvolvedProject, type MeasureDeps } from "./measure.ts";
import type { Measured } from "./measured.ts";
import type { MeasuredFiles } from "./measured-files.ts";
import {
  cancelOpen,
  readRun,
  rejectedPrefix,
  stoppedPrefix,
  stopReason,
  type Caller,
  type Verdict,
} from "./run-state.ts";
import { toWorkerTask } from "./worker-prompt.ts";

export interface ChangeOptions {
  readonly deps: MeasureDeps;
  readonly project: EvolvedProject;
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
  readonly reserve: (files: readonly string[]) => Promise<Result<Release, TransformFailure>>;
}

/** [EV4] Makes one change in the task's worktree, and keeps it only if nothing got worse. */
export async function runChange(options: ChangeOptions, run: TaskRun, task: ChangeTask): Promise<RunOutcome> {
  const git = gitInWorktree(options.deps.env, options.project.repository, run.folder);
  const stopped = await stopRun(options, run, task, null);
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
  if (isGone(task, before.value)) return unchanged(before.value, task);
  run.onProgress({ percent: 30, note: `changing ${task.candidate.files.join(", ")}`.slice(0, maxNoteChars) });
  return withFiles(options, run, task, async () => {
    const made = await makeChange(options, run, task, { git, base });
    if (!made.ok) return made.error;
    return conclude(options, run, task, { git, base, before: before.value, mutants: made.value });
  });
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

function unchanged(before: Measured, { candidate }: ChangeTask): RunOutcome {
  const result = toVerdict({ before, after: before, candidate, changes: [], mutants: null, diff: "" });
  return { kind: "done", result };
}

interface Worktree {
  readonly git: Git;
  readonly base: string;
}

type Mutants = Verdict["mutants"];

async function makeChange(
  options: ChangeOptions,
  run: TaskRun,
  task: ChangeTask,
  { git, base }: Worktree,
): Promise<Result<Mutants, RunOutcome>> {
  const { deps, project, claude, limitMs } = options;
  const { candidate } = task;
  const tree = run.folder;
  const { signal } = run;
  if (candidate.fixer !== null) {
    await resetTo(git, base);
    const { fixer, files } = candidate;
    const findings = [...candidate.findings, ...candidate.cascade];
    const applied = await applyFixer(deps, project, { fixer, tree, git, files, findings, limitMs, signal });
    if (applied.ok) return ok(null);
    return err(signal.aborted ? { kind: "stopped" } : failed(applied.error, false));
  }
  await linkModulesInside(git, { top: project.top, tree });
  if (candidate.subject === "tests") return addTests(options, run, task, base);
  if (candidate.method !== "worker" || !claude)
    return err(failed("no worker is set up for it: `claude` of the type", false));
  const outcome = await claude.run({ ...run, task: toWorkerTask(run.task, task) });
  return outcome.kind === "done" ? ok(null) : err(ofThisTask(outcome));
}

/** Fixers do other tasks of the type without a model. */
function ofThisTask(outcome: RunOutcome): RunOutcome {
  if (outcome.kind !== "waiting") return outcome;
  const { kind, reason, delayMs } = outcome;
  return { kind, reason, delayMs };
}

interface Changed extends Worktree {
  readonly before: Measured;
  readonly mutants: Mutants;
}

async function conclude(
  options: ChangeOptions,
  run: TaskRun,
  task: ChangeTask,
  { git, base, before, mutants }: Changed,
): Promise<RunOutcome> {
  const { deps, project, limitMs, tests } = options;
  const { signal } = run;
  const message = `shim: ${task.candidate.subject} in ${task.candidate.files.join(", ")}`;
  const { commit } = await commitAll(git, { tree: run.folder, message, now: deps.now() });
  const { diff } = await readDiff(git, base, commit);
  if (mutants?.survived === 0) return unchanged(before, task);
  const changes = await changedFiles(git, base, commit, project.prefix);
  run.onProgress({ percent: 60, note: "measuring what is there now" });
  const request = { commit, tests, runs: 1, limitMs, signal } as const;
  const after = await unlessSame(changes, before, () => measure(deps, project, request));
  if (signal.aborted) return { kind: "stopped" };
  const astGrep = await findAstGrep(join(project.top, project.prefix));
  const { candidate, rules } = task;
  const input = after.ok ? { before, after: after.value, candidate, rules, changes, astGrep } : null;
  const reasons = input ? judge(input) : [after.ok ? "" : after.error];
  if (input && reasons.length === 0) return { kind: "done", result: toVerdict({ ...input, mutants, diff }) };
  run.onOutput(redact(`${reasons.join("\n")}\n${diff}`).text);
  const reason = `${rejectedPrefix}${reasons.join("; ")}`;
  await stopRun(options, run, task, reason);
  return failed(reason, false);
}

function unlessSame(
  changes: readonly FileDelta[],
  before: Measured,
  body: () => Promise<Result<Measured, string>>,
): Result<Measured, string> | Promise<Result<Measured, string>> {
  return changes.length === 0 ? ok(before) : body();
}

const maxTestDiffChars = 20_000;

function toVerdict({
  before,
  after,
  candidate,
  changes,
  mutants,
  diff,
}: Pick<Changed, "before" | "mutants"> & {
  readonly after: Measured;
  readonly candidate: ChangeTask["candidate"];
  readonly changes: readonly FileDelta[];
  readonly diff: string;
}): Json {
  const isCompared = before.api !== null && after.api !== null;
  const isEqual = JSON.stringify(before.api) === JSON.stringify(after.api);
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  const isTest = new Set(changes.filter(({ path }) => tests.has(path)).map(({ path }) => path));
  const parts = diff.split(/^(?=diff --git )/m).filter((part) => [...isTest].some((path) => part.includes(`/${path}`)));
  const verdict: Verdict = {
    candidate: candidate.id,
    removed: before.findings.length - after.findings.length,
    before: toFacts(before),
    after: toFacts(after),
    api: isCompared ? (isEqual ? "unchanged" : "changed") : "not compared",
    mutants,
    testDiff: parts.join("").slice(0, maxTestDiffChars),
    notes: [...new Set([...before.notes, ...after.notes])],
  };
  return verdict;
}

function toFacts({ findings, tests, coverage }: Measured): Verdict["before"] {
  return { findings: findings.length, tests: tests.counts, coverage };
}

/**
 * [EV8] Cancels the open tasks of a run that is over.
 *
 * @param rejection how the current task ends, which the coordinator does not know yet
 */
async function stopRun(
  { call }: ChangeOptions,
  { task: { task: number } }: TaskRun,
  { limits }: ChangeTask,
  rejection: string | null,
): Promise<string | null> {
  const own = await call("tasks.get", { task: number });
  if (!own.ok || own.value.parent === null) return null;
  const state = await readRun(call, own.value.parent);
  if (!state.ok) return null;
  const changes = state.value.changes.map((one) =>
    one.task === number && rejection !== null ? { ...one, state: "dead" as const, detail: rejection } : one,
  );
  const reason = stopReason(changes, limits, state.value.ageMs);
  if (reason !== null) await cancelOpen(call, state.value, reason, number);
  return reason;
}

function failed(reason: string, isRetryable = true): RunOutcome {
  return { kind: "failed", reason, isRetryable };
}
