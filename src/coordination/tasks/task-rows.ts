import type { Failure } from "../../contract/errors.ts";
import type { Progress } from "../../contract/tasks.ts";
import { oneLine } from "../../shared/format.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Tx } from "../kernel/tx.ts";
import { tasks, taskTexts } from "./task-tables.ts";
import { among, type RowOf } from "../../shared/table.ts";
import { jsonText, type Json } from "../../contract/values.ts";

/** All but the texts, which may be large. */
const taskRows = tasks.without("doneBy", "doneIncarnation", "lateCalls", "dependsOn", "payload", "result");

export type TaskRow = RowOf<typeof taskRows>;
export const columns = taskRows.columns();

export function find({ sql }: Pick<Tx, "sql">, task: number): TaskRow | null {
  return taskRows.find(sql, { task });
}

/** By number; without those that are not kept. */
export function findAll({ sql }: Tx, all: readonly number[]): Map<number, TaskRow> {
  const { text, value } = among(all);
  const found = taskRows.select(sql, `WHERE task ${text}`, value);
  return new Map(found.map((row) => [row.task, row]));
}

export function requireTask(tx: Tx, task: number): Result<TaskRow> {
  const row = find(tx, task);
  return row ? ok(row) : err(unknownTask(task));
}

export function unknownTask(task: number): Failure {
  return { code: "unknown_task", message: `there is no task ${task}, or it is no longer kept` };
}

export function progressOf({ progress }: Pick<TaskRow, "progress">): Progress | null {
  return progress === null ? null : (JSON.parse(progress) as Progress);
}

export function isEnded({ state }: Pick<TaskRow, "state">): boolean {
  return state === "done" || state === "dead" || state === "cancelled";
}

export function partsOf({ sql }: Tx, parent: number, limit: number): TaskRow[] {
  return taskRows.select(sql, "WHERE parent = ? ORDER BY task LIMIT ?", parent, limit);
}

export function heldBy({ sql }: Tx, chat: string): TaskRow[] {
  return taskRows.select(sql, "WHERE chat = ? ORDER BY task", chat);
}

/** Heartbeats and extensions do not write `dueAt`; a check that failed puts it off. */
export const heldDueSql = "iif(state = 'running', max(tasks.dueAt, min(closeAt, seenAt + heartbeatMs)), tasks.dueAt)";

/** Due time of the first of the tasks that a chat holds, epoch ms; null: it holds none. */
export function firstDueOf({ sql }: Tx, chat: string): number | null {
  const query = `SELECT min(${heldDueSql}) AS at FROM tasks WHERE chat = ?`;
  return sql.all<{ at: number | null }>(query, chat)[0]?.at ?? null;
}

const dependencies = tasks.pick("dependsOn");

export function dependenciesOf({ sql }: Tx, task: number): number[] {
  const row = dependencies.find(sql, { task });
  return JSON.parse(row?.dependsOn ?? "[]") as number[];
}

/** Each once. */
export function dependentsOf({ sql }: Tx, needed: readonly number[]): number[] {
  const { text, value } = among(needed);
  const query = `SELECT DISTINCT task FROM task_dependents WHERE needs ${text} ORDER BY task`;
  return sql.all<{ task: number }>(query, value).map((row) => row.task);
}

export function countAncestors({ sql }: Tx, task: number): number | null {
  const [row] = sql.all<{ n: number | null }>(
    `WITH RECURSIVE above (task, n) AS (
       SELECT parent, 0 FROM tasks WHERE task = ?
       UNION ALL SELECT tasks.parent, n + 1 FROM above JOIN tasks ON tasks.task = above.task WHERE n < 200)
     SELECT max(n) AS n FROM above`,
    task,
  );
  return row?.n ?? null;
}

const isOpenSql = "other.state NOT IN ('done', 'dead', 'cancelled')";

