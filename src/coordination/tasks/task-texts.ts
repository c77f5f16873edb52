import { jsonText, type Json } from "../../contract/json.ts";
import type { Tx } from "../kernel/tx.ts";
import { tasks, taskTexts } from "./task-tables.ts";

/** In UTF-16 code units. Each change of a row writes all of it. */
const maxInRowLength = 1_000;

const payloadSql = "coalesce(payload, (SELECT payload FROM task_texts WHERE task_texts.task = tasks.task)) AS payload";

export const textsSql = `${payloadSql}, dependsOn`;

export function isInRow(payload: string): boolean {
  return payload.length <= maxInRowLength;
}

/** @param payloads of tasks with consecutive numbers */
export function insertLongPayloads({ sql }: Pick<Tx, "sql">, firstTask: number, payloads: readonly string[]): void {
  const query = "INSERT INTO task_texts (task, payload) SELECT ? + key, value FROM json_each(?)";
  sql.run(query, firstTask, JSON.stringify(payloads));
}

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

export function updatePayload({ sql }: Pick<Tx, "sql">, task: number, payload: Json): void {
  const text = jsonText(payload);
  const inRow = isInRow(text) ? text : null;
  tasks.update(sql, { task }, { payload: inRow });
  if (inRow === null) taskTexts.put(sql, { task, payload: text });
}
