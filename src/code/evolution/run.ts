import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { Usage, sum, zeroUsage } from "../../contract/budgets.ts";
import type { Json } from "../../contract/values.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { type TaskState, WorkResult } from "../../contract/tasks.ts";
import type { Workspace } from "../../machine/operations/workspace.ts";
import { decisionsFile, evolveFolder, readDecisions, type Decision } from "../../platform/evolve-decisions.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { type Failure, ok, type Result } from "../../shared/result.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { RepositoryProject } from "../transform/worktree.ts";
import { Candidate, describe, EvolveTask, methodText, type ChangeTask, type RunLimits, ruleName } from "./candidate.ts";

const maxDecisions = 5_000;

/** Decisions of people and of the judge on changes of one project, on this machine. */
export class Decisions {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, project: RepositoryProject) {
    this.#folder = join(evolveFolder(home), projectId(project));
  }

  all(): Decision[] {
    return readDecisions(this.#folder);
  }

  add(decision: Decision): void {
    const decisions = [...this.all(), decision].slice(-maxDecisions);
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, decisionsFile), JSON.stringify({ version: 1, decisions }));
  }
}

function projectId({ repository, prefix }: RepositoryProject): string {
  return createHash("sha256")
    .update(JSON.stringify([repository, prefix]))
    .digest("hex")
    .slice(0, 12);
}

/** Tag of all tasks of runs in a project, and the type of those that a command does itself. */
export function runTag(project: RepositoryProject): string {
  return `evolve.${projectId(project)}`;
}

/** Facts from the time of the plan; part of the payload of the task that reports. */
export const RunFacts = z.object({
  base: z.string(),
  findings: z.int(),
  tools: z.array(z.string()),
  notes: z.array(z.string()).max(50),
});
export type RunFacts = z.infer<typeof RunFacts>;

export interface TaskOptions {
  readonly type: string;
  /** Found again by it. */
  readonly tag: string;
  readonly allowsApi: boolean;
  readonly limits: RunLimits;
  readonly facts: RunFacts;
}

type SubmittedTask = InputOf<"tasks.submit">["tasks"][number];

const reportRef = "report";

function refOf(index: number): string {
  return `change-${index + 1}`;
}

/**
 * Pure. One task for each candidate and one that reports, which is their parent. A task waits
 * for those before it that have a file in common: no two change a file at the same time.
 */
export function toTasks(candidates: readonly Candidate[], options: TaskOptions): SubmittedTask[] {
  const { type, allowsApi, limits, facts } = options;
  const tags = [options.tag];
  const budget = limits.costMicros === null ? undefined : { costMicros: limits.costMicros };
  const changes = candidates.map((candidate, at): SubmittedTask => {
    const files = new Set(candidate.files);
    // All of them: the last may be rejected, and its work is not there then.
    const before = candidates
      .slice(0, at)
      .flatMap((one, index) => (one.files.some((file) => files.has(file)) ? refOf(index) : []));
    const payload: ChangeTask = { evolve: "change", candidate, allowsApi, limits };
    return {
      type,
      ref: refOf(at),
      payload: payload as unknown as Json,
      parent: reportRef,
      dependsOn: before,
      onDependencyDeath: "ignore",
      startToCloseMs: limits.timeMs,
      tags,
      ...omitUndefined({ budget }),
    };
  });
  const dependsOn = changes.flatMap(({ ref }) => ref ?? []);
  const payload = { evolve: "report", facts };
  return [...changes, { type, ref: reportRef, payload, dependsOn, onDependencyDeath: "ignore", tags }];
}

/** Result of a change that was kept. */
export const Verdict = z.object({ findings: z.object({ before: z.int(), after: z.int() }) });
export type Verdict = z.infer<typeof Verdict>;

const Tried = z.object({
  task: z.int(),
  candidate: z.string(),
  fingerprints: z.array(z.string()),
  /** `tool rule` of its findings. */
  rules: z.array(z.string()),
  what: z.string(),
  method: z.string(),
  /** kept: a branch waits for a review; stopped: it was not tried; open: it has not begun. */
  outcome: z.enum(["kept", "unchanged", "rejected", "failed", "stopped", "open", "running"]),
  why: z.string().nullable(),
  branch: z.string().nullable(),
  commit: z.string().nullable(),
  /** Tasks whose work it begins with. */
  dependsOn: z.array(z.int()),
  verdict: Verdict.nullable(),
  used: Usage,
});
export type Tried = z.infer<typeof Tried>;

