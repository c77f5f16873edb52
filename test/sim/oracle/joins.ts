import type { Json } from "#src/contract/json.ts";
import type { KnownTask } from "./task-known.ts";
import type { Act } from "./task-moves.ts";

/** [TA26] What must come of a join by rule, as JSON, written down a second time; without the words of what is missing. The simulation merges nothing. */
export function resultOfJoin({ needs, input }: KnownTask, get: Act["get"]): string {
  const parts = needs.flatMap((need) => get(need) ?? []);
  const done = parts.filter(({ state }) => state === "done");
  const missing = parts
    .filter((part) => part.state !== "done")
    .map((part) => ({ part: nameOf(part, parts), state: part.state === "cancelled" ? "cancelled" : "dead" }));
  const collected = done.map((part) => ({
    part: nameOf(part, parts),
    result: JSON.parse(part.result ?? "null") as Json,
  }));
  const value = input.joinRule === "count" ? countsOf(parts) : collected;
  return JSON.stringify({ value, conflicts: [], isComplete: missing.length === 0, missing });
}

function countsOf(parts: readonly KnownTask[]): Record<string, number> {
  const count = (state: KnownTask["state"]): number => parts.filter((part) => part.state === state).length;
  const [done, cancelled] = [count("done"), count("cancelled")];
  return { parts: parts.length, done, dead: parts.length - done - cancelled, cancelled };
}

/** Its ref; where two have the same, or it has none, its number. */
function nameOf({ input: { ref }, task }: KnownTask, parts: readonly KnownTask[]): string {
  const isOnly = ref !== undefined && parts.filter((other) => other.input.ref === ref).length === 1;
  return isOnly ? ref : String(task);
}

/** A result as JSON without the words of what is missing in it. */
export function wordless(result: unknown): string {
  return JSON.stringify(result, (name, value: unknown) => (name === "reason" ? undefined : value));
}
