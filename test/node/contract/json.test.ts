import * as fc from "fast-check";
import { expect, it } from "vitest";
import * as z from "zod";
import { Json, jsonText, limitedJson } from "#src/contract/json.ts";

/** Whether zod passes over a field unread; such a value is refused before any schema sees it. */
function hasProtoField(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(hasProtoField);
}

it("a value is JSON where zod's own schema says so, and is passed on as it is", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.oneof(anything, fc.jsonValue()), (value) => {
      fc.pre(!hasProtoField(value));
      const parsed = Json.safeParse(value);
      expect(parsed.success).toBe(z.json().safeParse(value).success);
      if (parsed.success) expect(parsed.data).toBe(value);
    }),
    { numRuns: 2_000 },
  );
});

it("the text that a limit has measured is that of the value, also where the value was changed after an earlier check", () => {
  const limited = limitedJson(20);
  const value = { a: [1] };
  for (const next of [2, 3, 4]) {
    expect(limited.safeParse(value).success).toBe(true);
    expect(jsonText(value)).toBe(JSON.stringify(value));
    value.a.push(next);
  }
  value.a.push(5, 6, 7, 8, 9);
  expect(limited.safeParse(value).error?.issues[0]?.message).toBe("at most 20 characters as JSON");
});

it.each([() => 1, 1n, Symbol("x"), undefined, { a: 1n }, { a: undefined }, Number.NaN, new Date(0)])(
  "%s is refused before its text is measured",
  (value) => {
    expect(limitedJson(20).safeParse(value).error?.issues).toMatchObject([{ message: "not a JSON value" }]);
  },
);
