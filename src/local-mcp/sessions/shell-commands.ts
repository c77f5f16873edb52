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

type Operator = ";" | "&" | "&&" | "||" | "|";

/** A group as a whole has no words; those in it stand before it. */
interface ReadCommand {
  readonly words: readonly string[];
  readonly text: string;
  /** In a substitution, a group or a control structure. */
  readonly isInner: boolean;
  readonly after: Operator;
}

/** A longer text is read up to here. */
const maxChars = 20_000;
const maxNesting = 40;

export function simpleCommands(text: string, isPowerShell = false): SimpleCommand[] {
  const read = new ShellReader(text.slice(0, maxChars), isPowerShell).read();
  const lists = listsOf(read);
  const last = lists.get(read.findLast((command) => lists.has(command)) ?? null);
  let options: ShellOptions = { stops: false, passesErrors: false };
  let hasLeft = false;
  let folders: string[] | null = [];
  return read.flatMap((command) => {
    const { words, text: own, isInner } = command;
    const list = lists.get(command);
    const isCertain = list !== undefined && !hasLeft && text.length <= maxChars;
    const shows = isCertain ? showsIn(list, command, list === last, options) : null;
    const shown = { words, text: own, shows, folders };
    const [name = ""] = words;
    const isSurelyRun = list?.begin === command && (command.after === ";" || command.after === "&&");
    if (name === "set") options = withOptions(options, words, isSurelyRun);
    hasLeft ||= leaving.has(name);
    if (!isInner && name === "cd") folders = folders && foldersAfter(folders, words);
    return words.length === 0 ? [] : [shown];
  });
}

/** @param options of the shell, as `set` has given them until here */
function showsIn(list: CommandList, command: ReadCommand, isLast: boolean, options: ShellOptions): Shown | null {
  if (list.operators.has("||") || list.operators.has("&")) return null;
  if (command.after === "|" && !options.passesErrors) return null;
  if (!isLast && (!options.stops || list.operators.has("&&"))) return null;
  return isLast && list.end === command ? "all" : "success";
}

/** Options of the shell, as `set` has given them. */
interface ShellOptions {
  /** `-e` */
  readonly stops: boolean;
  /** `-o pipefail` */
  readonly passesErrors: boolean;
}

function withOptions(options: ShellOptions, words: readonly string[], isSurelyRun: boolean): ShellOptions {
  if (words.some((word) => word.startsWith("+"))) return { stops: false, passesErrors: false };
  if (!isSurelyRun) return options;
  const stops = options.stops || words.some((word) => /^-[a-z]*e/.test(word));
  return { stops, passesErrors: options.passesErrors || words.includes("pipefail") };
}

/** After one of these nothing may have run. */
const leaving: ReadonlySet<string> = new Set(["exit", "return", "exec"]);

/** Commands between two `;` or line ends. */
interface CommandList {
  readonly operators: Set<Operator>;
  readonly begin: ReadCommand;
  end: ReadCommand;
}

/** The list of each command that stands in no other. */
function listsOf(commands: readonly ReadCommand[]): ReadonlyMap<ReadCommand | null, CommandList> {
  const lists = new Map<ReadCommand, CommandList>();
  let list: CommandList | null = null;
  for (const command of commands.filter(({ isInner }) => !isInner)) {
    list ??= { operators: new Set(), begin: command, end: command };
    list.operators.add(command.after);
    list.end = command;
    lists.set(command, list);
    if (command.after === ";" || command.after === "&") list = null;
  }
  return lists;
}

function foldersAfter(folders: string[], words: readonly string[]): string[] | null {
  const [folder, ...more] = words.slice(1).filter((word) => word !== "--");
  return folder === undefined || more.length > 0 || /^[-~]|\$/.test(folder) ? null : [...folders, folder];
}

const opening: ReadonlySet<string> = new Set(["if", "while", "until", "for", "case", "select", "{"]);
const between: ReadonlySet<string> = new Set(["then", "do", "else", "elif"]);
const closing: ReadonlySet<string> = new Set(["fi", "done", "esac", "}"]);
const declaring: ReadonlySet<string> = new Set(["for", "case", "select"]);
const wordEnd = /[\s;&|<>()]/;

