import * as z from "zod";
import type { Usage } from "../contract/budgets.ts";
import type { CallInput, OutputOf } from "../contract/operations.ts";
import type { TaskState } from "../contract/tasks.ts";
import { WorkResult } from "../contract/work-result.ts";
import { ok, type Result } from "../shared/result.ts";
import { Candidate, EvolveTask, type RunLimits } from "./candidate.ts";
import { Coverage, TestCounts } from "./measured.ts";
import { partOf } from "./rank.ts";

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

/** [EV213] Part of a change of which another part was kept. */
const LeftPart = z.object({
  candidate: Candidate,
  why: z.string(),
  /** False: the run, or the attempts for this change, were over before. */
  isTried: z.boolean(),
});
export type LeftPart = z.infer<typeof LeftPart>;

/** [EV12] Result of a change that was kept. */
export const Verdict = z.object({
  candidate: z.string(),
  removed: z.int(),
  before: z.object({ findings: z.int(), tests: TestCounts.nullable(), coverage: Coverage.nullable() }),
  after: z.object({ findings: z.int(), tests: TestCounts.nullable(), coverage: Coverage.nullable() }),
  api: z.enum(["unchanged", "changed", "not compared"]),
  /** Mutants of the task's files that no test noticed, and how many the new tests notice. */
  mutants: z.object({ survived: z.int(), killed: z.int() }).nullable().default(null),
  /** Parts that were not kept. */
  left: z.array(LeftPart).readonly().default([]),
  /** Patch of the test files. */
  testDiff: z.string(),
  notes: z.array(z.string()),
});
export type Verdict = z.infer<typeof Verdict>;

const ChangeResult = WorkResult.extend({ output: Verdict });

export interface Change {
  readonly task: number;
  readonly state: TaskState;
  /** Without what was left of it once it is done. */
  readonly candidate: Candidate;
  /** Null until it is done. */
  readonly result: z.infer<typeof ChangeResult> | null;
  readonly dependsOn: readonly number[];
  /** Why it is dead or cancelled. */
  readonly detail: string | null;
  readonly used: Usage;
}

export interface RunState {
  readonly job: number;
  readonly ageMs: number;
  readonly state: TaskState;
  readonly facts: RunFacts | null;
  readonly limits: RunLimits | null;
  /** In the order of their tasks. */
  readonly changes: readonly Change[];
}

type Failure = { readonly code: string; readonly message: string };

/** The calls of a coordinator that a run needs. */
export type Caller<E extends Failure = Failure> = <
  Name extends "tasks.get" | "tasks.list" | "tasks.submit" | "tasks.cancel",
>(
  name: Name,
  input: CallInput<Name>,
) => Promise<Result<OutputOf<Name>, E>>;

const maxTasks = 200;

export async function readRun<E extends Failure>(call: Caller<E>, job: number): Promise<Result<RunState, E>> {
  const root = await call("tasks.get", { task: job });
  if (!root.ok) return root;
  const parts = await readChanges(call, job);
  if (!parts.ok) return parts;
  const changes = parts.value.map(({ change }) => change);
  const { payload, ageMs, state } = root.value;
  const facts = z.object({ facts: RunFacts }).safeParse(payload).data?.facts ?? null;
  return ok({ job, ageMs, state, facts, limits: parts.value[0]?.limits ?? null, changes });
}

async function readChanges<E extends Failure>(call: Caller<E>, job: number): Promise<Result<ParsedChange[], E>> {
  const listed = await call("tasks.list", { parent: job, limit: maxTasks });
  if (!listed.ok) return listed;
  const parts: ParsedChange[] = [];
  for (const { task } of listed.value.tasks) {
    const found = await call("tasks.get", { task });
    if (!found.ok) return found;
    const part = parseChange(found.value);
    if (part) parts.push(part);
  }
  return ok(parts);
}

interface ParsedChange {
  readonly change: Change;
  readonly limits: RunLimits;
}

