import { join, posix } from "node:path";
import type { Usage } from "../../contract/budgets.ts";
import type { Json } from "../../contract/values.ts";
import { redact } from "../../redaction/redact.ts";
import { noMergedInputs, type Executor, type TaskRun } from "../../runner/worker/executor.ts";
import { firstOf } from "../../shared/format.ts";
import { commitAll } from "../../snapshots/commit-work.ts";
import { displayPath, rawList, run as runGit, splitRaw, type Git } from "../../snapshots/git.ts";
import { firstLeftOut, type ExcludedFile } from "../../snapshots/selection.ts";
import type { Tests } from "../tool-runner/run-tool.ts";
import {
  createThrowaway,
  linkModulesInside,
  type RepositoryProject,
  type ThrowawayWorktree,
} from "../tool-runner/worktree.ts";
import type { Mutation } from "./candidate.ts";
import { applyPatch, type Patches } from "./fixers.ts";
import { judge, type FileDelta } from "./judge.ts";
import { measure, unstable, type Measured, type MeasureDeps } from "./measure.ts";
import { tryDefect } from "./mutations.ts";
import { sumUsage, type Change, type Rejections, type Run } from "./run.ts";
import { loadAstGrep } from "./silencers.ts";

export interface ChangeOptions {
  readonly deps: MeasureDeps;
  readonly project: RepositoryProject;
  readonly rejections: Rejections;
  /** Does what no tool can; null: not set up. */
  readonly claude: Executor | null;
  /** From the user, never from what is changed; null: `npm test`. */
  readonly tests: Tests | null;
}

/** A change of a run, and what is needed to make it. */
export interface ChangeWork {
  readonly options: ChangeOptions;
  readonly run: Run;
  readonly patches: Patches;
  readonly change: Pick<Change, "number" | "candidate">;
  readonly signal: AbortSignal;
  readonly onNote: (note: string) => void;
  readonly onUsage: (used: Usage) => void;
}

export type Made = Pick<Change, "outcome" | "why"> & {
  readonly leftOut?: Change["leftOut"];
  /** The commit of a change that is kept; it has no branch yet. */
  readonly measured?: Measured;
};

function ended(outcome: "failed" | "stopped", why: string | null): Made {
  return { outcome, why };
}

/** Makes one change in a worktree, on top of those that were kept, and judges it. */
export async function makeChange(work: ChangeWork): Promise<Made> {
  const { deps, project } = work.options;
  const { findings, files, mutation, rules } = work.change.candidate;
  const { head } = work.run;
  const present = new Set(head.findings.map(({ fingerprint }) => fingerprint));
  const end = mutation && (await endWith(work, head, mutation));
  if (end === "stopped") return ended("stopped", null);
  // Another change has removed the findings, or its test holds this defect, too.
  const isOpen = end
    ? end === "passed"
    : rules !== undefined || findings.some(({ fingerprint }) => present.has(fingerprint));
  if (!isOpen) return { outcome: "unchanged", why: null };
  work.onNote(mutation ? `writing a test of ${mutation.file}` : `changing ${rules ?? firstOf(files, maxNamed)}`);
  const { top, repository } = project;
  const source = { top, repository, base: head.commit };
  const worktree = await createThrowaway(deps, source, { keepsObjects: true, hasLinks: true });
  try {
    return await makeAndJudge(work, worktree);
  } catch (error) {
    if (work.signal.aborted) return ended("stopped", null);
    throw error;
  } finally {
    await worktree.remove();
  }
}

function endWith(
  { options, signal }: ChangeWork,
  { commit, tests: { ms: testsMs } }: Measured,
  mutation: Mutation | null,
): ReturnType<typeof tryDefect> {
  const { deps, project, tests } = options;
  return tryDefect(deps, { project, commit, tests, testsMs, signal }, mutation);
}

const maxNamed = 3;

async function makeAndJudge(work: ChangeWork, worktree: ThrowawayWorktree): Promise<Made> {
  const { options, change, signal } = work;
  const { deps } = options;
  const { candidate } = change;
  const git = worktree.git(signal);
  const made = await applyChange(work, worktree.tree, git);
  if (made !== null) return made;
  const about = candidate.mutation ? [candidate.mutation.file] : candidate.files;
  const message = candidate.rules ? `shim: ${candidate.rules}` : `shim: ${candidate.subject} in ${about.join(", ")}`;
  const { commit, leftOut } = await commitAll(git, { tree: worktree.tree, message, now: deps.now() });
  const ignored = candidate.method === "worker" ? await ignoredByGit(git) : [];
  const all = firstLeftOut([...leftOut, ...ignored], maxLeftOut);
  return { ...(await judgeCommit(work, git, commit)), leftOut: all };
}

const maxLeftOut = 10;

/** Packages are linked into the worktree by SHIM. */
async function ignoredByGit(git: Git): Promise<ExcludedFile[]> {
  const args = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"];
  const paths = (await rawList(git, args)).map(displayPath);
  const own = paths.filter((path) => !path.split("/").includes("node_modules"));
  return own.map((path) => ({ path, reason: "git ignores it" }));
}

