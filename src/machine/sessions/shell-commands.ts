import { resolve } from "node:path";
import type { EffectNote } from "../../contract/work-state.ts";

/** Pure: the simple commands of a shell's text, and what its exit status shows of each. */

/** Outcomes of one command that the exit status of all shows. */
export type Shown = NonNullable<EffectNote["shows"]>;

export interface SimpleCommand {
  /** Without quotes, redirections and the words of control structures. */
  readonly words: readonly string[];
  /** Part of the text that it is, on one line. */
  readonly text: string;
  readonly shows: Shown | null;
  /** Folders that `cd` went to before it, in their order; null: one of them is not known. */
  readonly folders: readonly string[] | null;
}

/** Words and groups between two operators. */
interface Part {
  words: string[];
  /** Range of its text. */
  from: number;
  to: number;
  /** Commands of a subshell that it is. */
  group: readonly SimpleCommand[];
  /** Commands of its substitutions: nothing shows how they end. */
  inner: SimpleCommand[];
  /** Words of a control structure, or the beginning of a function. */
  hasKeyword: boolean;
  /** The operator behind it. */
  after: string;
}

/** A longer text is read up to here. */
const maxChars = 20_000;
const maxNesting = 40;

/** Words before a command. */
const keywords: ReadonlySet<string | undefined> = new Set(
  "if then elif else fi while until do done { } ! esac for case select function".split(" "),
);
/** Keywords that no command follows. */
const declaring: ReadonlySet<string | undefined> = new Set(["for", "case", "select", "function"]);
/** After one of these nothing may have run. */
const leaving: ReadonlySet<string | undefined> = new Set(["exit", "return", "exec"]);

export function simpleCommands(text: string, isPowerShell = false): readonly SimpleCommand[] {
  return new ShellReader(text, isPowerShell).list(null);
}

/** Files that a command is to take away: whether it did is seen at the files. */
export function removedBy({ words, folders }: SimpleCommand, cwd: string): string[] {
  if (folders === null) return [];
  const [program, ...rest] = words[0] === "git" ? words.slice(1) : words;
  const paths = rest.filter((word) => !word.startsWith("-"));
  const taken = program === "mv" ? paths.slice(0, -1) : program === "rm" || program === "unlink" ? paths : [];
  return taken.map((path) => resolve(cwd, ...folders, path));
}

/** The folder of a work tree that a command makes. */
export function worktreeIn({ words }: SimpleCommand): string[] {
  const at = words.indexOf("worktree");
  if (words[0] !== "git" || at < 0 || words[at + 1] !== "add") return [];
  const rest = words.slice(at + 2);
  const path = rest.find((word, index) => !word.startsWith("-") && !/^-[bB]$/.test(rest[index - 1] ?? ""));
  return path === undefined ? [] : [path];
}

const maxScripts = 3;

/**
 * The words of all commands that a text of any length may run: also those of quoted scripts and of
 * here-documents, which another shell may read.
 */
export function mentionedCommands(text: string, isPowerShell: boolean, depth = 0): readonly (readonly string[])[] {
  const reader = new ShellReader(text, isPowerShell);
  const commands = reader.list(null).map(({ words }) => words);
  const scripts = [...commands.flat().filter((word) => /[\n;&|]/.test(word)), ...reader.documents];
  const inner = depth < maxScripts ? scripts : [];
  const rest = text.length > maxChars ? mentionedCommands(text.slice(maxChars), isPowerShell, depth) : [];
  const open = commands.map((words) => words.flatMap((word) => word.split(/[\s;&|]+/)));
  return [...open, ...inner.flatMap((one) => mentionedCommands(one, isPowerShell, depth + 1)), ...rest];
}

type Ended = Pick<SimpleCommand, "shows" | "folders">;

/** End of a command of a script that an outer command runs, as far as the outer one shows it. */
export function shownThrough(outer: Ended, inner: Ended): Ended {
  return {
    shows: outer.shows === "all" ? inner.shows : inner.shows && outer.shows,
    folders: outer.folders && inner.folders && [...outer.folders, ...inner.folders],
  };
}

