import { expect, it } from "vitest";
import { OverBudgetError, interpret, withinBudget } from "#src/platform/time-budget.ts";

/** Doubles its time with each character. */
const exponential = new RegExp("^(?:a+)+$");
const endless = `${"a".repeat(60)}!`;

it("[JO42] work over its budget is ended, also in the middle of a regular expression @night", () => {
  expect(() => withinBudget(() => exponential.test(endless), 50)).toThrow(OverBudgetError);
  expect(interpret(() => exponential.test(endless))).toBeNull();
});

it("[JO42] other work gives its result or its error, also one budget within another @night", () => {
  expect(withinBudget(() => withinBudget(() => 1) + withinBudget(() => 2))).toBe(3);
  const fault = new Error("own");
  expect(() =>
    interpret(() => {
      throw fault;
    }),
  ).toThrow(fault);
  const inner = withinBudget(() => interpret(() => exponential.test(endless)), 60_000);
  expect([inner, interpret(() => "after")]).toEqual([null, "after"]);
});
