import type { Failure } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { DeathReason, NewTask, TaskState } from "../../contract/tasks.ts";
import { jsonText } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { NewRowOf } from "../../shared/table.ts";
import { repeatable, unchanged, type Handlers } from "../kernel/handlers.ts";
import { once } from "../kernel/idempotency.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";
import * as lanes from "./lanes.ts";
import * as lifecycle from "./lifecycle.ts";
import * as retention from "./task-retention.ts";
import * as rows from "./task-rows.ts";
import { taskDedupe, taskDependents, tasks, taskTexts } from "./task-tables.ts";

/** A second task under a key is the first one, even if that is no longer kept. */

export function findTaskByKey({ sql, now }: Tx, key: string): number | undefined {
  const [row] = sql.all<{ task: number; until: number; is_kept: number }>(
    "SELECT task, until, EXISTS (SELECT 1 FROM tasks WHERE tasks.task = task_dedupe.task) AS is_kept FROM task_dedupe WHERE key = ?",
    key,
  );
  return row && (row.until > now || row.is_kept === 1) ? row.task : undefined;
}

/** Answers whether new keys exceed the limit; expired ones make room. */
function tooManyKeys(tx: Tx, fresh: number): Failure | null {
  const { maxDedupeKeys: most } = tx.settings;
  if (fresh === 0 || count(tx) + fresh <= most) return null;
  pruneKeys(tx, prunedAtOnce);
  if (count(tx) + fresh <= most) return null;
  return {
    code: "quota_exceeded",
    message: `more than ${most} keys of tasks would be kept (maxDedupeKeys); a key is deleted when its task is no longer kept and keepDedupeMs have passed: submit without a dedupeKey, or later`,
  };
}

const prunedAtOnce = 2_000;

function count({ sql }: Tx): number {
  return Number(meta.read(sql, "dedupe_keys"));
}

export const keysDueAt = "SELECT min(until) FROM task_dedupe";

export function pruneKeys({ sql, now, settings }: Tx, limit: number): void {
  const expiredKeysSql = "SELECT key FROM task_dedupe WHERE until <= ? ORDER BY until LIMIT ?";
  sql.run(
    `UPDATE task_dedupe SET until = ? WHERE key IN (${expiredKeysSql}) AND task IN (SELECT task FROM tasks)`,
    now + settings.keepDedupeMs,
    now,
    limit,
  );
  sql.run(
    `DELETE FROM task_dedupe WHERE key IN (${expiredKeysSql}) AND task NOT IN (SELECT task FROM tasks)`,
    now,
    limit,
  );
}

type Submitted = OutputOf<"tasks.submit">;

export const handlers = {
  /** All or nothing; a repeat submits nothing. */
  "tasks.submit"(tx, input) {
    const { requestId, by, ...content } = input;
    const request = { operation: "tasks.submit", by, requestId, input: content };
    return once(tx, request, () => submitOnce(tx, input.tasks)).result;
  },

  /** A running task learns of it by its heartbeat; its result is still accepted. */
  "tasks.cancel": repeatable("tasks.cancel", (tx, { task, reason }) => {
    const found = rows.requireTask(tx, task);
    if (!found.ok) return found;
    const row = found.value;
    if (rows.isEnded(row) || row.cancelReason !== null) return unchanged({ state: row.state });
    if (row.chat !== null) tx.tell({ kind: "task", chat: row.chat });
    if (row.state === "running") {
      tx.sql.run("UPDATE tasks SET cancelReason = ? WHERE task = ?", reason, task);
      return ok({ state: "running" });
    }
    if (row.state === "assigned") {
      const state = lifecycle.requeue(tx, { ...row, cancelReason: reason }, { ended: "cancelled", reason });
      tx.requestDispatch();
      return ok({ state });
    }
    return ok({ state: lifecycle.finish(tx, row, { state: "cancelled", detail: reason }) });
  }),
} satisfies Partial<Handlers>;

