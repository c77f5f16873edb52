import { join, posix } from "node:path";
import type { Json } from "../contract/json.ts";
import { runStryker, type Survivor } from "../mutation/stryker.ts";
import { redact } from "../redaction/redact.ts";
import type { Failure } from "../shared/failure.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { displayPath, run as runGit, splitRaw, type Git } from "../snapshots/git.ts";
import { waitForFiles } from "../transform/reserve-files.ts";
import type { Release } from "../transform/tool-process.ts";
import { inCommit, linkModulesInside, resetTo, type RepositoryProject } from "../transform/worktree.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { readDiff, commitAll, gitInFolder, gitInWorktree, resolveCommit } from "../worker-runner/work-git.ts";
import type { Candidate, ChangeTask } from "./candidate.ts";
import { applyFixer } from "./fix.ts";
import { judge, type FileDelta } from "./judge.ts";
import { measure, type Measured, type MeasureDeps } from "./measure.ts";
import type { RunFiles } from "./run-files.ts";
import { rejectedPrefix, stoppedPrefix, stopRun, type Caller, type Verdict } from "./run.ts";
import { loadAstGrep } from "./syntax.ts";
import type { TestWords } from "./tests.ts";

export interface ChangeOptions {
  readonly deps: MeasureDeps;
  readonly project: RepositoryProject;
  readonly files: RunFiles;
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

export type MeasureOptions = Pick<ChangeOptions, "deps" | "project" | "files" | "limitMs" | "tests">;

/** [EV3] @param isRenewed whether what was measured before is measured again */
export function measureBefore(
  { deps, project, files, limitMs, tests }: MeasureOptions,
  commit: string,
  signal: AbortSignal,
  { isRenewed = false } = {},
): Promise<Result<Measured, string>> {
  const request = { commit, tests, runs: 2, limitMs, signal } as const;
  return files.measured([project, commit, tests], () => measure(deps, project, request), { isRenewed });
}

/** [EV3] @returns why the tests cannot judge a change */
export function baselineRefusal({ tests }: Measured): string | null {
  if (tests.flaky !== null) return `the tests are flaky, and cannot judge: ${tests.flaky}`;
  return tests.passed ? null : `the tests fail before any change: ${tests.output.trim()}`;
}

/** One task of a run, and its worktree. */
interface Work {
  readonly options: ChangeOptions;
  readonly run: TaskRun;
  readonly task: ChangeTask;
  readonly git: Git;
}

/** [EV4] Makes one change in the task's worktree, and keeps it only if nothing got worse. */
export async function runChange(options: ChangeOptions, run: TaskRun, task: ChangeTask): Promise<RunOutcome> {
  const { deps, project, base, call } = options;
  const git = gitInWorktree(deps.env, project.repository, run.folder);
  const stopped = await stopRun(call, run.task.task, task.limits, false);
  const outcome = stopped === null ? await change({ options, run, task, git }) : failed(`${stoppedPrefix}${stopped}`);
  // The worker deletes a branch that has nothing beyond the start.
  const isFinal = outcome.kind === "failed" && !outcome.isRetryable;
  if (isFinal) await resetTo(git, await resolveCommit(gitInFolder(deps.env, project.top), base));
  return outcome;
}

const maxNoteChars = 400;

async function change(work: Work): Promise<RunOutcome> {
  const { options, run, task, git } = work;
  const { candidate } = task;
  const base = run.base ?? (await resolveCommit(git, "HEAD"));
  run.onProgress({ percent: 5, note: "measuring what was there before" });
  const before = await measureBefore(options, base, run.signal);
  if (!before.ok) return run.signal.aborted ? { kind: "stopped" } : failed(before.error, true);
  const refusal = baselineRefusal(before.value);
  if (refusal !== null) return failed(refusal);
  const present = new Set(before.value.findings.map(({ fingerprint }) => fingerprint));
  const { findings } = candidate;
  // Another change has removed the findings.
  const isGone = findings.length > 0 && !findings.some(({ fingerprint }) => present.has(fingerprint));
  if (isGone) return unchanged(before.value, candidate);
  run.onProgress({ percent: 30, note: `changing ${candidate.files.join(", ")}`.slice(0, maxNoteChars) });
  const reserved = await options.reserve(candidate.files.map((file) => posix.join(options.project.prefix, file)));
  if (!reserved.ok) return waitForFiles(run, reserved.error.message);
  const release = reserved.value;
  try {
    // A model is a chat of its own, which respects reservations. A second release is harmless.
    if (candidate.method === "worker") await release();
    return await makeAndJudge(work, base, before.value);
  } finally {
    await release();
  }
}

async function makeAndJudge(work: Work, base: string, before: Measured): Promise<RunOutcome> {
  const { options, run, task, git } = work;
  const { deps, project, limitMs, tests } = options;
  const { candidate, rules } = task;
  const { signal } = run;
  const mutants = candidate.subject === "tests" ? await survivorsAt(work, base) : ok(null);
  if (!mutants.ok) return mutants.error;
  if (mutants.value?.length === 0) return unchanged(before, candidate);
  const made = await make(work, base, mutants.value);
  if (made !== null) return made;
  const message = `shim: ${candidate.subject} in ${candidate.files.join(", ")}`;
  const { commit } = await commitAll(git, { tree: run.folder, message, now: deps.now() });
  const changes = await changedFiles(git, base, commit, project.prefix);
  run.onProgress({ percent: 60, note: "measuring what is there now" });
  const request = { commit, tests, runs: 1, limitMs, signal } as const;
  const after = changes.length === 0 ? ok(before) : await measure(deps, project, request);
  if (signal.aborted) return { kind: "stopped" };
  if (!after.ok) return reject(work, base, commit, [after.error]);
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  const reasons = judge({ before, after: after.value, candidate, rules, changes, astGrep });
  if (reasons.length > 0) return reject(work, base, commit, reasons);
  if (mutants.value === null) return { kind: "done", result: toVerdict(candidate, before, after.value, null) };
  const left = await survivorsAt(work, commit);
  if (!left.ok) return left.error;
  const survived = mutants.value.length;
  const killed = survived - left.value.length;
  if (killed > 0) return { kind: "done", result: toVerdict(candidate, before, after.value, { survived, killed }) };
  return reject(work, base, commit, [`the tests notice none of the ${survived} mutants that survived before`]);
}

async function reject(
  { options, run, task, git }: Work,
  base: string,
  commit: string,
  reasons: readonly string[],
): Promise<RunOutcome> {
  const { diff } = await readDiff(git, base, commit);
  run.onOutput(redact(`${reasons.join("\n")}\n${diff}`).text);
  await stopRun(options.call, run.task.task, task.limits, true);
  return failed(`${rejectedPrefix}${reasons.join("; ")}`);
}

/** @returns how the task ends without a change; null: it was made */
async function make(
  { options, run, task, git }: Work,
  base: string,
  mutants: readonly Survivor[] | null,
): Promise<RunOutcome | null> {
  const { deps, project, claude, limitMs } = options;
  const { folder: tree, signal } = run;
  const { fixer, files, findings, cascade, method } = task.candidate;
  if (fixer !== null) {
    // Without the work of an attempt before this one.
    await resetTo(git, base);
    const request = { fixer, tree, git, files, findings: [...findings, ...cascade], limitMs, signal };
    const applied = await applyFixer(deps, project, request);
    if (applied.ok) return null;
    return signal.aborted ? { kind: "stopped" } : failed(applied.error);
  }
  if (method !== "worker" || !claude) return failed("no worker is set up for it: `claude` of the type");
  await linkModulesInside(git, { top: project.top, tree });
  const payload = toPayload(task, mutants) as unknown as Json;
  const outcome = await claude.run({ ...run, task: { ...run.task, payload } });
  if (outcome.kind === "done") return null;
  if (outcome.kind !== "waiting") return outcome;
  // Fixers do other tasks of the type without a model.
  const { kind, reason, delayMs } = outcome;
  return { kind, reason, delayMs };
}

/** [EV16] Mutants of the task's file that no test notices. */
async function survivorsAt(
  { options, run, task }: Work,
  commit: string,
): Promise<Result<readonly Survivor[], RunOutcome>> {
  const { deps, project, limitMs: timeMs } = options;
  const { signal } = run;
  const { env } = deps;
  const { files } = task.candidate;
  const tried = await inCommit(deps, project, { commit, signal }, (folder, { folder: own }) =>
    runStryker({ folder, scratch: join(own, "scratch"), files, env, timeMs, signal }),
  );
  if (signal.aborted) return err({ kind: "stopped" });
  return tried.ok ? ok(tried.value.flatMap(({ survivors }) => survivors)) : err(failed(tried.error));
}

/** Rules of a change that a model makes, for the instruction of its settings. */
export const workerRules = [
  "The payload names findings of the project's own tools: remove their cause, and nothing else. Or it names mutants, small changes of a file that no test notices: add tests that pass on the present code and fail on them, and leave the file as it is. A mutant without an effect that a test can see is left out.",
  "Change only the files it lists; new or changed tests are allowed, but no test may be deleted, skipped or made weaker. Write new tests as those that are there.",
  "Keep the public API of the package. Silence no finding: no comment, setting, `any`, cast, `!`, `void`, name with an underscore or empty catch.",
  "Run the tests before you end. A judge then analyses the code again, runs the tests and measures their coverage: a change that adds a finding, breaks a test or lowers the coverage is thrown away, and so are tests that notice no mutant.",
].join("\n");

const maxMutants = 40;
const maxSnippetChars = 200;

/** For the prompt of a model: its text is data, which the prompt fences. */
function toPayload({ candidate, rules }: ChangeTask, mutants: readonly Survivor[] | null): object {
  const { subject: goal, files } = candidate;
  if (mutants) {
    const cut = (text: string): string => text.slice(0, maxSnippetChars);
    const shown = mutants.slice(0, maxMutants).map(({ line, operator, before, after }) => {
      return { line, operator, before: cut(before), after: cut(after) };
    });
    return { goal, files, mutants: shown };
  }
  const findings = candidate.findings.map(({ tool, rule, file, range, message }) => ({
    tool,
    rule,
    file,
    range,
    message,
  }));
  return { goal, files, findings, mayChangeApi: rules.allowsApi };
}

/** Larger files are data. */
const maxBytes = 2_000_000;

/** Files of which two commits have different states, with both texts. */
export async function changedFiles(git: Git, base: string, commit: string, prefix: string): Promise<FileDelta[]> {
  const args = ["diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", base, commit];
  const fields = splitRaw((await runGit(git, args)).stdout);
  const changes: FileDelta[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = "", newMode = "", old = "", now = "", status = ""] = (fields[at] ?? "").slice(1).split(" ");
    const path = posix.relative(prefix, displayPath(fields[at + 1] ?? ""));
    const kind = isPlain(oldMode) && isPlain(newMode) ? kinds[status] : undefined;
    const [before, after] = [await readText(git, oldMode, old), await readText(git, newMode, now)];
    changes.push({ path, kind: kind ?? "retyped", before, after });
  }
  return changes;
}

