/** The project of the story: a shop of small functions, before and after each task. Pure texts. */

/** One function in a file of its own, with a call of it and what that returns. */
interface Fn {
  readonly name: string;
  readonly params: string;
  readonly value: string;
  readonly call: string;
  readonly result: string;
}

function fn(name: string, params: string, value: string, call: string, result: string): Fn {
  return { name, params, value, call, result };
}

const backend = [
  fn("total", "prices: readonly number[]", "prices.reduce((sum, price) => sum + price, 0)", "[0.1, 0.2]", "0.3"),
  fn("line", "price: number, count: number", "price * count", "1.1, 3", "3.3"),
  fn("discount", "amount: number, percent: number", "amount * (1 - percent / 100)", "9.99, 10", "8.99"),
  fn("tax", "amount: number, percent: number", "amount * (percent / 100)", "9.99, 19", "1.9"),
  fn("shipping", "kilograms: number", "3.9 + kilograms * 0.55", "2", "5"),
  fn("deposit", "bottles: number", "bottles * 0.25", "6", "1.5"),
  fn("fee", "amount: number", "amount * 0.019 + 0.35", "20", "0.73"),
  fn("share", "amount: number, people: number", "amount / people", "10, 3", "3.33"),
  fn("rebate", "amount: number, orders: number", "amount * Math.min(orders, 10) * 0.005", "50, 4", "1"),
  fn("insurance", "value: number", "1.2 + value * 0.008", "99", "1.99"),
];

const frontend = [
  fn("label", "name: string, price: number", 'name + ": " + MONEY(price)', '"tea", 2.5', '"tea: EUR 2.50"'),
  fn("badge", "price: number", '"only " + MONEY(price)', "3", '"only EUR 3.00"'),
  fn("banner", "price: number", '"from " + MONEY(price) + " on"', "9.9", '"from EUR 9.90 on"'),
  fn("sum", "amount: number", '"sum " + MONEY(amount)', "1.2", '"sum EUR 1.20"'),
  fn("saved", "amount: number", '"you save " + MONEY(amount)', "0.5", '"you save EUR 0.50"'),
  fn("due", "amount: number", '"due: " + MONEY(amount)', "7", '"due: EUR 7.00"'),
  fn("refund", "amount: number", '"refund of " + MONEY(amount)', "4.25", '"refund of EUR 4.25"'),
  fn("was", "price: number", '"was " + MONEY(price)', "12", '"was EUR 12.00"'),
  fn("upTo", "price: number", '"up to " + MONEY(price)', "99.9", '"up to EUR 99.90"'),
  fn("each", "price: number", 'MONEY(price) + " each"', "0.99", '"EUR 0.99 each"'),
];

const goods = '[{ name: "tea", price: 2, left: 3 }, { name: "ink", price: 1, left: 0 }]';
const ofGoods = "goods: readonly Goods[]";
const stock = [
  fn("names", ofGoods, "goods.map(({ name }) => name).toSorted()", goods, '["ink", "tea"]'),
  fn("cheapest", ofGoods, "goods.toSorted((a, b) => a.price - b.price)[0]?.name", goods, '"ink"'),
  fn("dearest", ofGoods, "goods.toSorted((a, b) => b.price - a.price)[0]?.name", goods, '"tea"'),
  fn("missing", ofGoods, "goods.filter(({ left }) => left === 0).map(({ name }) => name)", goods, '["ink"]'),
  fn("pieces", ofGoods, "goods.reduce((sum, { left }) => sum + left, 0)", goods, "3"),
  fn("worth", ofGoods, "goods.reduce((sum, { price, left }) => sum + price * left, 0)", goods, "6"),
  fn("isSoldOut", ofGoods, "goods.every(({ left }) => left === 0)", goods, "false"),
  fn("newest", ofGoods, "goods.at(-1)?.name", goods, '"ink"'),
  fn("below", `${ofGoods}, price: number`, "goods.filter((one) => one.price < price).length", `${goods}, 2`, "1"),
  fn("average", ofGoods, "goods.reduce((sum, { price }) => sum + price, 0) / goods.length", goods, "1.5"),
  fn("scarce", ofGoods, "goods.filter(({ left }) => left > 0 && left < 5).length", goods, "1"),
  fn("longest", ofGoods, "Math.max(...goods.map(({ name }) => name.length))", goods, "3"),
  fn("has", `${ofGoods}, name: string`, "goods.some((one) => one.name === name)", `${goods}, "tea"`, "true"),
];

const orders = [
  fn("quote", "prices: readonly number[]", "sum(total(prices))", "[1, 2.5]", '"sum EUR 3.50"'),
  fn("reduced", "amount: number, percent: number", "sum(discount(amount, percent))", "10, 25", '"sum EUR 7.50"'),
  fn("parcel", "kilograms: number", "due(shipping(kilograms))", "2", '"due: EUR 5.00"'),
  fn("returned", "bottles: number", "refund(deposit(bottles))", "4", '"refund of EUR 1.00"'),
  fn("insured", "value: number", "due(insurance(value))", "99", '"due: EUR 1.99"'),
  fn("split", "amount: number, people: number", "each(share(amount, people))", "9, 2", '"EUR 4.50 each"'),
];

function source(imports: readonly string[], { name, params }: Fn, value: string): string {
  const head = imports.length === 0 ? "" : `${imports.join("\n")}\n\n`;
  return `${head}export function ${name}(${params}) {\n  return ${value};\n}\n`;
}

