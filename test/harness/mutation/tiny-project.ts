import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

export type Files = Readonly<Record<string, string>>;

/** A folder with these files that is deleted after the test. */
export function projectFolder(files: Files): string {
  const root = mkdtempSync(join(tmpdir(), "shim-mutants-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

export function copyOf(root: string): string {
  const copy = mkdtempSync(join(tmpdir(), "shim-mutants-"));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  cpSync(root, copy, { recursive: true });
  return copy;
}

export const priceSource = `/** Prices are in cents; a discount above 50 % counts as 50 %. */
export function discount(price: number, percent: number): number {
  if (price < 0) throw new RangeError("a price is not negative");
  if (percent > 50) return price / 2;
  return price - (price * percent) / 100;
}

export function isBulk(count: number): boolean {
  return count >= 10 && count !== 13;
}

export async function label(name: string, isNew = false): Promise<string> {
  return isNew ? \`\${name} (new)\` : name.trim();
}

export function countDown(from: number): number {
  let steps = 0;
  for (let rest = from; rest > 0; rest -= 1) steps += 1;
  return steps;
}

export function now(): number {
  return Date.now();
}

export function day(time: number): number {
  return new Date(time).getHours() + 1;
}

let total = 0;
export function add(amount: number): number {
  total = total + amount;
  return total;
}

export function forever(count: number): number {
  let rest = count;
  while (rest !== 7) rest = rest * 1;
  return rest + 1;
}
`;

/** Its tests reach little, and notice less. Needs nothing but Node. */
export const priceProject: Files = {
  "package.json": JSON.stringify({ name: "price", type: "module", scripts: { test: "node --test" } }),
  "src/price.ts": priceSource,
  "test/price.test.ts": `import assert from "node:assert/strict";
import { test } from "node:test";
import { countDown, discount, forever, isBulk } from "../src/price.ts";

test("a discount", () => {
  assert.equal(discount(100, 10), 90);
});

test("bulk", () => {
  assert.equal(isBulk(20), true);
});

test("steps", () => {
  assert.equal(countDown(3), 3);
  assert.equal(forever(7), 8);
});
`,
};