/** Result of a run. Printed and stored: fields are only added. */
export const EvolveReport = z.object({
  version: z.literal(1),
  job: z.int(),
  /** Why it ended before all was tried; null: everything was. */
  stopped: z.string().nullable(),
  isEnded: z.boolean(),
  facts: RunFacts.nullable(),
  /** In the order of their tasks. */
  tried: z.array(Tried),
  findings: z.object({ before: z.int().nullable(), afterAllKept: z.int().nullable() }),
  used: Usage,
  ageMs: z.int(),
});
export type EvolveReport = z.infer<typeof EvolveReport>;

export interface RunState {
  readonly report: EvolveReport;
  /** Whether the task that reports has ended, too. */
  readonly isReported: boolean;
}

const maxTasks = 200;

/** The newest run in a project; null: none that the coordinator knows. */
export async function newestRun(
  workspace: Workspace,
  project: RepositoryProject,
): Promise<Result<{ readonly job: number; readonly type: string; readonly isOpen: boolean } | null, Failure>> {
  const listed = await workspace.list("tasks.list", { tag: runTag(project) });
  if (!listed.ok) return listed;
  const newest = listed.value.tasks.filter(({ ref }) => ref === reportRef).toSorted((a, b) => b.task - a.task)[0];
  return ok(newest ? { job: newest.task, type: newest.type, isOpen: openStates.has(newest.state) } : null);
}

/** Reads a run as it is now: its tasks are all that there is of it. */
export async function readRun({ call }: Pick<Workspace, "call">, job: number): Promise<Result<RunState, Failure>> {
  const root = await call("tasks.get", { task: job });
  if (!root.ok) return root;
  const listed = await call("tasks.list", { parent: job, limit: maxTasks });
  if (!listed.ok) return listed;
  const tried: Tried[] = [];
  let limits: RunLimits | null = null;
  for (const { task } of listed.value.tasks) {
    const found = await call("tasks.get", { task });
    if (!found.ok) return found;
    const payload = changePayload(found.value);
    if (payload) tried.push(toTried(found.value, payload.candidate));
    limits ??= payload?.limits ?? null;
  }
  const { payload, ageMs, state } = root.value;
  const facts = z.object({ facts: RunFacts }).safeParse(payload).data?.facts ?? null;
  return ok({ report: toReport({ job, ageMs, facts, tried }, limits), isReported: !openStates.has(state) });
}

/** A change that was kept and waits for a decision. */
export interface Offered extends Tried {
  readonly branch: string;
  readonly commit: string;
  readonly verdict: Verdict;
}

/** Changes of all runs of a project that were kept, and wait for a decision of a person. */
export async function offeredChanges(
  workspace: Workspace,
  project: RepositoryProject,
  decisions: Decisions,
): Promise<Result<Offered[], Failure>> {
  const decided = new Set(decisions.all().map(({ task, candidate }) => `${task} ${candidate}`));
  const done = await workspace.list("tasks.list", { tag: runTag(project), state: "done" });
  if (!done.ok) return done;
  const offered: Offered[] = [];
  for (const { task } of done.value.tasks) {
    const read = await workspace.call("tasks.get", { task });
    if (!read.ok) return read;
    const payload = changePayload(read.value);
    const change = payload && toTried(read.value, payload.candidate);
    if (change && isOffered(change) && !decided.has(`${task} ${change.candidate}`)) offered.push(change);
  }
  return ok(offered.toSorted((a, b) => a.task - b.task));
}

function isOffered(change: Tried): change is Offered {
  return change.outcome === "kept" && change.branch !== null && change.commit !== null && change.verdict !== null;
}

function changePayload({ payload }: OutputOf<"tasks.get">): ChangeTask | null {
  const parsed = EvolveTask.safeParse(payload).data;
  return parsed?.evolve === "change" ? parsed : null;
}

/** Begins the reason of a change that the judge did not keep. */
export const rejectedPrefix = "rejected: ";
export const stoppedPrefix = "stopped: ";