function test(folder: string, fns: readonly Fn[]): string {
  const imports = fns.map(({ name }) => `import { ${name} } from "../${folder}/${name}.ts";`);
  const tests = fns.map(
    ({ name, call, result }) => `test("${name}", () => {\n  assert.deepEqual(${name}(${call}), ${result});\n});\n`,
  );
  const head = ['import assert from "node:assert/strict";', 'import { test } from "node:test";', ...imports];
  return `${head.join("\n")}\n\n${tests.join("\n")}`;
}

const contract = "../contract.ts";
const byTask = {
  start: {
    backend: (one: Fn) => source([], one, `Math.round((${one.value}) * 100) / 100`),
    frontend: (one: Fn) => source([], one, one.value.replace(/MONEY\((\w+)\)/, '"EUR " + $1.toFixed(2)')),
  },
  rounding: (one: Fn) => source([`import { cents } from "${contract}";`], one, `cents(${one.value})`),
  checks: (one: Fn) => source([`import { cents, positive } from "${contract}";`], one, `positive(cents(${one.value}))`),
  money: (one: Fn) => source([`import { money } from "${contract}";`], one, one.value.replace("MONEY", "money")),
  receipts: (one: Fn) =>
    source(
      [`import { cents, money } from "${contract}";`],
      one,
      one.value.replace(/MONEY\((\w+)\)/, "money(cents($1))"),
    ),
} as const;

/** Where the functions of the backend and of the frontend meet: three tasks change it. */
export const sharedFile = "contract.ts";
const marks = {
  rounding: "// Amounts, by the backend: none yet\n",
  money: "// Texts, by the frontend: none yet\n",
  checks: "// Checks, by the backend: none yet\n",
} as const;
const additions = {
  rounding: "export const cents = (amount: number): number => Math.round(amount * 100) / 100;\n",
  money: 'export const money = (amount: number): string => "EUR " + amount.toFixed(2);\n',
  checks:
    'export function positive(amount: number): number {\n  if (amount < 0) throw new RangeError("below zero");\n  return amount;\n}\n',
} as const;

/** One change of a file; `from` is empty where the file is new. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

function toSharedFile(task: keyof typeof marks): Edit {
  return { file: sharedFile, from: marks[task], to: marks[task].replace(": none yet", "") + additions[task] };
}

function inFolder(folder: string, fns: readonly Fn[], from: (one: Fn) => string, to: (one: Fn) => string): Edit[] {
  return fns.map((one) => ({ file: `${folder}/${one.name}.ts`, from: from(one), to: to(one) }));
}

function newTests(folder: string, fns: readonly Fn[]): Edit[] {
  return fns.map((one) => ({ file: `tests/${folder}-${one.name}.test.ts`, from: "", to: test(folder, [one]) }));
}

/** The edits of each task, in their order. */
export const edits = {
  rounding: [toSharedFile("rounding"), ...inFolder("backend", backend, byTask.start.backend, byTask.rounding)],
  money: [toSharedFile("money"), ...inFolder("frontend", frontend, byTask.start.frontend, byTask.money)],
  "stock-tests": newTests("stock", stock),
  checks: [toSharedFile("checks"), ...inFolder("backend", backend, byTask.rounding, byTask.checks)],
  receipts: inFolder("frontend", frontend, byTask.money, byTask.receipts),
  "order-tests": newTests("orders", orders),
} as const satisfies Readonly<Record<string, readonly Edit[]>>;
export type TaskName = keyof typeof edits;

function files(folder: string, fns: readonly Fn[], text: (one: Fn) => string): [string, string][] {
  return fns.map((one) => [`${folder}/${one.name}.ts`, text(one)]);
}

function order(one: Fn): string {
  const [outer = "", inner = ""] = one.value.split("(");
  const imports = [
    `import { ${inner} } from "../backend/${inner}.ts";`,
    `import { ${outer} } from "../frontend/${outer}.ts";`,
  ];
  return source(imports, one, one.value);
}

/** The project as it is committed first; its tests pass. */
export const firstFiles: Readonly<Record<string, string>> = Object.fromEntries([
  ["package.json", '{ "name": "shop", "private": true, "type": "module" }\n'],
  [sharedFile, `/** What all parts of the shop agree on. */\n\n${Object.values(marks).join("\n")}`],
  ...files("backend", backend, byTask.start.backend),
  ...files("frontend", frontend, byTask.start.frontend),
  ...files("stock", stock, (one) => source(['import type { Goods } from "./goods.ts";'], one, one.value)),
  ["stock/goods.ts", "export interface Goods {\n  name: string;\n  price: number;\n  left: number;\n}\n"],
  ...files("orders", orders, order),
  ["tests/backend.test.ts", test("backend", backend)],
  ["tests/frontend.test.ts", test("frontend", frontend)],
]);

/** Tests of the project when each task has been done. */
export const testCount = backend.length + frontend.length + stock.length + orders.length;

/** The project when each task has been done once. */
export function lastFiles(): Readonly<Record<string, string>> {
  const result: Record<string, string> = { ...firstFiles };
  for (const { file, from, to } of Object.values(edits).flat()) {
    const before = result[file] ?? "";
    if (!before.includes(from)) throw new Error(`${file} does not have the text that a task replaces`);
    result[file] = before.replace(from, () => to);
  }
  return result;
}
