/** JSON is nested at most so deep: all that walks through it is a recursion, and a stack ends somewhere. */
const mostDeep = 100;

export function isTooDeep(value: unknown, left = mostDeep): boolean {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((part) => isTooDeep(part, left - 1));
}

export const tooDeep = { code: "bad_input", message: `JSON is nested at most ${mostDeep} deep` } as const;
