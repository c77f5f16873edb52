import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CommanderError } from "commander";
import { expect, it } from "vitest";
import { idleProgram } from "#harness/machine/cli-home.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const folders = ["docs", "docs/guide", "docs/internals"];
const pages = ["README.md", "SECURITY.md"].concat(
  folders.flatMap((folder) =>
    readdirSync(join(root, folder)).flatMap((file) => (file.endsWith(".md") ? [`${folder}/${file}`] : [])),
  ),
);

function read(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

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
  const blocks = text.match(/^```(?:sh)?\n[\s\S]*?^```$/gm) ?? [];
  const lines = blocks.flatMap((block) => block.split("\n").slice(1, -1));
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
  const shown = pages.flatMap((page) => inBlocks(page, read(page)).concat(inSentences(page, read(page), true)));
  expect(shown.length).toBeGreaterThan(100);
  expect(await problemsOf(shown)).toEqual([]);
});

it("the documents call the program by its own name: `npx shim` is another package", () => {
  expect(pages.concat(sources).filter((page) => /\bnpx shim(?![\w-])/.test(read(page)))).toEqual([]);
  const guides = pages.filter((page) => page.startsWith("docs/guide/") || page === "README.md");
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