class ShellReader {
  readonly #source: string;
  readonly #text: string;
  /** With it another command of a pipe may have failed than the last. */
  readonly #hasPipefail: boolean;
  readonly #isCut: boolean;
  /** Texts of the here-documents and here-strings that were read. */
  readonly documents: string[] = [];
  /** Here-documents that begin with the next line. */
  #documents: { readonly end: string; readonly isIndented: boolean }[] = [];
  #at = 0;
  #nesting = 0;
  #part = newPart();

  constructor(source: string, isPowerShell: boolean) {
    this.#source = source;
    const text = source.slice(0, maxChars);
    this.#text = isPowerShell ? text.replaceAll("\\", "/").replaceAll("`", "\\") : text;
    this.#hasPipefail = text.includes("pipefail");
    this.#isCut = source.length > maxChars;
  }

  /** Reads commands to the end sign, or of the text. */
  list(end: ")" | null): SimpleCommand[] {
    const outer = this.#part;
    const parts: Part[] = [];
    const finish = (after: string): void => {
      const part = this.#part;
      part.after = after;
      part.hasKeyword ||= keywords.has(part.words[0]);
      // After an operator and a line end the command is still to come.
      if (part.words.length > 0 || part.group.length > 0) parts.push(part);
      this.#part = newPart();
    };
    this.#part = newPart();
    while (this.#at < this.#text.length && this.#text[this.#at] !== end) {
      const operator = this.#match(/&&|\|\||\|&|;+|[\n|)]|&(?!>)/y);
      if (operator === null) this.#step();
      else finish(operator);
      if (operator === "\n") this.#skipDocuments();
    }
    finish(";");
    this.#at += 1;
    this.#part = outer;
    return this.#shown(parts);
  }

