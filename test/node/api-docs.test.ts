import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { apiDocs } from "../../scripts/api-docs.ts";

/** The formatter widens tables and breaks no words. */
function bare(text: string): string {
  return text.replaceAll(/[\s-]+/g, "");
}

it("docs/reference/api.md is what the table of operations says; else run: node scripts/api-docs.ts && npx oxfmt docs/reference/api.md", () => {
  const written = readFileSync(join(import.meta.dirname, "..", "..", "docs", "reference", "api.md"), "utf8");
  expect(written.split("### ").map(bare)).toEqual(apiDocs().split("### ").map(bare));
});