export function isNeeded({ sql }: Tx, task: number): boolean {
  const children = `SELECT 1 FROM tasks AS other WHERE parent = ? AND ${isOpenSql}`;
  const dependents = `SELECT 1 FROM task_dependents JOIN tasks AS other USING (task) WHERE needs = ? AND ${isOpenSql}`;
  return sql.all(`${children} UNION ALL ${dependents} LIMIT 1`, task, task).length > 0;
}

export function nextCheckAt({
  closeAt,
  seenAt,
  heartbeatMs,
}: Pick<TaskRow, "closeAt" | "seenAt" | "heartbeatMs">): number {
  return Math.min(closeAt ?? 0, (seenAt ?? 0) + heartbeatMs);
}

/** A claim has ended at its last instant, whether or not a sweep has run. */
export function isExpired(
  { now }: Tx,
  row: Pick<TaskRow, "state" | "dueAt" | "closeAt" | "seenAt" | "heartbeatMs">,
): boolean {
  return (row.state === "running" ? nextCheckAt(row) : (row.dueAt ?? 0)) <= now;
}

export function remainingMs({ now }: Tx, row: Pick<TaskRow, "closeAt" | "closeMs">): number {
  return row.closeAt === null ? row.closeMs : Math.max(0, row.closeAt - now);
}

/** base * 2^(n - 1), at most the cap; jitter by task and attempt: half to all of it. */
export function backoffMs({ task, failures, baseMs, capMs, hasJitter }: TaskRow): number {
  const maxMs = Math.min(capMs, baseMs * 2 ** Math.max(0, failures - 1));
  return hasJitter === 1 ? Math.ceil((maxMs * (1 + pseudoRandom(task, failures))) / 2) : maxMs;
}

/** Pseudo-random number from 0 to 1: the finalizer of MurmurHash3. */
function pseudoRandom(task: number, attempt: number): number {
  let hash = (task ^ Math.imul(attempt, 0x9e3779b9)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Limit in UTF-16 code units. Each change of a row writes all of it. */
export const maxInRowLength = 1_000;

const payloadSql = "coalesce(payload, (SELECT payload FROM task_texts WHERE task_texts.task = tasks.task)) AS payload";

export const textsSql = `${payloadSql}, dependsOn`;

export interface TaskTexts {
  readonly task: number;
  readonly payload: string;
  readonly dependsOn: string;
}

export function readTexts({ sql }: Pick<Tx, "sql">, tasks: readonly number[]): Map<number, TaskTexts> {
  if (tasks.length === 0) return new Map();
  const found = sql.all<TaskTexts>(
    `SELECT task, ${textsSql} FROM tasks WHERE task IN (SELECT value FROM json_each(?))`,
    JSON.stringify(tasks),
  );
  return new Map(found.map((one) => [one.task, one]));
}

export function readPayload({ sql }: Pick<Tx, "sql">, task: number): Json {
  const [row] = sql.all<{ payload: string | null }>(`SELECT ${payloadSql} FROM tasks WHERE task = ?`, task);
  return JSON.parse(row?.payload ?? "null") as Json;
}

const maxAboutChars = 200;

/** Beginnings of the payloads that are not null: of a text its words, of anything else its JSON. */
export function aboutTasks({ sql }: Pick<Tx, "sql">, numbers: readonly number[]): ReadonlyMap<number, string> {
  const { text, value } = among(numbers);
  const found = sql.all<{ task: number; about: string }>(
    `SELECT task, substr(CASE json_type(payload) WHEN 'text' THEN json_extract(payload, '$') ELSE payload END, 1, ?) AS about
     FROM (SELECT task, ${payloadSql} FROM tasks WHERE task ${text})
     WHERE payload IS NOT NULL AND payload <> 'null'`,
    maxAboutChars + 1,
    value,
  );
  return new Map(found.map(({ task, about }) => [task, oneLine(about, maxAboutChars)]));
}

export function updatePayload({ sql }: Pick<Tx, "sql">, task: number, payload: Json): void {
  const text = jsonText(payload);
  const inRow = text.length <= maxInRowLength ? text : null;
  tasks.update(sql, { task }, { payload: inRow });
  if (inRow === null) taskTexts.put(sql, { task, payload: text });
}