  /** Reads a blank, a comment, a group, a redirection or a word. */
  #step(): void {
    if (this.#match(/(?:[^\S\n]|\\\n)+|#.*/y) !== null) return;
    const part = this.#part;
    if (this.#match(/\(\s*\)/y) !== null) Object.assign(part, { words: [], hasKeyword: true });
    else if (this.#match(/\(/y) !== null) {
      const isArray = part.words.at(-1)?.endsWith("=") ?? false;
      const commands = this.#nested();
      if (!isArray) part.group = commands;
    } else if (this.#match(/[<>]\(/y) !== null) part.inner.push(...unshown(this.#nested()));
    else {
      const sign = this.#match(/\d*(?:<<<|<<-?|[<>]&|<>|>>|>\||[<>])|&>>?/y);
      if (sign !== null) this.#match(/[ \t]+/y);
      if (part.words.length === 0 && sign === null) part.from = this.#at;
      const word = this.#word(false);
      if (sign === null) part.words.push(word);
      else if (sign.endsWith("<<<")) this.documents.push(word);
      else if (/<<-?$/.test(sign)) this.#documents.push({ end: word, isIndented: sign.endsWith("-") });
      part.to = this.#at;
    }
  }

  #skipDocuments(): void {
    for (const { end, isIndented } of this.#documents) {
      const from = this.#at;
      while (this.#at < this.#text.length) {
        const line = this.#to("\n");
        if ((isIndented ? line.replace(/^\t+/, "") : line) === end) break;
      }
      this.documents.push(this.#text.slice(from, this.#at));
    }
    this.#documents = [];
  }

  #word(isQuoted: boolean): string {
    let word = "";
    for (;;) {
      const sign = this.#text[this.#at];
      if (sign === undefined || (isQuoted ? sign === '"' : /[\s;&|<>()]/.test(sign))) return word;
      word += this.#piece(sign, isQuoted);
    }
  }

  /** An escape, a quote or a substitution; else the sign itself. */
  #piece(sign: string, isQuoted: boolean): string {
    const two = this.#text.slice(this.#at, this.#at + 2);
    this.#at += 1;
    if (sign === "\\") return this.#match(/\n/y) === null ? (this.#match(/[^]/y) ?? "") : "";
    if (sign === "'" && !isQuoted) return this.#to("'");
    if (two === "$'" && !isQuoted) return (this.#match(/'(?:[^'\\]|\\[^])*'?/y) ?? "").slice(1, -1);
    if (sign === '"' && !isQuoted) {
      const word = this.#word(true);
      this.#at += 1;
      return word;
    }
    if (two === "${") return `$${this.#to("}")}}`;
    if (two === "$(") {
      this.#at += 1;
      // Arithmetic, unless a subshell begins the substitution.
      if (this.#match(/\([^()\n]*\)\)/y) === null) this.#part.inner.push(...unshown(this.#nested()));
      return "$()";
    }
    if (sign === "`") {
      this.#part.inner.push(...unshown(simpleCommands(this.#to("`"))));
      return "$()";
    }
    return sign;
  }

  #nested(): SimpleCommand[] {
    if (this.#nesting >= maxNesting) return [];
    this.#nesting += 1;
    const commands = this.list(")");
    this.#nesting -= 1;
    return commands;
  }

  /**
   * The status of a list is that of what stands behind its last `;`: only there, and without
   * `||`, `&`, control structures and what may have ended the shell before, does it show something.
   */
  #shown(parts: readonly Part[]): SimpleCommand[] {
    const begin = parts.slice(0, -1).findLastIndex(({ after }) => !/^(?:&&|\|.*)$/.test(after)) + 1;
    const list = parts.slice(begin);
    const hasPipe = list.some(({ after }) => after.startsWith("|"));
    const isPlain =
      !this.#isCut &&
      !(hasPipe && this.#hasPipefail) &&
      list.every(({ after, hasKeyword }) => !hasKeyword && after !== "||" && after !== "&");
    let hasLeft = false;
    let folders: readonly string[] | null = [];
    return parts.flatMap((part, index) => {
      const isShown = isPlain && index >= begin && !hasLeft && !part.after.startsWith("|");
      const { words, text } = this.#withoutKeywords(part);
      const shows = isShown ? (index === parts.length - 1 ? "all" : "success") : null;
      const command: SimpleCommand = { words, text, shows, folders };
      hasLeft ||= leaving.has(words[0]);
      if (words[0] === "cd") folders = folders && foldersAfter(folders, words);
      const group = part.group.map((one) => ({ ...one, ...shownThrough(command, one) }));
      return [...part.inner, ...group, ...(words.length === 0 ? [] : [command])];
    });
  }

  #withoutKeywords({ words, from, to }: Part): Pick<SimpleCommand, "words" | "text"> {
    let text = this.#source.slice(from, to);
    let at = 0;
    for (; keywords.has(words[at]); at += 1) {
      if (declaring.has(words[at])) return { words: [], text: "" };
      text = text.slice(words[at]?.length).trimStart();
    }
    return { words: words.slice(at), text: text.replaceAll(/\s+/g, " ") };
  }

  /** Text before the end sign, or all that is left; moves behind it. */
  #to(end: string): string {
    const found = this.#text.indexOf(end, this.#at);
    const to = found < 0 ? this.#text.length : found;
    const text = this.#text.slice(this.#at, to);
    this.#at = to + 1;
    return text;
  }

  #match(sticky: RegExp): string | null {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0] ?? null;
    this.#at += found?.length ?? 0;
    return found;
  }
}

function newPart(): Part {
  return { words: [], from: 0, to: 0, group: [], inner: [], hasKeyword: false, after: "" };
}

function unshown(commands: readonly SimpleCommand[]): SimpleCommand[] {
  return commands.map((one) => ({ ...one, shows: null }));
}

function foldersAfter(folders: readonly string[], words: readonly string[]): readonly string[] | null {
  const [folder, ...more] = words.slice(1).filter((word) => word !== "--");
  return folder === undefined || more.length > 0 || /^[-~]|\$/.test(folder) ? null : [...folders, folder];
}