const kinds: Readonly<Record<string, FileDelta["kind"]>> = { A: "added", D: "deleted", M: "changed" };

/** Neither a link nor a module. */
function isPlain(mode: string): boolean {
  return mode === "000000" || mode.startsWith("100");
}

async function readText(git: Git, mode: string, id: string): Promise<string | null> {
  if (!mode.startsWith("100")) return null;
  const { stdout } = await runGit(git, ["cat-file", "blob", id]);
  return stdout.length > maxBytes || stdout.includes(0) ? null : stdout.toString("utf8");
}

/** The result of a change of which nothing is left to do. */
function unchanged(before: Measured, candidate: Candidate): RunOutcome {
  return { kind: "done", result: toVerdict(candidate, before, before, null) };
}

function toVerdict({ id }: Candidate, before: Measured, after: Measured, mutants: Verdict["mutants"]): Verdict {
  const isCompared = before.api !== null && after.api !== null;
  const isEqual = JSON.stringify(before.api) === JSON.stringify(after.api);
  return {
    candidate: id,
    removed: before.findings.length - after.findings.length,
    before: toFacts(before),
    after: toFacts(after),
    api: isCompared ? (isEqual ? "unchanged" : "changed") : "not compared",
    mutants,
    notes: [...new Set([...before.notes, ...after.notes])],
  };
}

function toFacts({ findings, tests, coverage }: Measured): Verdict["before"] {
  return { findings: findings.length, tests: tests.counts, coverage };
}

/** @param isRetryable whether the same task may succeed later */
export function failed(reason: string, isRetryable = false): RunOutcome {
  return { kind: "failed", reason, isRetryable };
}
