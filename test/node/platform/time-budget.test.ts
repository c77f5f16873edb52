import { expect, it } from "vitest";
import { OverBudgetError, interpret, repeatPartsWithinBudget, withinBudget } from "#src/platform/time-budget.ts";

/** Doubles its time with each character. */
const exponential = new RegExp("^(?:a+)+$");
const endless = `${"a".repeat(60)}!`;

it("work over its budget is ended, also in the middle of a regular expression @night", () => {
  expect(() => withinBudget(() => exponential.test(endless), 50)).toThrow(OverBudgetError);
  expect(interpret(() => exponential.test(endless))).toBeNull();
});

it("other work gives its result or its error, also one budget within another @night", () => {
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

it("work in parts that a busy machine has interrupted begins again, and keeps nothing of the first attempt", async () => {
  let attempts = 0;
  const read = await repeatPartsWithinBudget(async (bound) => {
    attempts += 1;
    const rows: number[] = [];
    for (const row of [1, 2, 3]) {
      if (attempts === 1 && row === 3) throw new OverBudgetError(0);
      bound(() => rows.push(row));
    }
    return rows;
  });
  expect({ read, attempts }).toEqual({ read: [1, 2, 3], attempts: 2 });
  const spent = new OverBudgetError(1_000);
  await expect(repeatPartsWithinBudget(() => Promise.reject(spent))).rejects.toBe(spent);
});
