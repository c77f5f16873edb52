import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CommanderError } from "commander";
import { expect, it } from "vitest";
import { idleProgram } from "#harness/machine/cli-home.ts";
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

const read = (page: string): string => made.get(page) ?? readFileSync(join(root, page), "utf8");

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
  const name = /docs\/(?:guide|reference|internals|decisions)\/[\w-]+\.md/g;
  const named = files.flatMap((file) => (read(file).match(name) ?? []).map((page) => ({ file, page })));
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
  const named = find("{*,docs/*,docs/{guide,reference,internals}/*,{bench,test}/**/README}.md")
    .filter((page) => page !== "CHANGELOG.md" && page !== "docs/benchmarks.md")
    .flatMap((page) => pathsIn(page).map((path) => ({ page, path })));
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter(({ path }) => !existsSync(join(root, path)) && !find(`**/${path}`).length)).toEqual([]);
});

/** Documents for users and for those who work on SHIM, without its decisions and what is made. */
const documents = pages.filter((page) => /^(?:README|SECURITY|docs\/(?:(?:guide|internals)\/)?[^/]+)\.md$/.test(page));

interface Shown {
  readonly page: string;
  readonly words: readonly string[];
  /** A sentence of a document only names it; in a message the reader must see what is left out. */
  readonly mayLackArguments: boolean;
  /** Several commands written as one. */
  readonly hasChoices: boolean;
}

/** What stands for something that the reader puts in. */
const placeholder = /^(\.{3}|<.*>|n|.*\|.*)$/;

/** A word of a shell, quoted or not. */
const word = /"[^"]*"|'[^']*'|[^\s"']+/g;

function wordsOf(line: string): string[] {
  const all = (line.match(word) ?? []).map((one) => one.replaceAll(/^["']|["']$/g, ""));
  const end = all.findIndex((one) => /^([|<>#;&]+|2?>.*|&&)$/.test(one));
  return all.slice(0, end < 0 ? undefined : end);
}

function inBlocks(page: string, text: string): Shown[] {
  const lines = (text.match(/^```(?:sh)?\n[\s\S]*?^```$/gm) ?? []).flatMap((block) => block.split("\n").slice(1, -1));
  return lines.flatMap((line) => {
    const found = /^\s*(?:[A-Z_]+=\S+ )*(?:node bin\/shim\.mjs|shim) (.+)$/.exec(line);
    const words = wordsOf(found?.[1] ?? "");
    return found ? [{ page, words, mayLackArguments: false, hasChoices: false }] : [];
  });
}

function inSentences(page: string, text: string, isDocument: boolean): Shown[] {
  const withoutBlocks = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  return (withoutBlocks.match(/`shim [a-z][^`]*`/g) ?? []).map((span) => {
    // What may be left out, and what stands for one of several.
    const line = span
      .slice(6, -1)
      .replaceAll(/[[\]]/g, "")
      .replaceAll(/ \\?\| /g, " ");
    const words = wordsOf(line);
    const mayLackArguments = isDocument || words.some((one) => placeholder.test(one));
    if (words.at(-1) === "...") words.pop();
    return { page, words, mayLackArguments, hasChoices: / \\?\| /.test(span) };
  });
}

/** What is only left open in the text, and no mistake. */
function isMeant({ words, mayLackArguments, hasChoices }: Shown, { code }: CommanderError): boolean {
  // Help is that of a group of commands.
  if (code.startsWith("commander.help") || (mayLackArguments && /missing/i.test(code))) return true;
  if (hasChoices && code === "commander.excessArguments") return true;
  // The value of an option that stands for one.
  return code === "commander.invalidArgument" && words.some((one) => placeholder.test(one));
}

async function problemOf(one: Shown): Promise<string | null> {
  let complaint = "";
  try {
    const made = await idleProgram((text) => (complaint += text));
    await made.parseAsync([...one.words], { from: "user" });
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return isMeant(one, error) ? null : complaint || error.message;
  }
}

async function problemsOf(all: readonly Shown[]): Promise<string[]> {
  const problems = [];
  for (const one of all) {
    const problem = await problemOf(one);
    if (problem !== null) problems.push(`${one.page}: shim ${one.words.join(" ")}: ${problem.trim()}`);
  }
  return problems;
}

it("every command that the documents show is one of the program's, with options that it has @night", async () => {
  const shown = documents.flatMap((page) => inBlocks(page, read(page)).concat(inSentences(page, read(page), true)));
  expect(shown.length).toBeGreaterThan(100);
  expect(await problemsOf(shown)).toEqual([]);
});

it("the documents call the program by its own name: `npx shim` is another package", () => {
  expect(documents.concat(sources).filter((page) => /\bnpx shim(?![\w-])/.test(read(page)))).toEqual([]);
  const guides = documents.filter((page) => page.startsWith("docs/guide/") || page === "README.md");
  expect(guides.filter((page) => read(page).includes("node bin/shim.mjs"))).toEqual([]);
});

/** Texts of the programs: SHIM's messages, and the comments that speak of commands. */
const sources = ["src", "bin", "demo", "scripts", "plugin", "desktop"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(?:[cm]?js|ts|md|json)$/.test(file) && !/(?:^|[\\/])dist[\\/]/.test(file))
    .map((file) => `${folder}/${file}`),
);

/** Words behind "shim" that are no command of the table: programs that the launcher starts itself, and English. */
const otherWords = new Set("mcp hook help is needs command process names with key reads seal".split(" "));

function inSource(page: string, text: string): Shown[] {
  // Inside of a template the quotes are escaped, and a value stands for something that is put in.
  const plain = text
    .replaceAll("\\`", "`")
    .replaceAll(/\$\{[^`{}]*\}/g, "<x>")
    .replaceAll(/\$\{[^`]*/g, "");
  return inSentences(page, plain, false).filter(({ words: [first = ""] }) => !otherWords.has(first.replace(/:$/, "")));
}

it("every command that a text of the source names is one of the program's, with the arguments it needs @night", async () => {
  const named = sources.flatMap((page) => inSource(page, read(page)));
  expect(named.length).toBeGreaterThan(80);
  expect(await problemsOf(named)).toEqual([]);
});

it("a command in double quotes or at the beginning of a line is in the table as well", async () => {
  const { commands } = await idleProgram(() => undefined);
  const names = new Set(commands.map((command) => command.name()));
  const typed = sources
    .filter((page) => page.endsWith(".ts"))
    .flatMap((page) => [...read(page).matchAll(/["'`\n] *shim ([a-z-]+) /g)].map(([, word = ""]) => ({ page, word })));
  expect(typed.filter(({ word }) => !names.has(word) && !otherWords.has(word))).toEqual([]);
});