export function submitOnce(tx: Tx, tasks: readonly NewTask[]): Result<Submitted> {
  const numbers = retention.readNumbers(tx);
  const refused = checkJoins(tasks) ?? retention.checkLimit(tx, numbers, tasks.length);
  if (refused) return err(refused);
  const planned = plan(tx, tasks, numbers.newest + 1);
  const names = readRefs(planned);
  if (!names.ok) return names;
  const fresh = planned.filter(({ isDuplicate }) => !isDuplicate);
  const needs = resolveEdges(fresh, names.value, {
    verb: "depends on",
    referencesOf: ({ dependsOn }) => dependsOn,
    depthOf: (task) => rows.find(tx, task)?.depth ?? null,
  });
  if (!needs.ok) return needs;
  const parents = resolveEdges(fresh, names.value, {
    verb: "has as parent",
    referencesOf: ({ parent }) => (parent === undefined ? [] : [parent]),
    depthOf: (task) => rows.countAncestors(tx, task),
  });
  if (!parents.ok) return parents;
  const keyed = fresh.filter(({ input }) => input.dedupeKey !== undefined);
  const limitProblem = checkDependents(tx, needs.value) ?? checkLanes(tx, fresh) ?? tooManyKeys(tx, keyed.length);
  return limitProblem ? err(limitProblem) : ok(insertAll(tx, planned, needs.value, parents.value));
}

function checkJoins(tasks: readonly NewTask[]): Failure | null {
  const joins = tasks.filter(({ joinRule }) => joinRule !== undefined);
  if (joins.some(({ delayMs, scheduleToStartMs }) => delayMs > 0 || scheduleToStartMs !== undefined)) {
    return badInput(
      "a task with a joinRule is done when its parts have ended: it takes no delayMs and no scheduleToStartMs",
    );
  }
  if (joins.every(({ dependsOn }) => dependsOn.length > 0)) return null;
  return badInput("a task with a joinRule depends on the tasks whose results it joins (dependsOn)");
}

function insertAll(tx: Tx, planned: readonly PlannedTask[], needs: Edges, parents: Edges): Submitted {
  const fresh = new Map(planned.filter(({ isDuplicate }) => !isDuplicate).map(({ task, input }) => [task, input]));
  const states = new Map<number, TaskState>();
  let pending: NewRow[] = [];
  let long: NewRowOf<typeof taskTexts>[] = [];
  const flush = (): void => {
    tasks.insertAll(tx.sql, pending);
    taskTexts.insertAll(tx.sql, long);
    pending = [];
    long = [];
  };
  for (const [task, depth] of needs.depths) {
    const input = fresh.get(task);
    if (input === undefined) continue;
    const [parent = null] = parents.of.get(task) ?? [];
    const dependsOn = needs.of.get(task) ?? [];
    // The state of a task depends on the stored states of those that it needs.
    if (dependsOn.length > 0) flush();
    const payload = jsonText(input.payload);
    const isShort = payload.length <= rows.maxInRowLength;
    const row = toRow(tx, { task, input, depth, parent, dependsOn }, isShort ? payload : null);
    pending.push(row);
    if (!isShort) long.push({ task, payload });
    states.set(task, row.state);
    if (row.endedAt !== null && row.dueAt !== null) retention.schedule(tx, row.dueAt);
    for (const other of dependsOn) taskDependents.insert(tx.sql, { needs: other, task });
    const until = tx.now + tx.settings.keepDedupeMs;
    if (input.dedupeKey !== undefined) taskDedupe.put(tx.sql, { key: input.dedupeKey, task, until });
  }
  flush();
  if ([...states.values()].includes("queued")) tx.requestDispatch();
  const joins = [...fresh].filter(([, { joinRule }]) => joinRule !== undefined).map(([task]) => task);
  lifecycle.updateDependents(tx, joins);
  // A join may have changed any.
  const known = joins.length > 0 ? new Map<number, TaskState>() : states;
  const stateOf = (task: number): TaskState | null => known.get(task) ?? rows.find(tx, task)?.state ?? null;
  return { tasks: planned.map(({ task, isDuplicate }) => ({ task, state: stateOf(task), isDuplicate })) };
}

