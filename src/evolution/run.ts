import * as z from "zod";
import { Usage, type Budget } from "../contract/budgets.ts";
import type { Json } from "../contract/json.ts";
import type { CallInput, InputOf, OutputOf } from "../contract/operations.ts";
import type { TaskState } from "../contract/tasks.ts";
import { sum, zeroUsage } from "../contract/usage.ts";
import { WorkResult } from "../contract/work-result.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { ok, type Result } from "../shared/result.ts";
import {
  Candidate,
  describe,
  EvolveTask,
  methodText,
  type ChangeTask,
  type JudgeRules,
  type RunLimits,
} from "./candidate.ts";
import { ruleName } from "./rank.ts";
import { Coverage, TestCounts } from "./tests.ts";

/** Facts from the time of the plan; part of the payload of the task that reports. */
export const RunFacts = z.object({
  base: z.string(),
  findings: z.int(),
  coverage: Coverage.nullable(),
  tests: TestCounts.nullable(),
  tools: z.array(z.string()),
  /** Candidates that are only named: for a person, or for a worker that is not set up. */
  reported: z.array(z.object({ method: Candidate.shape.method, subject: z.string(), what: z.string() })).max(50),
  notReported: z.int().default(0),
  notes: z.array(z.string()).max(50),
});
export type RunFacts = z.infer<typeof RunFacts>;

export interface TaskOptions {
  readonly type: string;
  readonly rules: JudgeRules;
  readonly limits: RunLimits;
  /** Limits of each task. */
  readonly budget?: Budget | undefined;
  readonly facts: RunFacts;
}

type SubmittedTask = InputOf<"tasks.submit">["tasks"][number];

const reportRef = "report";

function refOf(index: number): string {
  return `change-${index + 1}`;
}

const tags = ["evolve"];

/**
 * [EV9] Pure. One task for each candidate and one that reports, which is their parent. A task waits
 * for those before it that have a file in common: no two change a file at the same time.
 */
export function toTasks(candidates: readonly Candidate[], options: TaskOptions): SubmittedTask[] {
  const { type, rules, limits, budget, facts } = options;
  const changes = candidates.map((candidate, at): SubmittedTask => {
    const files = new Set(candidate.files);
    // All of them: the last may be rejected, and its work is not there then.
    const before = candidates
      .slice(0, at)
      .flatMap((one, index) => (one.files.some((file) => files.has(file)) ? refOf(index) : []));
    const payload: ChangeTask = { evolve: "change", candidate, rules, limits };
    return {
      type,
      ref: refOf(at),
      payload: payload as unknown as Json,
      parent: reportRef,
      dependsOn: before,
      onDependencyDeath: "ignore",
      startToCloseMs: limits.timeMs,
      tags,
      ...omitUndefined({ budget: budgetOf(budget, limits) }),
    };
  });
  const dependsOn = changes.flatMap(({ ref }) => ref ?? []);
  const payload = { evolve: "report", facts };
  return [...changes, { type, ref: reportRef, payload, dependsOn, onDependencyDeath: "ignore", tags }];
}

/** A task never gets more than the whole run may use. */
function budgetOf(budget: Budget | undefined, whole: RunLimits): Budget | undefined {
  const tokens = leastOf(whole.tokens, budget?.tokens);
  const costMicros = leastOf(whole.costMicros, budget?.costMicros);
  const both = { ...budget, ...omitUndefined({ tokens, costMicros }) };
  return Object.keys(both).length === 0 ? undefined : both;
}

function leastOf(whole: number | null, own: number | undefined): number | undefined {
  return whole === null ? own : Math.min(whole, own ?? whole);
}

const Facts = z.object({ findings: z.int(), tests: TestCounts.nullable(), coverage: Coverage.nullable() });

/** [EV12] Result of a change that was kept. */
export const Verdict = z.object({
  candidate: z.string(),
  removed: z.int(),
  before: Facts,
  after: Facts,
  api: z.enum(["unchanged", "changed", "not compared"]),
  /** Mutants of the task's file that no test noticed, and how many the new tests notice. */
  mutants: z.object({ survived: z.int(), killed: z.int() }).nullable().default(null),
  notes: z.array(z.string()),
});
export type Verdict = z.infer<typeof Verdict>;

const Tried = z.object({
  task: z.int(),
  candidate: z.string(),
  fingerprints: z.array(z.string()).default([]),
  /** `tool rule` of its findings. */
  rules: z.array(z.string()).default([]),
  what: z.string(),
  method: z.string(),
  value: z.number(),
  /** kept: a branch waits for a review; stopped: it was not tried; open: it has not begun. */
  outcome: z.enum(["kept", "unchanged", "rejected", "failed", "stopped", "open", "running"]),
  why: z.string().nullable(),
  branch: z.string().nullable(),
  commit: z.string().nullable(),
  base: z.string().nullable(),
  /** Tasks whose work it begins with. */
  dependsOn: z.array(z.int()),
  verdict: Verdict.nullable(),
  used: Usage,
});
export type Tried = z.infer<typeof Tried>;

