/** Pure. Splits the text of a shell into simple commands, as far as risky ones need it. */

export interface ShellCommand {
  readonly words: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** Whether its output is the input of the next one. */
  readonly isPiped: boolean;
}

/** Input of a command that its own text contains: a heredoc or a here-string. */
export interface Heredoc {
  readonly text: string;
  /** The delimiter or the text is quoted: nothing in it is substituted. */
  readonly isLiteral: boolean;
}

/** A longer text is a file that is being written, not a list of commands. */
export const maxTextChars = 20_000;

/** Splits at `;`, `&`, `|`, lines, groups and substitutions. A quoted text is one word. */
export function shellCommands(text: string): ShellCommand[] {
  return new ShellReader(text).read();
}

interface Delimiter {
  readonly line: string;
  readonly isLiteral: boolean;
  readonly isIndented: boolean;
  readonly heredocs: Heredoc[];
}

interface Draft {
  readonly words: string[];
  readonly heredocs: Heredoc[];
  readonly isPiped: boolean;
}

const separators = new Set([";", "&", "|", "\n", "(", ")", "`"]);
const quotes = new Set(["'", '"']);
const space = /\s/;
const heredocStart = /<<(-?)[ \t]*(?:'([^'\n]+)'|"([^"\n]+)"|(\\?[\w.-]+))/y;

/** Finds delimiters in one pass over all lines, however many heredocs there are. */
class LineIndex {
  readonly #isIndented: boolean;
  /** Begins of equal lines, the last first. */
  #starts: ReadonlyMap<string, number[]> | null = null;

  constructor(isIndented: boolean) {
    this.#isIndented = isIndented;
  }

  /** @param from never less than in an earlier call */
  find(source: string, line: string, from: number): number | null {
    this.#starts ??= this.#read(source);
    const starts = this.#starts.get(line) ?? [];
    while ((starts.at(-1) ?? from) < from) starts.pop();
    return starts.at(-1) ?? null;
  }

  #read(source: string): ReadonlyMap<string, number[]> {
    const starts = new Map<string, number[]>();
    let end = source.length;
    for (const line of source.split("\n").toReversed()) {
      const key = this.#isIndented ? line.replace(/^\t+/, "") : line;
      const equal = starts.get(key);
      if (equal) equal.push(end - line.length);
      else starts.set(key, [end - line.length]);
      end -= line.length + 1;
    }
    return starts;
  }
}

class ShellReader {
  readonly #source: string;
  readonly #commands: Draft[] = [];
  #words: string[] = [];
  #heredocs: Heredoc[] = [];
  /** Heredocs begin in the line after their command. */
  #pending: Delimiter[] = [];
  /** Null between two words. */
  #word: string | null = null;
  #quote: string | null = null;
  /** Begin of a here-string, whose word is still to come or to end. */
  #hereString: number | null = null;
  /** Open brackets since `((`. */
  #arithmeticDepth = 0;
  #at = 0;
  readonly #isCut: boolean;
  readonly #plainLines = new LineIndex(false);
  readonly #indentedLines = new LineIndex(true);

  constructor(text: string) {
    this.#source = text.slice(0, maxTextChars);
    this.#isCut = text.length > maxTextChars;
  }