class ShellReader {
  readonly #text: string;
  readonly #isPowerShell: boolean;
  readonly #found: ReadCommand[] = [];
  /** Ends of here-documents that begin with the next line. */
  #documents: string[] = [];
  #at = 0;
  #depth = 0;
  #nesting = 0;
  #isInBackticks = false;
  #isNegated = false;

  constructor(text: string, isPowerShell: boolean) {
    this.#text = text;
    this.#isPowerShell = isPowerShell;
  }

  read(): ReadCommand[] {
    this.#list(null);
    return this.#found;
  }

  /** Reads commands to the end sign, or of the text. */
  #list(end: string | null): void {
    let words: string[] = [];
    let [from, to] = [-1, -1];
    let isGroup = false;
    const finish = (after: Operator): void => {
      this.#add(words, this.#text.slice(Math.max(from, 0), to), after, isGroup);
      [words, from, to, isGroup] = [[], -1, -1, false];
    };
    while (this.#at < this.#text.length && this.#text.charAt(this.#at) !== end) {
      if (this.#skip()) continue;
      const operator = this.#operator();
      if (operator !== null) {
        // After an operator and a line end the command is still to come.
        if (operator !== "\n") finish(operator);
        else if (words.length > 0 || isGroup) finish(";");
      } else if (this.#text.charAt(this.#at) === "(") {
        // A function has no command yet.
        if (this.#text.startsWith("()", this.#at)) words = [];
        else isGroup = words.length === 0;
        this.#inner(")", 1);
      } else if (/[<>]/.test(this.#text.charAt(this.#at))) {
        this.#redirection(words);
        to = this.#at;
      } else {
        if (from < 0) from = this.#at;
        words.push(this.#word());
        to = this.#at;
      }
    }
    finish(";");
  }

  /** @returns whether it has skipped a blank, a comment or a stray bracket */
  #skip(): boolean {
    const sign = this.#text.charAt(this.#at);
    if (sign === "#") this.#at = this.#indexOf("\n");
    else if (sign === ")" || (sign !== "\n" && /\s/.test(sign))) this.#at += 1;
    else return false;
    return true;
  }

  #add(given: readonly string[], whole: string, after: Operator, isGroup: boolean): void {
    const { words, text } = this.#withoutKeywords(given, whole);
    const hasKeyword = words.length < given.length || this.#isNegated;
    const isInner = this.#depth > 0 || hasKeyword;
    // The sign negates a whole pipeline.
    if (after !== "|" && this.#depth === 0) this.#isNegated = false;
    if (words.length > 0) this.#found.push({ words, text: text.replaceAll(/\s+/g, " "), isInner, after });
    if (this.#depth === 0 && (isGroup || hasKeyword)) this.#found.push({ words: [], text: "", isInner: false, after });
  }

  #withoutKeywords(given: readonly string[], whole: string): Pick<ReadCommand, "words" | "text"> {
    let [words, text] = [given, whole];
    for (let [word] = words; word !== undefined; [word] = words) {
      if (opening.has(word)) this.#depth += 1;
      else if (closing.has(word)) this.#depth -= 1;
      else if (word === "!") this.#isNegated ||= this.#depth === 0;
      else if (!between.has(word)) break;
      words = declaring.has(word) ? [] : words.slice(1);
      text = text.slice(word.length).trimStart();
    }
    return { words, text };
  }

  /** @returns null: none stands here; a line end brings the documents that it begins */
  #operator(): Operator | "\n" | null {
    const operator = /^(?:\n|&&|\|\||\|&|[;|]|&(?!>))/.exec(this.#text.slice(this.#at, this.#at + 2))?.[0];
    if (this.#text.startsWith("&>", this.#at)) this.#at += 1;
    if (operator === undefined) return null;
    this.#at += operator.length;
    if (operator === "\n") this.#skipDocuments();
    return operator === "|&" ? "|" : (operator as Operator | "\n");
  }

  /** Its commands decide no exit status that is seen. */
  #inner(end: string, chars: number): void {
    this.#at += chars;
    if (this.#nesting >= maxNesting) return;
    const [depth, wasInBackticks] = [this.#depth, this.#isInBackticks];
    this.#nesting += 1;
    this.#depth += 1;
    this.#isInBackticks = end === "`";
    this.#list(end);
    this.#depth = depth;
    this.#isInBackticks = wasInBackticks;
    this.#nesting -= 1;
    this.#at += 1;
  }

  /** @param words before it, of which the last may be the number of a stream */
  #redirection(words: string[]): void {
    const isAttached = this.#at > 0 && /\d/.test(this.#text.charAt(this.#at - 1));
    if (isAttached && /^\d$/.test(words.at(-1) ?? "")) words.pop();
    const sign = /^(?:<<<|<<-?|[<>]\(|>>|>\||[<>]&|[<>])/.exec(this.#text.slice(this.#at, this.#at + 3))?.[0] ?? "<";
    if (sign.endsWith("(")) {
      this.#inner(")", sign.length);
      return;
    }
    this.#at += sign.length;
    while (/[ \t]/.test(this.#text.charAt(this.#at))) this.#at += 1;
    const word = this.#word();
    if (sign.startsWith("<<") && sign !== "<<<") this.#documents.push(word);
  }

  #skipDocuments(): void {
    for (const end of this.#documents) {
      for (let line = ""; this.#at < this.#text.length;) {
        const next = this.#indexOf("\n");
        line = this.#text.slice(this.#at, next);
        this.#at = next + 1;
        if (line.trim() === end) break;
      }
    }
    this.#documents = [];
  }

  #word(): string {
    let word = "";
    while (this.#at < this.#text.length) {
      const sign = this.#text.charAt(this.#at);
      if (wordEnd.test(sign) || (sign === "`" && this.#isInBackticks)) break;
      // An escape, a quote or a substitution; else the sign itself.
      word += this.#part(sign);
    }
    return word;
  }

  #part(sign: string): string {
    const next = this.#text.charAt(this.#at + 1);
    if (sign === "'") return this.#until("'");
    if (sign === '"') return this.#quoted();
    if (sign === "$" && next === "(") return this.#substitution();
    if (sign === (this.#isPowerShell ? "`" : "\\")) {
      this.#at += 2;
      return next === "\n" ? "" : next;
    }
    if (sign === "`") return this.#backticks();
    if (sign === "$" && next === "{") return this.#until("}");
    this.#at += 1;
    return sign;
  }

  /** From after the present sign to before the end sign. */
  #until(end: string): string {
    const from = this.#at + 1;
    this.#at = from;
    const to = this.#indexOf(end);
    this.#at = to + 1;
    return this.#text.slice(from, to);
  }

  #quoted(): string {
    let value = "";
    this.#at += 1;
    while (this.#at < this.#text.length && this.#text.charAt(this.#at) !== '"') {
      const sign = this.#text.charAt(this.#at);
      value +=
        sign === "'" || (sign === "$" && this.#text.charAt(this.#at + 1) === "{") ? this.#plain() : this.#part(sign);
    }
    this.#at += 1;
    return value;
  }

  #plain(): string {
    this.#at += 1;
    return this.#text.charAt(this.#at - 1);
  }

  #substitution(): string {
    const end = this.#text.startsWith("$((", this.#at) ? this.#indexOf("))") : -1;
    // Arithmetic, unless a subshell begins the substitution.
    if (end >= 0 && end < this.#indexOf("\n")) {
      this.#at = end + 2;
      return "0";
    }
    this.#inner(")", 2);
    return "$()";
  }

  #backticks(): string {
    this.#inner("`", 1);
    return "$()";
  }

  /** The text's length where it does not come. */
  #indexOf(sign: string): number {
    const found = this.#text.indexOf(sign, this.#at);
    return found < 0 ? this.#text.length : found;
  }
}
