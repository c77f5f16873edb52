import { join } from "node:path";
import type { Finding } from "../analysis/finding.ts";
import type { Json } from "../contract/json.ts";
import { findAstGrep } from "../mutation/ast-grep.ts";
import { redact } from "../redaction/redact.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Git } from "../snapshots/git.ts";
import { linkModulesInside } from "../transform/link-modules.ts";
import { resetTo } from "../transform/throwaway-worktree.ts";
import type { RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { readDiff, commitAll } from "../worker-runner/work-git.ts";
import { addTests } from "./add-tests.ts";
import { applyFixer } from "./apply-fixer.ts";
import type { Candidate, ChangeTask } from "./candidate.ts";
import type { ChangeOptions } from "./change-executor.ts";
import { changedFiles } from "./changed-files.ts";
import { findCascade } from "./find-candidates.ts";
import { judge, type FileDelta, type JudgeInput } from "./judge.ts";
import { measure } from "./measure.ts";
import type { Measured } from "./measured.ts";
import { rejectedPrefix, stopRun, type LeftPart, type Verdict } from "./run-state.ts";
import { tryInParts, type Attempt, type Standing } from "./try-parts.ts";
import { toWorkerTask } from "./worker-prompt.ts";

type Mutants = Verdict["mutants"];

/** Makes one change in the task's worktree, whole or in parts. */
export class Change {
  readonly #options: ChangeOptions;
  readonly #run: TaskRun;
  readonly #task: ChangeTask;
  readonly #git: Git;
  #mutants: Mutants = null;

  constructor(options: ChangeOptions, run: TaskRun, task: ChangeTask, git: Git) {
    this.#options = options;
    this.#run = run;
    this.#task = task;
    this.#git = git;
  }

  async make(start: Standing): Promise<RunOutcome> {
    const { candidate, limits } = this.#task;
    const tried = await tryInParts(candidate, start, limits.maxRejected, {
      attempt: (part, at) => this.#attempt(part, at),
      cascadeOf: (findings, at) => this.#cascadeOf(findings, at),
      whyOver: () => this.#whyOver(null),
    });
    if (!tried.ok) return tried.error;
    const { at, left } = tried.value;
    return at === start ? this.#reject(left) : this.#keep(start, at, left);
  }

  #whyOver(rejection: string | null): Promise<string | null> {
    return stopRun(this.#options.call, this.#run.task.task, this.#task.limits, rejection);
  }

  async #attempt(candidate: Candidate, at: Standing): Promise<Attempt> {
    const made = await this.#apply(candidate, at);
    if (!made.ok) return { kind: "ended", outcome: made.error };
    this.#mutants = made.value;
    const { deps, project } = this.#options;
    const message = `shim: ${candidate.subject} in ${candidate.files.join(", ")}`;
    const { commit } = await commitAll(this.#git, { tree: this.#run.folder, message, now: deps.now() });
    if (made.value?.survived === 0) return { kind: "ended", outcome: unchanged(at.measured, candidate) };
    const changes = await changedFiles(this.#git, at.commit, commit, project.prefix);
    return this.#judge(candidate, at, commit, changes);
  }

  /** Makes the change on top of the standing. */
  async #apply(candidate: Candidate, { commit, measured }: Standing): Promise<Result<Mutants, RunOutcome>> {
    const { deps, project, claude, limitMs } = this.#options;
    const { folder: tree, signal, task } = this.#run;
    const { fixer, files, findings, cascade } = candidate;
    if (fixer !== null) {
      await resetTo(this.#git, commit);
      const own = new Set(findings.map(({ fingerprint }) => fingerprint));
      const whole = new Set(this.#task.candidate.findings.map(({ fingerprint }) => fingerprint));
      const left = measured.findings.filter(({ fingerprint: one }) => whole.has(one) && !own.has(one));
      const request = {
        fixer,
        tree,
        git: this.#git,
        files,
        findings: [...findings, ...cascade],
        left,
        limitMs,
        signal,
      };
      const applied = await applyFixer(deps, project, request);
      if (applied.ok) return ok(null);
      return err(signal.aborted ? { kind: "stopped" } : failed(applied.error));
    }
    await linkModulesInside(this.#git, { top: project.top, tree });
    if (candidate.subject === "tests") return addTests(this.#options, this.#run, this.#task, commit);
    if (candidate.method !== "worker" || !claude)
      return err(failed("no worker is set up for it: `claude` of the type"));
    const outcome = await claude.run({ ...this.#run, task: toWorkerTask(task, this.#task) });
    return outcome.kind === "done" ? ok(null) : err(ofThisTask(outcome));
  }

  async #judge(
    candidate: Candidate,
    { commit: base, measured: before }: Standing,
    commit: string,
    changes: readonly FileDelta[],
  ): Promise<Attempt> {
    const { deps, project, limitMs, tests } = this.#options;
    const { signal, onProgress, onOutput } = this.#run;
    onProgress({ percent: 60, note: "measuring what is there now" });
    const request = { commit, tests, runs: 1, limitMs, signal } as const;
    const after = changes.length === 0 ? ok(before) : await measure(deps, project, request);
    if (signal.aborted) return { kind: "ended", outcome: { kind: "stopped" } };
    const astGrep = await findAstGrep(join(project.top, project.prefix));
    const { rules } = this.#task;
    const reasons = after.ok
      ? judge({ before, after: after.value, candidate, rules, changes, astGrep })
      : [after.error];
    if (after.ok && reasons.length === 0) return { kind: "kept", standing: { commit, measured: after.value } };
    const { diff } = await readDiff(this.#git, base, commit);
    onOutput(redact(`${reasons.join("\n")}\n${diff}`).text);
    return { kind: "rejected", why: reasons.join("; ") };
  }

  #cascadeOf(findings: readonly Finding[], { measured }: Standing): Promise<Result<Finding[], string>> {
    const { deps, project, limitMs } = this.#options;
    return findCascade(deps, project, { measured, findings, limitMs, signal: this.#run.signal });
  }

  async #reject(left: readonly LeftPart[]): Promise<RunOutcome> {
    const whys = left.filter(({ isTried }) => isTried).map(({ why }) => why);
    const reason = `${rejectedPrefix}${[...new Set(whys)].join("; ")}`;
    await this.#whyOver(reason);
    return failed(reason);
  }

  async #keep(start: Standing, at: Standing, left: readonly LeftPart[]): Promise<RunOutcome> {
    await resetTo(this.#git, at.commit);
    const { project } = this.#options;
    const changes = await changedFiles(this.#git, start.commit, at.commit, project.prefix);
    const { diff } = await readDiff(this.#git, start.commit, at.commit);
    const { candidate } = this.#task;
    const [before, after, mutants] = [start.measured, at.measured, this.#mutants];
    return { kind: "done", result: toVerdict({ before, after, candidate, changes, mutants, left, diff }) };
  }
}

/** Fixers do other tasks of the type without a model. */
function ofThisTask(outcome: RunOutcome): RunOutcome {
  if (outcome.kind !== "waiting") return outcome;
  const { kind, reason, delayMs } = outcome;
  return { kind, reason, delayMs };
}

/** The result of a change of which nothing is left to do. */
export function unchanged(before: Measured, candidate: Candidate): RunOutcome {
  const nothing = { changes: [], mutants: null, left: [], diff: "" };
  return { kind: "done", result: toVerdict({ before, after: before, candidate, ...nothing }) };
}

const maxTestDiffChars = 20_000;
const maxWhyChars = 500;

interface Kept
  extends Pick<Verdict, "mutants" | "left">, Pick<JudgeInput, "before" | "after" | "candidate" | "changes"> {
  readonly diff: string;
}

function toVerdict({ before, after, candidate, changes, mutants, left, diff }: Kept): Json {
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
    left: left.map((one) => ({ ...one, why: redact(one.why).text.slice(0, maxWhyChars) })),
    testDiff: parts.join("").slice(0, maxTestDiffChars),
    notes: [...new Set([...before.notes, ...after.notes])],
  };
  return verdict as unknown as Json;
}

function toFacts({ findings, tests, coverage }: Measured): Verdict["before"] {
  return { findings: findings.length, tests: tests.counts, coverage };
}

function failed(reason: string): RunOutcome {
  return { kind: "failed", reason, isRetryable: false };
}