  read(): ShellCommand[] {
    for (; this.#at < this.#source.length; this.#at++) {
      const char = this.#source[this.#at] ?? "";
      if (char === "\\" && this.#quote !== "'") this.#readEscaped();
      else if (this.#quote === null) this.#readChar(char);
      else if (char === this.#quote) this.#quote = null;
      else this.#append(char);
    }
    this.#endCommand(false);
    return this.#commands;
  }

  #readEscaped(): void {
    this.#at += 1;
    const char = this.#source[this.#at] ?? "";
    if (char !== "\n") this.#append(char);
  }

  #readChar(char: string): void {
    if (quotes.has(char)) {
      this.#quote = char;
      this.#word ??= "";
    } else if (separators.has(char)) this.#endAt(char);
    else if (space.test(char)) this.#endWord();
    else if (char === "#" && this.#word === null) this.#skipComment();
    else if (char !== "<" || !this.#beginInput()) this.#append(char);
  }

  #endAt(char: string): void {
    const isPipe = char === "|" && this.#source[this.#at + 1] !== "|" && this.#source[this.#at - 1] !== "|";
    this.#endCommand(isPipe);
    this.#countArithmetic(char);
    if (char !== "\n") return;
    for (const delimiter of this.#pending.splice(0)) this.#readHeredoc(delimiter);
  }

  #countArithmetic(char: string): void {
    const isInside = this.#arithmeticDepth > 0;
    if (char === "(" && (isInside || this.#source[this.#at + 1] === "(")) this.#arithmeticDepth += 1;
    if (char === ")" && isInside) this.#arithmeticDepth -= 1;
  }

  #skipComment(): void {
    const end = this.#source.indexOf("\n", this.#at);
    this.#at = (end === -1 ? this.#source.length : end) - 1;
  }

  /** In arithmetic `<<` shifts. */
  #beginInput(): boolean {
    if (this.#arithmeticDepth > 0) return false;
    if (!this.#source.startsWith("<<<", this.#at)) return this.#beginHeredoc();
    this.#endWord();
    this.#at += 2;
    this.#hereString = this.#at + 1;
    return true;
  }

  #beginHeredoc(): boolean {
    heredocStart.lastIndex = this.#at;
    const [all, dash, single, double, bare] = heredocStart.exec(this.#source) ?? [];
    if (all === undefined) return false;
    this.#endWord();
    const line = single ?? double ?? bare ?? "";
    const isLiteral = bare === undefined || line.startsWith("\\");
    const heredocs = this.#heredocs;
    this.#pending.push({ line: line.replace(/^\\/, ""), isLiteral, isIndented: dash === "-", heredocs });
    this.#at += all.length - 1;
    return true;
  }

  /** Without its delimiter, what follows is commands, unless the text was cut before it. */
  #readHeredoc({ line, isLiteral, isIndented, heredocs }: Delimiter): void {
    const begin = this.#at + 1;
    const index = isIndented ? this.#indentedLines : this.#plainLines;
    const end = index.find(this.#source, line, begin);
    if (end === null && !this.#isCut) return;
    heredocs.push({ text: this.#source.slice(begin, end ?? undefined), isLiteral });
    const next = end === null ? -1 : this.#source.indexOf("\n", end);
    this.#at = next === -1 ? this.#source.length : next;
  }

  #append(char: string): void {
    this.#word = (this.#word ?? "") + char;
  }

  #endWord(): void {
    // Lone `{`, `}`, `!` and `$` (of a substitution) are no words.
    if (this.#word !== null && !/^[{}!$]?$/.test(this.#word)) this.#addWord(this.#word);
    this.#word = null;
  }

  #addWord(word: string): void {
    if (this.#hereString === null) this.#words.push(word);
    else {
      const isLiteral = /^\s*'[^']*'$/.test(this.#source.slice(this.#hereString, this.#at));
      this.#heredocs.push({ text: word, isLiteral });
    }
    this.#hereString = null;
  }

  #endCommand(isPiped: boolean): void {
    this.#endWord();
    this.#hereString = null;
    const [words, heredocs] = [this.#words, this.#heredocs];
    if (words.length > 0) this.#commands.push({ words, heredocs, isPiped });
    this.#words = [];
    this.#heredocs = [];
  }
}

/** The contents of `$(...)` and of backticks. */
export function substitutions(text: string): string[] {
  const found: string[] = [];
  let end = 0;
  for (let at = text.indexOf("$("); at !== -1; at = text.indexOf("$(", end)) {
    end = endOfGroup(text, at + 2);
    found.push(text.slice(at + 2, end));
  }
  for (const [, inner = ""] of text.matchAll(/`([^`]*)`/g)) found.push(inner);
  return found;
}

const maxSubstitutionChars = 1_000;

function endOfGroup(text: string, from: number): number {
  let depth = 1;
  const end = Math.min(text.length, from + maxSubstitutionChars);
  for (let at = from; at < end; at++) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return end;
}