const openStates: ReadonlySet<TaskState> = new Set(["blocked", "scheduled", "queued", "assigned", "running"]);
const ChangeResult = WorkResult.extend({ output: Verdict });

function toTried(found: OutputOf<"tasks.get">, candidate: Candidate): Tried {
  const { task, state, detail, used, dependsOn } = found;
  const result = state === "done" ? (ChangeResult.safeParse(found.result).data ?? null) : null;
  const { branch = null, commit = null, output: verdict = null } = result ?? {};
  const { id, findings } = candidate;
  return {
    task,
    candidate: id,
    fingerprints: findings.map(({ fingerprint }) => fingerprint),
    rules: [...new Set(findings.map(ruleName))],
    what: describe(candidate),
    method: methodText(candidate),
    outcome: result ? (branch === null ? "unchanged" : "kept") : outcomeOf(state, detail),
    why: detail?.replace(rejectedPrefix, "").replace(stoppedPrefix, "") ?? null,
    branch,
    commit,
    dependsOn: [...dependsOn],
    verdict,
    used,
  };
}

/** Outcome of a task without a result. */
function outcomeOf(state: TaskState, detail: string | null): Tried["outcome"] {
  if (openStates.has(state)) return state === "running" ? "running" : "open";
  if (state === "dead" && detail?.startsWith(rejectedPrefix)) return "rejected";
  return state === "cancelled" || detail?.startsWith(stoppedPrefix) ? "stopped" : "failed";
}

function toReport(
  { job, facts, tried, ageMs }: Pick<EvolveReport, "job" | "ageMs" | "facts" | "tried">,
  limits: RunLimits | null,
): EvolveReport {
  const kept = tried.flatMap(({ outcome, verdict }) => (outcome === "kept" && verdict ? [verdict] : []));
  const removed = kept.reduce((total, { findings }) => total + findings.before - findings.after, 0);
  const before = facts?.findings ?? null;
  const isEnded = !tried.some(({ outcome }) => outcome === "open" || outcome === "running");
  const given = tried.find(({ outcome, why }) => outcome === "stopped" && why !== null)?.why;
  return {
    version: 1,
    job,
    // The reason that a task was given, or the one that holds now.
    stopped: given ?? (isEnded || !limits ? null : stopReason(tried, limits, ageMs)),
    isEnded,
    facts,
    tried,
    findings: { before, afterAllKept: before === null ? null : before - removed },
    used: sumUsage(tried),
    ageMs,
  };
}

function sumUsage(tried: readonly Pick<Tried, "used">[]): Usage {
  return tried.reduce((total, { used }) => sum(total, used), zeroUsage);
}

/** Pure. Says why a run ends before all of its tasks are done; null: it continues. */
export function stopReason(
  tried: readonly Pick<Tried, "used">[],
  { timeMs, costMicros }: RunLimits,
  ageMs: number,
): string | null {
  if (ageMs >= timeMs) return `its time of ${timeMs / 1_000} s is over`;
  const isSpent = costMicros !== null && sumUsage(tried).costMicros >= costMicros;
  return isSpent ? `its budget of ${(costMicros / 1_000_000).toFixed(2)} dollars is used up` : null;
}

/**
 * Cancels the open tasks of a run that is over.
 *
 * @param task one of them, which is not cancelled
 * @returns why the run is over; null: it continues
 */
export async function stopRun(
  workspace: Pick<Workspace, "call">,
  task: number,
  limits: RunLimits,
): Promise<string | null> {
  const own = await workspace.call("tasks.get", { task });
  if (!own.ok || own.value.parent === null) return null;
  const state = await readRun(workspace, own.value.parent);
  if (!state.ok) return null;
  const { tried, ageMs } = state.value.report;
  const reason = stopReason(tried, limits, ageMs);
  const others = tried.filter((one) => one.task !== task);
  if (reason !== null) await cancelTasks(workspace, others, ["open"], reason);
  return reason;
}

/** Cancels the tasks of a run that have one of these outcomes. */
export async function cancelTasks(
  { call }: Pick<Workspace, "call">,
  tried: readonly Tried[],
  outcomes: readonly Tried["outcome"][],
  reason: string,
): Promise<void> {
  for (const { task, outcome } of tried)
    if (outcomes.includes(outcome)) await call("tasks.cancel", { task, reason: `${stoppedPrefix}${reason}` });
}
