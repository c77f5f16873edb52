import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..");
const ignored = new Set(["node_modules", "dist", ".git", ".types", ".scratch", ".wrangler", "coverage"]);
const find = (pattern: string): string[] => globSync(pattern, { cwd: root, exclude: (name) => ignored.has(name) });
const pages = find("{*,docs/*,docs/{guide,reference,internals}/*,{bench,test}/**/README}.md").filter(
  (page) => page !== "CHANGELOG.md" && page !== "docs/benchmarks.md",
);
const folders = ["bench", "bin", "demo", "desktop", "docs", "ops", "plugin", "scripts", "src", "test"];
/** Of the user's project. */
const examples = new Set(["src/lexer.ts", "src/parser.ts"]);
/** Written by a bench. */
const results = /^bench\/results-\w+\.json$/;

/** Paths of the repository in code spans of the page. */
function pathsIn(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8").replaceAll(/^```[\s\S]*?^```$/gm, "");
  const words = (text.match(/`[^`\n]+`/g) ?? []).flatMap((span) => span.slice(1, -1).split(/\s+/));
  return words.filter((word) => {
    const isPath = /^[\w@.*{},/-]+$/.test(word) && !examples.has(word) && !results.test(word);
    return isPath && (/\w\.(ts|tsx|mjs|cjs)$/.test(word) || folders.some((folder) => word.startsWith(`${folder}/`)));
  });
}

it("every source file and folder that a page names is there", () => {
  const named = pages.flatMap((page) => pathsIn(page).map((path) => ({ page, path })));
  expect(named.length).toBeGreaterThan(100);
  const missing = named.filter(({ path }) => !existsSync(join(root, path)) && find(`**/${path}`).length === 0);
  expect(missing).toEqual([]);
});
