/** What the team of the demo works on: a small project with three faults, and the six tasks that mend and test it. Pure texts. */

export type Edit = { readonly file: string; readonly from: string; readonly to: string };

/** The project as it is committed; all of its tests fail. */
export const files: Readonly<Record<string, string>> = {
  "backend/price.mjs": `export function total(prices) {
  return prices.reduce((sum, price) => sum + price, 0);
}
`,
  "backend/cart.mjs": `import { total } from "./price.mjs";

export function sum(cart) {
  return total(cart.map(({ price, count }) => price * count));
}
`,
  "backend/backend.test.mjs": `import assert from "node:assert/strict";
import { test } from "node:test";
import { sum } from "./cart.mjs";
import { total } from "./price.mjs";

test("prices are added in whole cents", () => {
  assert.equal(total([0.1, 0.2]), 0.3);
});

test("a cart counts in whole cents", () => {
  assert.equal(sum([{ price: 1.1, count: 3 }]), 3.3);
  assert.equal(sum([{ price: 0.1 }, { price: 0.2 }]), 0.3);
});
`,
  "frontend/money.mjs": `export const money = (amount) => "EUR " + amount;
`,
  "frontend/label.mjs": `export const label = ({ name, price }) => name + ": " + price;
`,
  "frontend/receipt.mjs": `import { money } from "./money.mjs";

export function receipt(lines, sum) {
  const shown = lines.map(({ name, price }) => name + " " + price);
  return [...shown, "sum " + sum].join("\\n");
}
`,
  "frontend/frontend.test.mjs": `import assert from "node:assert/strict";
import { test } from "node:test";
import { label } from "./label.mjs";
import { money } from "./money.mjs";
import { receipt } from "./receipt.mjs";

test("money has two decimals", () => {
  assert.equal(money(2.5), "EUR 2.50");
});

test("a label shows money", () => {
  assert.equal(label({ name: "tea", price: 2.5 }), "tea: EUR 2.50");
});

test("a receipt shows money in each line and in the sum", () => {
  assert.equal(receipt([{ name: "tea", price: 2.5 }], 2.5), "tea EUR 2.50\\nsum EUR 2.50");
});
`,
  "stock/names.mjs": `export const names = (goods) => goods.map(({ name }) => name.trim).sort();
`,
  "stock/cheapest.mjs": `export const cheapest = (goods) => goods.sort((a, b) => a.price - b.price)[0];
`,
  "stock/stock.test.mjs": `import assert from "node:assert/strict";
import { test } from "node:test";
import { cheapest } from "./cheapest.mjs";
import { names } from "./names.mjs";

const goods = () => [{ name: " tea ", price: 2 }, { name: "ink", price: 1 }];

test("names come trimmed and in order", () => {
  assert.deepEqual(names(goods()), ["ink", "tea"]);
});

test("to look for the cheapest leaves the list as it was", () => {
  const list = goods();
  assert.equal(cheapest(list).name, "ink");
  assert.deepEqual(list, goods());
});
`,
};

const backend: readonly Edit[] = [
  {
    file: "backend/price.mjs",
    from: "prices.reduce((sum, price) => sum + price, 0)",
    to: "prices.reduce((sum, price) => sum + Math.round(price * 100), 0) / 100",
  },
  { file: "backend/cart.mjs", from: "({ price, count })", to: "({ price, count = 1 })" },
];

const frontend: readonly Edit[] = [
  { file: "frontend/money.mjs", from: '"EUR " + amount', to: '"EUR " + amount.toFixed(2)' },
  {
    file: "frontend/label.mjs",
    from: 'export const label = ({ name, price }) => name + ": " + price;',
    to: 'import { money } from "./money.mjs";\n\nexport const label = ({ name, price }) => name + ": " + money(price);',
  },
  { file: "frontend/receipt.mjs", from: 'name + " " + price', to: 'name + " " + money(price)' },
  { file: "frontend/receipt.mjs", from: '"sum " + sum', to: '"sum " + money(sum)' },
];

const stock: readonly Edit[] = [
  { file: "stock/names.mjs", from: "name.trim)", to: "name.trim())" },
  { file: "stock/cheapest.mjs", from: "goods.sort(", to: "goods.toSorted(" },
];

/** After these edits the frontend's task waits for the demo: in the first pause its worker is killed, in the second one the runtime. */
export const pauses = { worker: 2, runtime: 3 } as const;

export const refactors = {
  backend: { edits: backend, pauses: [] },
  frontend: { edits: frontend, pauses: [pauses.worker, pauses.runtime] },
  stock: { edits: stock, pauses: [] },
} as const;
export type Area = keyof typeof refactors;
export const areas = Object.keys(refactors) as Area[];