async function judgeCommit(work: ChangeWork, git: Git, commit: string): Promise<Made> {
  const { options, run, change, signal } = work;
  const { deps, project, tests } = options;
  const { candidate } = change;
  const before = run.head;
  const changes = await changedFiles(git, before.commit, commit, project.prefix);
  if (changes.length === 0) return reject(work, ["nothing was changed"]);
  work.onNote("measuring what is there now");
  // In a worktree of its own, which nothing has written to.
  const after = await measure(deps, project, { commit, tests, runs: 1, signal });
  if (signal.aborted) return ended("stopped", null);
  if (!after.ok) return reject(work, [after.error]);
  const { failure, isFlaky } = after.value.tests;
  if (failure !== null && (isFlaky || (await endWith(work, before, null)) !== "passed"))
    return undecided(work, isFlaky ? "they failed once with the change" : "they fail without the change, too");
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  const reasons = judge({ before, after: after.value, candidate, allowsApi: run.allowsApi, changes, astGrep });
  if (reasons.length > 0) return reject(work, reasons);
  const { mutation } = candidate;
  const end = mutation && (await endWith(work, after.value, mutation));
  if (end === "stopped") return ended("stopped", null);
  if (end === "passed") return reject(work, ["the tests pass with the defect, too"]);
  // Before, they ended with it: an end that was not seen is no failure.
  if (end === "timed_out") return reject(work, ["the tests did not end with the defect"]);
  if (mutation && (await endWith(work, after.value, mutation)) !== "failed")
    return undecided(work, "they failed once with the defect");
  return { outcome: "kept", why: null, measured: after.value };
}

/** Neither kept nor remembered as rejected: the next run tries it. */
function undecided({ signal }: ChangeWork, how: string): Made {
  if (signal.aborted) return ended("stopped", null);
  return ended("failed", `${unstable}: ${how}`);
}

function reject({ options, change }: ChangeWork, reasons: readonly string[]): Made {
  const why = redact(reasons.join("; ")).text;
  options.rejections.add(change.candidate);
  return { outcome: "rejected", why };
}

/** @returns how it ends without a change; null: it was made */
async function applyChange(work: ChangeWork, tree: string, git: Git): Promise<Made | null> {
  const { options, change, patches, run } = work;
  const { project, claude } = options;
  const { fixer, files } = change.candidate;
  if (fixer !== null) {
    const paths = files.map((file) => posix.join(project.prefix, file));
    const isApplied = await applyPatch(git, patches.get(fixer) ?? "", paths);
    return isApplied ? null : ended("failed", "a change before it has left other lines there: the next run tries it");
  }
  if (!claude) return ended("failed", "no worker is set up for it: `claude` of the settings");
  await linkModulesInside(git, { top: project.top, tree });
  const outcome = await claude.run(toTaskRun(work, tree, run.head.commit));
  switch (outcome.kind) {
    case "done":
      return null;
    case "stopped":
      return ended("stopped", null);
    case "waiting":
      // Another run tries it once the limit has reset.
      return ended("failed", outcome.reason);
    case "failed":
    case "over_budget":
      return ended("failed", outcome.reason);
  }
}

function ignore(): void {}

/** The change as a task, which a client does like one that a worker has claimed. */
function toTaskRun(work: ChangeWork, folder: string, base: string): TaskRun {
  const { run, change, signal, onUsage, onNote } = work;
  const { costMicros } = run.limits;
  const left = costMicros === null ? null : Math.max(0, costMicros - sumUsage(run.changes).costMicros);
  const budget = { wallMs: null, tokens: null, costMicros: left };
  const attempt = { claim: 1, attempt: 1, maxAttempts: 1, priority: 5, isStarted: true, progress: null };
  const times = { startInMs: null, remainingMs: run.limits.timeMs, heartbeatMs: run.limits.timeMs };
  const payload = toPayload(work) as unknown as Json;
  return {
    task: { task: change.number, type: "evolve", payload, checkpoint: null, inputs: [], budget, ...attempt, ...times },
    folder,
    base,
    merged: noMergedInputs,
    signal,
    budgetLeft: budget,
    onUsage,
    onProgress: ({ note }) => (note === undefined ? undefined : onNote(note)),
    onCheckpoint: ignore,
    onOutput: ignore,
    findRouteCounts: () => Promise.resolve(null),
    onRoute: ignore,
    onModel: ignore,
  };
}

/** Rules of a change that a model makes, for the instruction of its settings. */
export const workerRules = [
  "The payload names findings of the project's own tools: remove their cause, and nothing else.",
  "Change only the files it lists, none of which is a test; new tests are allowed, but no line of a test may be changed or deleted. Write new tests as those that are there.",
  "Keep the public API of the package. Silence no finding: no comment, setting, `any`, cast, `!`, `void`, name with an underscore or empty catch.",
  "Run the tests before you end. A judge then analyses the code again and runs the tests: a change that adds a finding or breaks a test is thrown away.",
].join("\n");

/** Rules of a test that a model writes. */
export const testRules = [
  "The payload names a defect that no test of the project finds: in `file`, `present` would be `defect`. Write one test that passes on the code as it is and would fail with the defect.",
  "Write it as the tests that are there, in their file for this code or in a new one beside it. Change nothing else: no line of code, and no line of a test that is there.",
  "Assert what the code is for, not how it is written. Where the defect changes nothing that a caller can see, write no test and say so.",
  "A judge then runs the tests, once without the defect and once with it: a test that does not tell the two apart is thrown away.",
].join("\n");

const maxMessageChars = 300;

/** For the prompt of a model: its text is data, which the prompt fences. */
function toPayload({ change: { candidate }, run: { allowsApi } }: ChangeWork): object {
  const { mutation } = candidate;
  if (mutation) {
    const { file, line, from: present, to: defect } = mutation;
    return { goal: "a test that fails with the defect", file, line, present, defect };
  }
  const findings = candidate.findings.map(({ tool, rule, file, range, message }) => ({
    tool,
    rule,
    file,
    range,
    message: message.slice(0, maxMessageChars),
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
