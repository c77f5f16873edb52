import type { Json } from "../../contract/json.ts";
import { aggregate, type PartResult } from "./aggregate.ts";
import { readResult } from "./attempt-rows.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

export type JoinOutcome = { readonly result: string } | { readonly failure: string };

/** Limit of one join; more could not be a task's result. */
const maxBytes = 1_000_000;

/** [TA26] Joins in order of dependencies; [PL10] names dead ones with their reason. */
export function joinResults(tx: Tx, row: TaskRow): JoinOutcome {
  if (row.joinRule === null) throw new Error(`task ${row.task} has no rule for a join`);
  const parts = rows.dependenciesOf(tx, row.task).flatMap((task) => rows.find(tx, task) ?? []);
  const results: PartResult[] = [];
  const budget = { bytes: maxBytes };
  const nameOf = partNamer(parts);
  for (const part of parts) {
    const one = resultOfPart(tx, part, nameOf(part), row.joinRule === "count" ? null : budget);
    if (one === null)
      return { failure: `too_large: the results of its parts have more than ${maxBytes} bytes in total` };
    results.push(one);
  }
  const answer = aggregate(row.joinRule, results);
  return answer.ok
    ? { result: JSON.stringify(answer.value) }
    : { failure: `${answer.error.code}: ${answer.error.message}` };
}

/** Names a part by its ref or, where that is missing or ambiguous, its number. */
function partNamer(parts: readonly TaskRow[]): (part: TaskRow) => string {
  const refs = Map.groupBy(parts, ({ ref }) => ref);
  const numbers = new Set(parts.map(({ task }) => String(task)));
  const isUnambiguous = (ref: string): boolean => refs.get(ref)?.length === 1 && !numbers.has(ref);
  return ({ task, ref }) => (ref !== null && isUnambiguous(ref) ? ref : String(task));
}

function resultOfPart(tx: Tx, row: TaskRow, part: string, budget: { bytes: number } | null): PartResult | null {
  if (row.state !== "done") return toMissingPart(row, part);
  if (budget === null) return { part, state: "done", result: null };
  const { text, isLeftOut, bytes } = readResult(tx, row, budget.bytes);
  if (isLeftOut) return null;
  budget.bytes -= bytes;
  return { part, state: "done", result: JSON.parse(text ?? "null") as Json };
}

function toMissingPart({ state, detail, reason }: TaskRow, part: string): PartResult {
  return { part, state: state === "cancelled" ? "cancelled" : "dead", reason: detail ?? reason ?? state };
}