/** @returns null for a task that is no change */
export function parseChange(task: OutputOf<"tasks.get">): ParsedChange | null {
  const payload = EvolveTask.safeParse(task.payload).data;
  if (payload?.evolve !== "change") return null;
  return { change: toChange(task, payload.candidate), limits: payload.limits };
}

function toChange(task: OutputOf<"tasks.get">, candidate: Candidate): Change {
  const { state, result, detail, used, dependsOn } = task;
  const done = state === "done" ? (ChangeResult.safeParse(result).data ?? null) : null;
  return { task: task.task, state, candidate: keptOf(candidate, done), result: done, dependsOn, detail, used };
}

function keptOf(candidate: Candidate, done: Change["result"]): Candidate {
  const left = done?.output.left.flatMap((part) => part.candidate.findings) ?? [];
  if (left.length === 0) return candidate;
  const isLeft = new Set(left.map(({ fingerprint }) => fingerprint));
  const kept = candidate.findings.filter(({ fingerprint }) => !isLeft.has(fingerprint));
  return partOf(candidate, kept, candidate.cascade);
}

/** Begins the reason of a change that the judge did not keep. */
export const rejectedPrefix = "rejected: ";
export const stoppedPrefix = "stopped: ";

const openStates: ReadonlySet<TaskState> = new Set(["blocked", "scheduled", "queued", "assigned", "running"]);

export function isOpen({ state }: Pick<Change, "state">): boolean {
  return openStates.has(state);
}

export function isRejected({ state, detail }: Pick<Change, "state" | "detail">): boolean {
  return state === "dead" && detail?.startsWith(rejectedPrefix) === true;
}

/** [EV8] Pure. Says why a run ends before all of its tasks are done; null: it continues. */
export function stopReason(
  changes: readonly Pick<Change, "task" | "state" | "detail" | "used">[],
  limits: RunLimits,
  ageMs: number,
): string | null {
  if (ageMs >= limits.timeMs) return `its time of ${limits.timeMs / 1_000} s is over`;
  const tokens = changes.reduce((sum, { used }) => sum + used.tokens, 0);
  if (limits.tokens !== null && tokens >= limits.tokens) return `its budget of ${limits.tokens} tokens is used up`;
  const cost = changes.reduce((sum, { used }) => sum + used.costMicros, 0);
  if (limits.costMicros !== null && cost >= limits.costMicros)
    return `its budget of ${(limits.costMicros / 1_000_000).toFixed(2)} dollars is used up`;
  const judged = changes.filter((one) => one.state === "done" || isRejected(one)).toSorted((a, b) => b.task - a.task);
  const last = judged.slice(0, limits.maxRejected);
  const isHopeless = last.length === limits.maxRejected && last.every(isRejected);
  return isHopeless ? `${limits.maxRejected} changes in a row were rejected` : null;
}

/**
 * [EV8] Cancels the open tasks of a run that is over.
 *
 * @param task one of them, which is not cancelled
 * @param rejection how it ends, which the coordinator does not know yet
 * @returns why the run is over; null: it continues
 */
export async function stopRun(
  call: Caller,
  task: number,
  limits: RunLimits,
  rejection: string | null,
): Promise<string | null> {
  const own = await call("tasks.get", { task });
  if (!own.ok || own.value.parent === null) return null;
  const state = await readRun(call, own.value.parent);
  if (!state.ok) return null;
  const changes = state.value.changes.map((one) =>
    one.task === task && rejection !== null ? { ...one, state: "dead" as const, detail: rejection } : one,
  );
  const reason = stopReason(changes, limits, state.value.ageMs);
  if (reason !== null) await cancelOpen(call, state.value, reason, task);
  return reason;
}

/** Cancels what has not begun. */
export async function cancelOpen(call: Caller, { changes }: RunState, reason: string, except = 0): Promise<void> {
  for (const change of changes)
    if (isOpen(change) && change.state !== "running" && change.task !== except)
      await call("tasks.cancel", { task: change.task, reason: `${stoppedPrefix}${reason}` });
}
