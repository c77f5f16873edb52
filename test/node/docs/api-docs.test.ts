import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { apiDocs } from "../../../scripts/api-docs.ts";
import { configDocs } from "../../../scripts/config-docs.ts";

/** The formatter widens tables and breaks no words. */
function bare(text: string): string {
  return text.replaceAll(/[\s-]+/g, "");
}

function page(name: string): string {
  return readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "reference", name), "utf8");
}

it("docs/reference/api.md is what the table of operations says; else run: node scripts/api-docs.ts && npx oxfmt docs/reference/api.md", () => {
  expect(page("api.md").split("### ").map(bare)).toEqual(apiDocs().split("### ").map(bare));
});

it("docs/reference/configuration.md is what the schemas say; else run: node scripts/config-docs.ts && npx oxfmt docs/reference/configuration.md", () => {
  expect(page("configuration.md").split("\n## ").map(bare)).toEqual(configDocs().split("\n## ").map(bare));
});