function plan(tx: Tx, tasks: readonly NewTask[], firstNumber: number): PlannedTask[] {
  const planned: PlannedTask[] = [];
  const keys = new Map<string, number>();
  let next = firstNumber;
  for (const input of tasks) {
    const { dedupeKey: key } = input;
    const known = key === undefined ? undefined : (keys.get(key) ?? findTaskByKey(tx, key));
    const task = known ?? next;
    planned.push({ input, task, isDuplicate: known !== undefined });
    if (key !== undefined) keys.set(key, task);
    if (task === next) next += 1;
  }
  return planned;
}

function readRefs(planned: readonly PlannedTask[]): Result<Map<string, number>> {
  const names = new Map<string, number>();
  for (const { input, task } of planned) {
    if (input.ref === undefined) continue;
    if (names.has(input.ref)) return err(badInput(`two tasks have the ref ${input.ref}`));
    names.set(input.ref, task);
  }
  return ok(names);
}

const maxDependents = 1_000;

/** Limit of dependents, which all continue at once when a task ends. */
function checkDependents(tx: Tx, { of }: Edges): Failure | null {
  const added = new Map<number, number>();
  for (const other of [...of.values()].flat()) added.set(other, (added.get(other) ?? 0) + 1);
  for (const [task, count] of added) {
    if (taskDependents.count(tx.sql, { needs: task }) + count > maxDependents) {
      return { code: "quota_exceeded", message: `at most ${maxDependents} tasks depend on one (task ${task})` };
    }
  }
  return null;
}

/** A dispatch reads each partition key, so their number is limited. */
function checkLanes(tx: Tx, fresh: readonly PlannedTask[]): Failure | null {
  const newLanes = new Set(fresh.filter(({ input }) => input.joinRule === undefined).map(({ input }) => laneOf(input)));
  if (!lanes.exceedsLimit(tx, newLanes)) return null;
  return {
    code: "quota_exceeded",
    message: `more than ${tx.settings.maxLanes} lanes would have queued tasks (maxLanes): a lane is a type with its capabilities. Use fewer types, and put the differences into the payload`,
  };
}

interface TaskInsert {
  readonly task: number;
  readonly input: NewTask;
  readonly depth: number;
  readonly parent: number | null;
  readonly dependsOn: readonly number[];
}

/** Types and labels have no control characters, so partition keys are unique. */
function laneOf({ type, capabilities }: Pick<NewTask, "type" | "capabilities">): string {
  return capabilities.length === 0 ? type : [type, ...new Set(capabilities.toSorted())].join("\n");
}

type NewRow = NewRowOf<typeof tasks> & InitialState;

interface InitialState {
  readonly state: TaskState;
  readonly reason: DeathReason | null;
  readonly detail: string | null;
  readonly endedAt: number | null;
  readonly dueAt: number | null;
}

function initialStateOf(tx: Tx, { input, dependsOn }: TaskInsert): InitialState {
  const defaults = { reason: null, detail: null, endedAt: null };
  const dependencies = lifecycle.dependencyState(tx, dependsOn, input.onDependencyDeath);
  if (dependencies.state === "doomed") {
    const { state, reason = null, detail = null } = lifecycle.dependencyDeath(dependencies.by);
    return { state, reason, detail, endedAt: tx.now, dueAt: retention.pruneTimeOf(tx, state) };
  }
  // A join continues when all tasks of the submit are stored.
  if (dependencies.state === "blocked" || input.joinRule !== undefined)
    return { ...defaults, state: "blocked", dueAt: null };
  if (input.delayMs > 0) return { ...defaults, state: "scheduled", dueAt: tx.now + input.delayMs };
  const { scheduleToStartMs } = input;
  return { ...defaults, state: "queued", dueAt: scheduleToStartMs === undefined ? null : tx.now + scheduleToStartMs };
}

