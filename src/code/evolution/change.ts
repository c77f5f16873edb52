import { join, posix } from "node:path";
import type { Json } from "../../contract/values.ts";
import type { Workspace } from "../../machine/operations/workspace.ts";
import { redact } from "../../redaction/redact.ts";
import type { Failure, Result } from "../../shared/result.ts";
import { displayPath, run as runGit, splitRaw, type Git } from "../../snapshots/git.ts";
import type { Tests } from "../tool-runner/run-tool.ts";
import { waitForFiles, type Release } from "../transform/reserve-files.ts";
import { linkModulesInside, resetTo, type RepositoryProject } from "../transform/worktree.ts";
import { failed, type Executor, type RunOutcome, type TaskRun } from "../../runner/worker/executor.ts";
import { readDiff, commitAll } from "../../snapshots/commit-work.ts";
import { gitInFolder, resolveCommit } from "../../snapshots/user-repository.ts";
import { gitInWorktree } from "../../snapshots/worktrees.ts";
import { type ChangeTask, ruleName } from "./candidate.ts";
import { type Decisions, rejectedPrefix, stoppedPrefix, stopRun, type Verdict } from "./run.ts";
import { applyFixer, loadAstGrep } from "./fix.ts";
import { judge, type FileDelta } from "./judge.ts";
import { measure, type Measured, type MeasureDeps } from "./measure.ts";

export interface ChangeOptions {
  readonly deps: MeasureDeps;
  readonly project: RepositoryProject;
  readonly decisions: Decisions;
  /** Does what no tool can; null: not set up. */
  readonly claude: Executor | null;
  /** Revision that changes start from. */
  readonly base: string;
  /** From the worker's settings, never from a task; null: `npm test`. */
  readonly tests: Tests | null;
  /** Limit of each tool and of each run of the tests. */
  readonly limitMs: number;
  readonly workspace: Workspace;
  /** Reserves files of the repository, all or none. */
  readonly reserve: (files: readonly string[]) => Promise<Result<Release, Failure>>;
}

/** Measurements of commits, for all changes that start from them. */
const measured = new Map<string, Measured>();
const maxMeasured = 20;

/** @param isRenewed whether what was measured before is measured again */
export async function measureBefore(
  { deps, project, limitMs, tests }: ChangeOptions,
  commit: string,
  signal: AbortSignal,
  { isRenewed = false } = {},
): Promise<Result<Measured, string>> {
  const key = JSON.stringify([project, commit, tests]);
  const known = isRenewed ? undefined : measured.get(key);
  if (known) return { ok: true, value: known };
  const found = await measure(deps, project, { commit, tests, runs: 2, limitMs, signal });
  measured.delete(key);
  // Tests that fail for want of a package may pass once it is there.
  if (found.ok && found.value.tests.failure === null) measured.set(key, found.value);
  for (const old of [...measured.keys()].slice(0, -maxMeasured)) measured.delete(old);
  return found;
}

/** @returns why the tests cannot judge a change */
export function baselineRefusal({ tests }: Measured): string | null {
  if (tests.failure === null) return null;
  const why = tests.isFlaky ? "the tests are flaky, and cannot judge" : "the tests fail before any change";
  return `${why}: ${tests.failure.trim()}`;
}

/** One task of a run, and its worktree. */
interface Work {
  readonly options: ChangeOptions;
  readonly run: TaskRun;
  readonly task: ChangeTask;
  readonly git: Git;
}

/** Makes one change in the task's worktree, and keeps it only if nothing got worse. */
export async function runChange(options: ChangeOptions, run: TaskRun, task: ChangeTask): Promise<RunOutcome> {
  const { deps, project, base, workspace } = options;
  const git = gitInWorktree(deps.env, project.repository, run.folder);
  const stopped = await stopRun(workspace, run.task.task, task.limits);
  const outcome = stopped === null ? await change({ options, run, task, git }) : failed(`${stoppedPrefix}${stopped}`);
  // The worker deletes a branch that has nothing beyond the start.
  const isFinal = outcome.kind === "failed" && !outcome.isRetryable;
  if (isFinal) await resetTo(git, await resolveCommit(gitInFolder(deps.env, project.top), base));
  return outcome;
}

const maxNoteChars = 400;

