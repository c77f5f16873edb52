import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";

process.env["SHIM_TEST_SQLITE"] = "node:sqlite";

const tests = join(import.meta.dirname, "..");
const rules = readdirSync(join(tests, "rules")).filter((name) => name.endsWith(".test.ts"));
const store = ["damage", "salvage", "store", "upkeep"].map((name) => join("node", "store", `${name}.test.ts`));

describe("@night", async () => {
  for (const file of [...rules.map((name) => join("rules", name)), ...store]) await import(join(tests, file));
});
