import * as z from "zod";
import { Budget, Usage } from "../contract/budgets.ts";
import { Health } from "../contract/chats.ts";
import { attemptEnds, chatStatuses, deathReasons } from "../contract/task-words.ts";
import { AggregateRule, TaskState } from "../contract/tasks.ts";
import { Settings } from "../contract/workspaces.ts";
import { isRecord, parseJson } from "../shared/json-fields.ts";
import type { SqlValue } from "../shared/sql.ts";
import type { Table } from "../shared/table.ts";
import { numbersPerEpoch } from "./kernel/tx.ts";
import { raisedEpoch } from "./kernel/meta.ts";

/** Rows of an import are no worse than those that operations store: no row makes reads fail. */

const json = (schema: z.ZodType): z.ZodType => z.string().transform(parseJson).pipe(schema);
const anyJson = json(z.custom((value) => value !== undefined));
const record = json(z.custom(isRecord));
const texts = json(z.array(z.string()));
const numbers = json(z.array(z.number()));
const ended = z.enum([...attemptEnds, "done"]);

/** By column, or by table and column where another table has one of the same name. */
const checks: Readonly<Record<string, z.ZodType>> = {
  "chats.status": z.enum(chatStatuses),
  "chats.role": z.enum(["supervisor", "worker"]),
  "chats.health": json(Health),
  "chats.metadata": record,
  capabilities: texts,
  taskTypes: texts,
  "changes.op": z.enum(["set", "delete", "expire"]),
  value: anyJson,
  "audit.detail": record,
  "messages.body": anyJson,
  ahead: numbers,
  tags: texts,
  dependsOn: numbers,
  payload: anyJson,
  result: anyJson,
  checkpoint: anyJson,
  "tasks.progress": record,
  "tasks.state": TaskState,
  "tasks.reason": z.enum(deathReasons),
  "tasks.onDeath": z.enum(["fail", "ignore"]),
  joinRule: AggregateRule,
  budget: json(Budget.partial()),
  route: record,
  "attempts.progress": record,
  became: TaskState,
  ended,
  earlier: json(Usage),
  own: json(Usage),
  "sync_contents.kind": z.enum(["files", "part"]),
};

const maxAheadEpochs = 2_880;
/** A row of the edge has at most 2 MB. */
const maxTextChars = 1_900_000;

/** The largest number that may be stored: of an epoch of tomorrow, or twice the present time. */
function largest(now: number): number {
  return Math.max(2 * now, numbersPerEpoch * (raisedEpoch(now) + maxAheadEpochs));
}

/** @returns what is wrong with the row, or null */
export function findProblem(
  table: Pick<Table<never>, "name" | "declared">,
  columns: readonly string[],
  row: readonly SqlValue[],
  now: number,
): string | null {
  if (row.length !== columns.length) return `it has ${row.length} values for ${columns.length} columns`;
  if (table.name === "meta") return findWrongMeta(row[columns.indexOf("key")], row[columns.indexOf("value")], now);
  for (const [at, column] of columns.entries()) {
    const value = row[at] ?? null;
    const { type, isNullable } =
      (table.declared as Readonly<Record<string, { parts: ColumnParts }>>)[column]?.parts ?? {};
    const isWhole = value === null ? isNullable === true : isOf(type, value, now);
    const check = typeof value === "string" ? (checks[`${table.name}.${column}`] ?? checks[column]) : undefined;
    if (!isWhole || check?.safeParse(value).success === false)
      return `its ${column} is none that a workspace has stored`;
  }
  return null;
}

type ColumnParts = { readonly type: string; readonly isNullable?: boolean };

function isOf(type: string | undefined, value: SqlValue, now: number): boolean {
  if (type === "TEXT") return typeof value === "string" && value.length <= maxTextChars && value.isWellFormed();
  if (typeof value !== "number" || !(value >= 0 && value <= largest(now))) return false;
  return type === "REAL" || Number.isSafeInteger(value);
}

function findWrongMeta(key: unknown, value: unknown, now: number): string | null {
  if (typeof key !== "string" || !/^[\w:.-]{1,100}$/.test(key)) return "its key is none that a workspace has stored";
  const text = typeof value === "string" ? value : "";
  const isCount = /^\d{1,16}$/.test(text) && Number(text) <= largest(now);
  const isEpoch = key === "epoch" || key === "first_epoch";
  const isValid =
    key === "settings"
      ? json(Settings.partial()).safeParse(text).success
      : isEpoch
        ? isCount && Number(text) <= raisedEpoch(now) + maxAheadEpochs
        : isCount || record.safeParse(text).success;
  return isValid ? null : `its ${key} is none that a workspace has stored`;
}
