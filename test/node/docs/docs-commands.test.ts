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

function shownInBlock(page: string, words: readonly string[]): Shown {
  return { page, words, mayLackArguments: false, hasChoices: false };
}

function inBlocks(page: string, text: string): Shown[] {
  const blocks = text.match(/^```(?:sh)?\n[\s\S]*?^```$/gm) ?? [];
  const lines = blocks.flatMap((block) => block.split("\n").slice(1, -1));
  return lines.flatMap((line) => {
    const found = /^\s*(?:[A-Z_]+=\S+ )*(?:node bin\/shim\.mjs|shim) (.+)$/.exec(line);
    return found?.[1] === undefined ? [] : [shownInBlock(page, wordsOf(found[1]))];
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

const shown = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), "utf8");
  return inBlocks(page, text).concat(inSentences(page, text, true));
});

const missing = new Set([
  "commander.missingArgument",
  "commander.missingMandatoryOptionValue",
  "commander.optionMissingArgument",
]);
/** A group of commands. */
const groups = new Set(["commander.help", "commander.helpDisplayed"]);
/** What is only left open in the text, and no mistake. */
function isMeant({ words, mayLackArguments, hasChoices }: Shown, { code }: CommanderError): boolean {
  if (groups.has(code) || (mayLackArguments && missing.has(code))) return true;
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

it("every command that the documents show is one of the program's, with options that it has @night", async () => {
  expect(shown.length).toBeGreaterThan(100);
  const wrong = [];
  for (const one of shown) {
    const problem = await problemOf(one);
    if (problem !== null) wrong.push(`${one.page}: shim ${one.words.join(" ")}: ${problem.trim()}`);
  }
  expect(wrong).toEqual([]);
});

it("the documents call the program by its own name: `npx shim` is a package of somebody else", () => {
  const wrong = pages
    .concat(sources)
    .filter((page) => /\bnpx shim(?![\w-])/.test(readFileSync(join(root, page), "utf8")));
  expect(wrong).toEqual([]);
  const guides = pages.filter((page) => page.startsWith("docs/guide/") || page === "README.md");
  expect(guides.filter((page) => /node bin\/shim\.mjs/.test(readFileSync(join(root, page), "utf8")))).toEqual([]);
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
  const named = sources.flatMap((page) => inSource(page, readFileSync(join(root, page), "utf8")));
  expect(named.length).toBeGreaterThan(80);
  const wrong = [];
  for (const one of named) {
    const problem = await problemOf(one);
    if (problem !== null) wrong.push(`${one.page}: shim ${one.words.join(" ")}: ${problem.trim()}`);
  }
  expect(wrong).toEqual([]);
});

it("a command in double quotes or at the beginning of a line is in the table as well", async () => {
  const { commands } = await idleProgram(() => undefined);
  const names = new Set(commands.map((command) => command.name()));
  const typed = sources
    .filter((page) => page.endsWith(".ts"))
    .flatMap((page) => {
      const text = readFileSync(join(root, page), "utf8");
      return [...text.matchAll(/["'`\n] *shim ([a-z-]+) /g)].map(([, word = ""]) => ({ page, word }));
    });
  expect(typed.filter(({ word }) => !names.has(word) && !otherWords.has(word))).toEqual([]);
});