function toRow(tx: Tx, newTask: TaskInsert, payload: string | null): NewRow {
  const { task, input, depth, parent, dependsOn } = newTask;
  const { type, priority, maxAttempts, heartbeatMs, affinity, joinRule, ref, backoff } = input;
  const { baseMs, capMs } = backoff;
  const { state, reason, detail, endedAt, dueAt } = initialStateOf(tx, newTask);
  return {
    task,
    type,
    priority,
    state,
    reason,
    detail,
    parent,
    depth,
    maxAttempts,
    baseMs,
    capMs,
    heartbeatMs,
    endedAt,
    dueAt,
    ref,
    affinity,
    joinRule,
    lane: laneOf(input),
    tags: JSON.stringify(input.tags),
    onDeath: input.onDependencyDeath,
    hasJitter: backoff.hasJitter ? 1 : 0,
    queueMs: input.scheduleToStartMs,
    closeMs: input.startToCloseMs,
    at: tx.now,
    notBefore: tx.now + input.delayMs,
    queuedAt: state === "queued" ? tx.now : null,
    budget: input.budget && JSON.stringify(input.budget),
    dependsOn: JSON.stringify(dependsOn),
    payload,
  };
}

export interface PlannedTask {
  readonly input: NewTask;
  readonly task: number;
  readonly isDuplicate: boolean;
}

const maxChainLength = 100;

export interface Edges {
  readonly of: ReadonlyMap<number, readonly number[]>;
  readonly depths: ReadonlyMap<number, number>;
}

interface EdgeKind {
  readonly verb: string;
  readonly referencesOf: (input: NewTask) => readonly (number | string)[];
  readonly depthOf: (task: number) => number | null;
}

/** Edges lead to existing tasks or into the submit; no cycles, no chains above 100. */
function resolveEdges(
  fresh: readonly PlannedTask[],
  names: ReadonlyMap<string, number>,
  kind: EdgeKind,
): Result<Edges> {
  const own = new Set(fresh.map(({ task }) => task));
  const depths = new Map<number, number>();
  const of = new Map<number, readonly number[]>();
  for (const one of fresh) {
    const { input, task } = one;
    const others = new Set<number>();
    for (const reference of kind.referencesOf(input)) {
      const other = typeof reference === "string" ? names.get(reference) : reference;
      const isOwn = typeof reference === "string" && other !== undefined && own.has(other);
      const depth = other === undefined || isOwn ? null : (depths.get(other) ?? kind.depthOf(other));
      if (other === undefined || (!isOwn && depth === null))
        return err(unknownReference(`${formatTask(one)} ${kind.verb}`, reference));
      if (depth !== null) depths.set(other, depth);
      others.add(other);
    }
    of.set(task, [...others]);
  }
  return addDepths(fresh, of, depths, kind.verb);
}

/** Level by level: at most a hundred and one, as longer chains are refused. */
function addDepths(
  fresh: readonly PlannedTask[],
  of: ReadonlyMap<number, readonly number[]>,
  depths: Map<number, number>,
  verb: string,
): Result<Edges> {
  const othersOf = ({ task }: PlannedTask): readonly number[] => of.get(task) ?? [];
  for (let open = fresh; open.length > 0;) {
    const isFree = (one: PlannedTask): boolean => othersOf(one).every((other) => depths.has(other));
    const level = open.filter(isFree);
    if (level.length === 0) return err(badInput(`there is a cycle among ${open.map(formatTask).join(", ")}`));
    for (const one of level) {
      const depth = 1 + Math.max(-1, ...othersOf(one).map((other) => depths.get(other) ?? 0));
      if (depth > maxChainLength)
        return err(badInput(`${formatTask(one)} ${verb} a chain of more than ${maxChainLength} tasks`));
      depths.set(one.task, depth);
    }
    open = open.filter((one) => !depths.has(one.task));
  }
  return ok({ of, depths });
}

function unknownReference(who: string, reference: number | string): Failure {
  if (typeof reference === "string")
    return badInput(`${who} "${reference}", which is not the ref of a task that is kept`);
  return { ...rows.unknownTask(reference), message: `${who} task ${reference}, which is unknown, or no longer kept` };
}

function formatTask({ input: { ref, type }, task }: PlannedTask): string {
  return ref === undefined ? `task ${task} (${type})` : `"${ref}"`;
}

function badInput(message: string): Failure {
  return { code: "bad_input", message: `tasks.submit: ${message}` };
}
