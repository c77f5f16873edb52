import type { Refusal } from "../contract/errors.ts";

/** Limit of nesting: recursion over JSON must not overflow the stack. */
const maxDepth = 100;

/** Refuses JSON that later code would fail on or silently lose. */
export function checkJsonShape(value: unknown, depthLeft = maxDepth): Refusal | null {
  if (typeof value !== "object" || value === null) return null;
  if (depthLeft === 0) return { code: "bad_input", message: `JSON is nested at most ${maxDepth} deep` };
  if (Object.hasOwn(value, "__proto__")) return { code: "bad_input", message: "no field may have the name __proto__" };
  for (const part of Object.values(value)) {
    const problem = checkJsonShape(part, depthLeft - 1);
    if (problem) return problem;
  }
  return null;
}
