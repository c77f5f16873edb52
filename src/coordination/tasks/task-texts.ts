import { jsonText, type Json } from "../../contract/json.ts";
import type { Tx } from "../kernel/tx.ts";

/** Payloads and lists of dependencies are in the rows of tasks, long payloads apart. */

/** In UTF-16 code units. Each change of a row writes all of it. */
const maxInRowLength = 1_000;

/** Both are in `task_texts` also for a task that was submitted before migration 9. */
export function textSql(column: "payload" | "depends_on"): string {
  return `coalesce(${column}, (SELECT ${column} FROM task_texts WHERE task_texts.task = tasks.task)) AS ${column}`;
}

export const textsSql = `${textSql("payload")}, ${textSql("depends_on")}`;

export function isInRow(payload: string): boolean {
  return payload.length <= maxInRowLength;
}

/** @param payloads of tasks with consecutive numbers */
export function insertLongPayloads({ sql }: Pick<Tx, "sql">, firstTask: number, payloads: readonly string[]): void {
  const query = "INSERT INTO task_texts (task, payload, depends_on) SELECT ? + key, value, '[]' FROM json_each(?)";
  sql.run(query, firstTask, JSON.stringify(payloads));
}

export interface TaskTexts {
  readonly task: number;
  readonly payload: string;
  readonly depends_on: string;
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
  const [row] = sql.all<{ payload: string | null }>(`SELECT ${textSql("payload")} FROM tasks WHERE task = ?`, task);
  return JSON.parse(row?.payload ?? "null") as Json;
}

export function updatePayload({ sql }: Pick<Tx, "sql">, task: number, payload: Json): void {
  const text = jsonText(payload);
  const inRow = isInRow(text) ? text : null;
  sql.run("UPDATE tasks SET payload = ? WHERE task = ?", inRow, task);
  if (inRow !== null) return;
  sql.run(
    `INSERT INTO task_texts (task, payload, depends_on) VALUES (?, ?, '[]') ON CONFLICT (task) DO UPDATE SET payload = excluded.payload`,
    task,
    text,
  );
}
