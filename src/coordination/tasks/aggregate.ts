import type { Json } from "../../contract/json.ts";
import type { Tx } from "../kernel/tx.ts";
import { readResult } from "./attempt-rows.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";

export type JoinOutcome = { readonly result: string } | { readonly failure: string };

/** Limit of a result, as of any other task. */
const maxChars = 262_144;
/** Limit of what is read for one join; more could not be a task's result. */
const maxBytes = 1_000_000;

/** Joins in order of dependencies; names dead ones with their reason. */
export function joinResults(tx: Tx, row: TaskRow): JoinOutcome {
  const parts = rows.dependenciesOf(tx, row.task).flatMap((task) => rows.find(tx, task) ?? []);
  const nameOf = partNamer(parts);
  const done = parts.filter(({ state }) => state === "done");
  const missing = parts
    .filter(({ state }) => state !== "done")
    .map((part) => ({
      part: nameOf(part),
      state: part.state === "cancelled" ? "cancelled" : "dead",
      reason: part.detail ?? part.reason ?? part.state,
    }));
  const value = row.joinRule === "count" ? countByState(parts) : collect(tx, done, nameOf);
  if (value === null)
    return { failure: `too_large: the results of its parts have more than ${maxBytes} bytes in total` };
  const result = JSON.stringify({ value, isComplete: missing.length === 0, missing });
  if (result.length <= maxChars) return { result };
  return {
    failure: `too_large: the results of the parts have ${result.length} characters as JSON; at most ${maxChars}`,
  };
}

/** Names a part by its ref or, where that is missing or ambiguous, its number. */
function partNamer(parts: readonly TaskRow[]): (part: TaskRow) => string {
  const refs = Map.groupBy(parts, ({ ref }) => ref);
  const numbers = new Set(parts.map(({ task }) => String(task)));
  const isUnambiguous = (ref: string): boolean => refs.get(ref)?.length === 1 && !numbers.has(ref);
  return ({ task, ref }) => (ref !== null && isUnambiguous(ref) ? ref : String(task));
}

function countByState(parts: readonly TaskRow[]): Record<string, number> {
  const count = (state: TaskRow["state"]) => parts.filter((one) => one.state === state).length;
  const [done, cancelled] = [count("done"), count("cancelled")];
  return { parts: parts.length, done, dead: parts.length - done - cancelled, cancelled };
}

interface PartResult {
  readonly part: string;
  readonly result: Json;
}

/** @returns null where they have too many bytes */
function collect(tx: Tx, done: readonly TaskRow[], nameOf: (part: TaskRow) => string): PartResult[] | null {
  const results: PartResult[] = [];
  let bytesLeft = maxBytes;
  for (const part of done) {
    const { text, isLeftOut, bytes } = readResult(tx, part, bytesLeft);
    if (isLeftOut) return null;
    bytesLeft -= bytes;
    results.push({ part: nameOf(part), result: JSON.parse(text ?? "null") as Json });
  }
  return results;
}
