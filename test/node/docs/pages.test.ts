import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { referencePages } from "../../../scripts/reference/pages.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const ignored = new Set(["node_modules", "dist", ".git", ".types", ".scratch", ".wrangler", "coverage"]);
const find = (pattern: string): string[] => globSync(pattern, { cwd: root, exclude: (name) => ignored.has(name) });

/** Pages that `npm run docs` writes. */
const made = new Map(
  Object.entries(await referencePages()).map(([file, text]) => [join("docs/reference", file), text]),
);

const pages = ["README.md", "AGENTS.md", "CHANGELOG.md", "SECURITY.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .map((file) => join("docs", file))
    .filter((page) => page.endsWith(".md") && !made.has(page)),
);

function read(page: string): string {
  return made.get(page) ?? readFileSync(join(root, page), "utf8");
}

/** The anchors of a page's headings, made the way GitHub makes them. */
function anchorsOf(page: string): string[] {
  const titles = [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) => title.toLowerCase());
  return titles.map((title) => title.replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"));
}

function brokenLinks(page: string): string[] {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
    ([, link, image]) => link ?? image ?? "",
  );
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      // What is made is there for other made pages only.
      if (made.has(target) ? !made.has(page) : !existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    })
    .map((link) => `${page}: ${link}`);
}

it("every link between the documents names a file and a heading that exist", () => {
  expect(pages.length).toBeGreaterThan(50);
  expect([...pages, ...made.keys()].flatMap(brokenLinks)).toEqual([]);
});

it("every page of docs that a text of the source names exists", () => {
  const files = find("{src,bin,demo,scripts,bench,test}/**/*.{ts,mjs}");
  const named = files.flatMap((file) =>
    (read(file).match(/docs\/(?:guide|reference|internals|decisions)\/[\w-]+\.md/g) ?? []).map((page) => ({
      file,
      page,
    })),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter(({ page }) => !existsSync(join(root, page)))).toEqual([]);
});

const folders = ["bench", "bin", "demo", "desktop", "docs", "ops", "plugin", "scripts", "src", "test"];
/** Of the user's project. */
const examples = new Set(["src/lexer.ts", "src/parser.ts"]);
/** Written by a bench. */
const results = /^bench\/results-\w+\.json$/;

/** Paths of the repository in code spans of the page. */
function pathsIn(page: string): string[] {
  const text = read(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
  const words = (text.match(/`[^`\n]+`/g) ?? []).flatMap((span) => span.slice(1, -1).split(/\s+/));
  return words.filter((word) => {
    const isPath = /^[\w@.*{},/-]+$/.test(word) && !examples.has(word) && !results.test(word);
    return isPath && (/\w\.(ts|tsx|mjs|cjs)$/.test(word) || folders.some((folder) => word.startsWith(`${folder}/`)));
  });
}

it("every source file and folder that a page names is there", () => {
  const present = find("{*,docs/*,docs/{guide,reference,internals}/*,{bench,test}/**/README}.md");
  const named = present
    .filter((page) => page !== "CHANGELOG.md" && page !== "docs/benchmarks.md")
    .flatMap((page) => pathsIn(page).map((path) => ({ page, path })));
  expect(named.length).toBeGreaterThan(100);
  const missing = named.filter(({ path }) => !existsSync(join(root, path)) && find(`**/${path}`).length === 0);
  expect(missing).toEqual([]);
});