async function change(work: Work): Promise<RunOutcome> {
  const { options, run, task, git } = work;
  const { files, findings, method } = task.candidate;
  const base = run.base ?? (await resolveCommit(git, "HEAD"));
  run.onProgress({ percent: 5, note: "measuring what was there before" });
  const before = await measureBefore(options, base, run.signal);
  if (!before.ok) return run.signal.aborted ? { kind: "stopped" } : failed(before.error, true);
  const refusal = baselineRefusal(before.value);
  if (refusal !== null) return failed(refusal);
  const present = new Set(before.value.findings.map(({ fingerprint }) => fingerprint));
  // Another change has removed the findings.
  if (!findings.some(({ fingerprint }) => present.has(fingerprint)))
    return { kind: "done", result: toVerdict(before.value, before.value) };
  run.onProgress({ percent: 30, note: `changing ${files.join(", ")}`.slice(0, maxNoteChars) });
  const reserved = await options.reserve(files.map((file) => posix.join(options.project.prefix, file)));
  if (!reserved.ok) return waitForFiles(reserved.error.message);
  const release = reserved.value;
  try {
    // A model is a chat of its own, which respects reservations. A second release is harmless.
    if (method === "worker") await release();
    return await makeAndJudge(work, base, before.value);
  } finally {
    await release();
  }
}

async function makeAndJudge(work: Work, base: string, before: Measured): Promise<RunOutcome> {
  const { options, run, task, git } = work;
  const { deps, project, limitMs, tests } = options;
  const { candidate, allowsApi } = task;
  const { signal } = run;
  const made = await make(work, base);
  if (made !== null) return made;
  const message = `shim: ${candidate.subject} in ${candidate.files.join(", ")}`;
  const { commit } = await commitAll(git, { tree: run.folder, message, now: deps.now() });
  const changes = await changedFiles(git, base, commit, project.prefix);
  if (changes.length === 0) return reject(work, base, commit, ["nothing was changed"]);
  run.onProgress({ percent: 60, note: "measuring what is there now" });
  const after = await measure(deps, project, { commit, tests, runs: 1, limitMs, signal });
  if (signal.aborted) return { kind: "stopped" };
  if (!after.ok) return reject(work, base, commit, [after.error]);
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  const reasons = judge({ before, after: after.value, candidate, allowsApi, changes, astGrep });
  if (reasons.length > 0) return reject(work, base, commit, reasons);
  return { kind: "done", result: toVerdict(before, after.value) };
}

async function reject(
  { options, run, task, git }: Work,
  base: string,
  commit: string,
  reasons: readonly string[],
): Promise<RunOutcome> {
  const { diff } = await readDiff(git, base, commit);
  const reason = reasons.join("; ");
  run.onOutput(redact(`${reason}\n${diff}`).text);
  const { id: candidate, findings } = task.candidate;
  const rules = [...new Set(findings.map(ruleName))];
  const fingerprints = findings.map(({ fingerprint }) => fingerprint);
  const decision = { task: run.task.task, candidate, isAccepted: false, reason, rules, fingerprints } as const;
  options.decisions.add({ ...decision, by: "judge", at: options.deps.now() });
  return failed(`${rejectedPrefix}${reason}`);
}

/** @returns how the task ends without a change; null: it was made */
async function make({ options, run, task, git }: Work, base: string): Promise<RunOutcome | null> {
  const { deps, project, claude, limitMs } = options;
  const { folder: tree, signal } = run;
  const { fixer, files, findings, method } = task.candidate;
  if (fixer !== null) {
    // Without the work of an attempt before this one.
    await resetTo(git, base);
    const applied = await applyFixer(deps, project, { fixer, tree, git, files, findings, limitMs, signal });
    if (applied.ok) return null;
    return signal.aborted ? { kind: "stopped" } : failed(applied.error);
  }
  if (method !== "worker" || !claude) return failed("no worker is set up for it: `claude` of the type");
  await linkModulesInside(git, { top: project.top, tree });
  const payload = toPayload(task) as unknown as Json;
  const outcome = await claude.run({ ...run, task: { ...run.task, payload } });
  if (outcome.kind === "done") return null;
  if (outcome.kind !== "waiting") return outcome;
  // Fixers do other tasks of the type without a model.
  const { kind, reason, delayMs } = outcome;
  return { kind, reason, delayMs };
}

/** Rules of a change that a model makes, for the instruction of its settings. */
export const workerRules = [
  "The payload names findings of the project's own tools: remove their cause, and nothing else.",
  "Change only the files it lists; new tests are allowed, but no line of a test may be changed or deleted. Write new tests as those that are there.",
  "Keep the public API of the package. Silence no finding: no comment, setting, `any`, cast, `!`, `void`, name with an underscore or empty catch.",
  "Run the tests before you end. A judge then analyses the code again and runs the tests: a change that adds a finding or breaks a test is thrown away.",
].join("\n");

/** For the prompt of a model: its text is data, which the prompt fences. */
function toPayload({ candidate, allowsApi }: ChangeTask): object {
  const findings = candidate.findings.map(({ tool, rule, file, range, message }) => ({
    tool,
    rule,
    file,
    range,
    message,
  }));
  return { goal: candidate.subject, files: candidate.files, findings, mayChangeApi: allowsApi };
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

function toVerdict(before: Measured, after: Measured): Verdict {
  return { findings: { before: before.findings.length, after: after.findings.length } };
}
