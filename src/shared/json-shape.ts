import type { Refusal } from "../contract/errors.ts";

/** Limit of nesting: recursion over JSON must not overflow the stack. */
const maxDepth = 100;

/** Refuses JSON that later code would fail on or silently lose. */
export function checkJsonShape(value: unknown, depthLeft = maxDepth): Refusal | null {
  if (typeof value !== "object" || value === null) return null;
  if (depthLeft === 0) return { code: "bad_input", message: `JSON is nested at most ${maxDepth} deep` };
  if (Object.hasOwn(value, "__proto__")) return { code: "bad_input", message: "no field may have the name __proto__" };
  return Array.isArray(value) ? checkItems(value, depthLeft - 1) : checkFields(value, depthLeft - 1);
}

function checkItems(items: readonly unknown[], depthLeft: number): Refusal | null {
  for (const item of items) {
    const problem = checkJsonShape(item, depthLeft);
    if (problem) return problem;
  }
  return null;
}

/** `Object.values` would cost twice as much. */
function checkFields(fields: object, depthLeft: number): Refusal | null {
  for (const name in fields) {
    const problem = checkJsonShape((fields as Record<string, unknown>)[name], depthLeft);
    if (problem) return problem;
  }
  return null;
}
