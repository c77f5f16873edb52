import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..");

function texts(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(root, folder, name), "utf8"));
}

const rules = new Set(
  texts("docs/spec", ".md").flatMap((text) =>
    [...text.matchAll(/^- \*\*\[([A-Z]{2}\d+)\]\*\*/gm)].map((match) => match[1]),
  ),
);
/** Ids at the start of the titles of tests, also where one title quotes several. */
const quoted = new Set(
  texts("test", ".ts").flatMap((text) =>
    [...text.matchAll(/["'`]((?:\[[A-Z]{2}\d+\][, ]*)+)/g)].flatMap((match) =>
      [...(match[1] ?? "").matchAll(/[A-Z]{2}\d+/g)].map((id) => id[0]),
    ),
  ),
);

it("every rule of docs/spec is quoted in the name of a test", () => {
  expect([...rules].filter((id) => id && !quoted.has(id))).toEqual([]);
  expect(rules.size).toBeGreaterThan(100);
});

it("no rule of docs/spec has more than 60 words", () => {
  const lines = texts("docs/spec", ".md").flatMap((text) => text.split("\n"));
  const words = lines.filter((line) => line.startsWith("- **[")).map((line) => line.slice(2).split(" "));
  expect(words.filter(({ length }) => length > 60).map(([id]) => id)).toEqual([]);
});

it("no id is given to two rules of docs/spec", () => {
  const ids = texts("docs/spec", ".md").flatMap((text) => text.match(/^- \*\*\[[A-Z]{2}\d+\]\*\*/gm) ?? []);
  expect(ids).toHaveLength(rules.size);
});

it("every id that a test quotes is a rule of docs/spec", () => {
  expect([...quoted].filter((id) => !rules.has(id))).toEqual([]);
});
