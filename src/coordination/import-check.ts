import { Budget, Usage } from "../contract/budgets.ts";
import { Health } from "../contract/chats.ts";
import { attemptEnds, chatStatuses, deathReasons } from "../contract/task-words.ts";
import { AggregateRule, TaskState } from "../contract/tasks.ts";
import { Settings } from "../contract/workspaces.ts";
import { isRecord } from "../shared/json-fields.ts";
import type { SqlValue } from "../shared/sql.ts";
import type { Table } from "../shared/table.ts";
import { numbersPerEpoch } from "./kernel/tx.ts";
import { raisedEpoch } from "./kernel/meta.ts";

/** Rows of an import are no worse than those that operations store: no row makes reads fail. */

type Check = (text: string) => boolean;
type Schema = { readonly safeParse: (value: unknown) => { readonly success: boolean } };

function json(isValid: (value: unknown) => boolean = () => true): Check {
  return (text) => {
    try {
      return isValid(JSON.parse(text));
    } catch {
      return false;
    }
  };
}

const listOf = (type: "string" | "number"): Check =>
  json((value) => Array.isArray(value) && value.every((one) => typeof one === type));
const of = (schema: Schema): Check => json((value) => schema.safeParse(value).success);
const word =
  (schema: Schema): Check =>
  (text) =>
    schema.safeParse(text).success;
const among =
  (words: readonly string[]): Check =>
  (text) =>
    words.includes(text);
const state = word(TaskState);
const ended = among([...attemptEnds, "done"]);

/** By column, or by table and column where another table has one of the same name. */
const checks: Readonly<Record<string, Check>> = {
  "chats.status": among(chatStatuses),
  "chats.role": among(["supervisor", "worker"]),
  "chats.health": of(Health),
  "chats.metadata": json(isRecord),
  capabilities: listOf("string"),
  taskTypes: listOf("string"),
  "changes.op": among(["set", "delete", "expire"]),
  value: json(),
  "audit.detail": json(isRecord),
  "messages.body": json(),
  ahead: listOf("number"),
  tags: listOf("string"),
  dependsOn: listOf("number"),
  payload: json(),
  result: json(),
  checkpoint: json(),
  "tasks.progress": json(isRecord),
  "tasks.state": state,
  "tasks.reason": among(deathReasons),
  "tasks.onDeath": among(["fail", "ignore"]),
  joinRule: word(AggregateRule),
  budget: of(Budget.partial()),
  route: json(isRecord),
  "attempts.progress": json(isRecord),
  became: state,
  ended,
  earlier: of(Usage),
  own: of(Usage),
  "sync_contents.kind": among(["files", "part"]),
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
    if (!isWhole || check?.(String(value)) === false) return `its ${column} is none that a workspace has stored`;
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
      ? of(Settings.partial())(text)
      : isEpoch
        ? isCount && Number(text) <= raisedEpoch(now) + maxAheadEpochs
        : isCount || json(isRecord)(text);
  return isValid ? null : `its ${key} is none that a workspace has stored`;
}