/** [EV12] Result of a run. Printed and stored: fields are only added. */
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
  mutants: z.object({ survivedBefore: z.int(), survivedAfter: z.int() }),
  used: Usage,
  ageMs: z.int(),
});
export type EvolveReport = z.infer<typeof EvolveReport>;

type Failure = { readonly code: string; readonly message: string };

/** The calls of a coordinator that a run needs. */
export type Caller<E extends Failure = Failure> = <
  Name extends "tasks.get" | "tasks.list" | "tasks.submit" | "tasks.cancel",
>(
  name: Name,
  input: CallInput<Name>,
) => Promise<Result<OutputOf<Name>, E>>;

export interface RunState {
  readonly report: EvolveReport;
  /** Whether the task that reports has ended, too. */
  readonly isReported: boolean;
}

const maxTasks = 200;

/** Reads a run as it is now: its tasks are all that there is of it. */
export async function readRun<E extends Failure>(call: Caller<E>, job: number): Promise<Result<RunState, E>> {
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

/** @returns null for a task that is no change */
export function parseChange(task: OutputOf<"tasks.get">): Tried | null {
  const payload = changePayload(task);
  return payload && toTried(task, payload.candidate);
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
  const { branch = null, commit = null, base = null, output: verdict = null } = result ?? {};
  const { id, findings, value } = candidate;
  return {
    task,
    candidate: id,
    fingerprints: findings.map(({ fingerprint }) => fingerprint),
    rules: [...new Set(findings.map(ruleName))],
    what: describe(candidate),
    method: methodText(candidate),
    value,
    outcome: result ? (branch === null ? "unchanged" : "kept") : outcomeOf(state, detail),
    why: detail?.replace(rejectedPrefix, "").replace(stoppedPrefix, "") ?? null,
    branch,
    commit,
    base,
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
  const total = (read: (one: Verdict) => number | undefined): number =>
    kept.reduce((count, one) => count + (read(one) ?? 0), 0);
  const removed = total((one) => one.removed);
  const survived = total(({ mutants }) => mutants?.survived);
  const killed = total(({ mutants }) => mutants?.killed);
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
    mutants: { survivedBefore: survived, survivedAfter: survived - killed },
    used: sumUsage(tried),
    ageMs,
  };
}

function sumUsage(tried: readonly Pick<Tried, "used">[]): Usage {
  return tried.reduce((total, { used }) => sum(total, used), zeroUsage);
}

/** [EV8] Pure. Says why a run ends before all of its tasks are done; null: it continues. */
export function stopReason(
  tried: readonly Pick<Tried, "task" | "outcome" | "used">[],
  limits: RunLimits,
  ageMs: number,
): string | null {
  if (ageMs >= limits.timeMs) return `its time of ${limits.timeMs / 1_000} s is over`;
  const { tokens, costMicros } = sumUsage(tried);
  if (limits.tokens !== null && tokens >= limits.tokens) return `its budget of ${limits.tokens} tokens is used up`;
  if (limits.costMicros !== null && costMicros >= limits.costMicros)
    return `its budget of ${(limits.costMicros / 1_000_000).toFixed(2)} dollars is used up`;
  const judged = tried.filter(({ outcome }) => ["kept", "unchanged", "rejected"].includes(outcome));
  const last = judged.toSorted((a, b) => b.task - a.task).slice(0, limits.maxRejected);
  const isHopeless = last.length === limits.maxRejected && last.every(({ outcome }) => outcome === "rejected");
  return isHopeless ? `${limits.maxRejected} changes in a row were rejected` : null;
}

/**
 * [EV8] Cancels the open tasks of a run that is over.
 *
 * @param task one of them, which is not cancelled
 * @param isRejected how it ends, which the coordinator does not know yet
 * @returns why the run is over; null: it continues
 */
export async function stopRun(
  call: Caller,
  task: number,
  limits: RunLimits,
  isRejected: boolean,
): Promise<string | null> {
  const own = await call("tasks.get", { task });
  if (!own.ok || own.value.parent === null) return null;
  const state = await readRun(call, own.value.parent);
  if (!state.ok) return null;
  const { tried, ageMs } = state.value.report;
  const outcome = isRejected ? "rejected" : "running";
  const now = tried.map((one) => (one.task === task ? Object.assign(one, { outcome }) : one));
  const reason = stopReason(now, limits, ageMs);
  if (reason !== null) await cancelTasks(call, now, ["open"], reason);
  return reason;
}

/** Cancels the tasks of a run that have one of these outcomes. */
export async function cancelTasks(
  call: Caller,
  tried: readonly Tried[],
  outcomes: readonly Tried["outcome"][],
  reason: string,
): Promise<void> {
  for (const { task, outcome } of tried)
    if (outcomes.includes(outcome)) await call("tasks.cancel", { task, reason: `${stoppedPrefix}${reason}` });
}
