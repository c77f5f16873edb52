import type { NewTask, TaskState } from "../../contract/tasks.ts";
import { dependencyDeath, pruneTimeOf, dependencyState } from "./task-states.ts";
import type { Tx } from "../kernel/tx.ts";

export interface TaskInsert {
  readonly task: number;
  readonly input: NewTask;
  readonly depth: number;
  readonly parent: number | null;
  readonly dependsOn: readonly number[];
}

/** [TA7] Types and labels have no control characters, so partition keys are unique. */
export function laneOf({ type, capabilities }: Pick<NewTask, "type" | "capabilities">): string {
  return [type, ...new Set(capabilities.toSorted())].join("\n");
}

export function insert(tx: Tx, newTask: TaskInsert): TaskState {
  const { task, dependsOn, input } = newTask;
  const initial = initialStateOf(tx, newTask);
  insertRow(tx, newTask, initial);
  tx.sql.run(
    "INSERT INTO task_texts (task, payload, depends_on) VALUES (?, ?, ?)",
    task,
    JSON.stringify(input.payload),
    JSON.stringify(dependsOn),
  );
  for (const needs of dependsOn) tx.sql.run("INSERT INTO task_dependents (needs, task) VALUES (?, ?)", needs, task);
  return initial.state;
}

interface InitialState {
  readonly state: TaskState;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly endedAt: number | null;
  readonly dueAt: number | null;
}

function initialStateOf(tx: Tx, { input, dependsOn }: TaskInsert): InitialState {
  const defaults = { reason: null, detail: null, endedAt: null };
  const dependencies = dependencyState(tx, dependsOn, input.onDependencyDeath);
  if (dependencies.state === "doomed") {
    const { state, reason = null, detail = null } = dependencyDeath(dependencies.by);
    return { state, reason, detail, endedAt: tx.now, dueAt: pruneTimeOf(tx, state) };
  }
  // [TA26] A join continues when all tasks of the submit are stored.
  if (dependencies.state === "blocked" || input.joinRule !== undefined)
    return { ...defaults, state: "blocked", dueAt: null };
  if (input.delayMs > 0) return { ...defaults, state: "scheduled", dueAt: tx.now + input.delayMs };
  const { scheduleToStartMs } = input;
  return { ...defaults, state: "queued", dueAt: scheduleToStartMs === undefined ? null : tx.now + scheduleToStartMs };
}

function insertRow(
  { sql, now: dependencies }: Tx,
  { task, input, depth, parent }: TaskInsert,
  initial: InitialState,
): void {
  sql.run(
    `INSERT INTO tasks (task, type, lane, priority, state, reason, detail, parent, depth, affinity, tags, on_death, max_attempts,
       base_ms, cap_ms, has_jitter, queue_ms, close_ms, heartbeat_ms, at, not_before, queued_at, ended_at, due_at, ref, join_rule, budget)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    task,
    input.type,
    laneOf(input),
    input.priority,
    initial.state,
    initial.reason,
    initial.detail,
    parent,
    depth,
    input.affinity ?? null,
    JSON.stringify(input.tags),
    input.onDependencyDeath,
    input.maxAttempts,
    input.backoff.baseMs,
    input.backoff.capMs,
    input.backoff.hasJitter ? 1 : 0,
    input.scheduleToStartMs ?? null,
    input.startToCloseMs,
    input.heartbeatMs,
    dependencies,
    dependencies + input.delayMs,
    initial.state === "queued" ? dependencies : null,
    initial.endedAt,
    initial.dueAt,
    input.ref ?? null,
    input.joinRule ?? null,
    input.budget === undefined ? null : JSON.stringify(input.budget),
  );
}
