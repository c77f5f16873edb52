/** Pure. Splits the text of a shell into simple commands, as far as risky ones need it. */

export interface ShellCommand {
  readonly words: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** Whether its output is the input of the next one. */
  readonly isPiped: boolean;
}

export interface Heredoc {
  readonly text: string;
  /** The delimiter is quoted: nothing in the text is substituted. */
  readonly isLiteral: boolean;
}

/** A longer text is a file that is being written, not a list of commands. */
export const maxTextChars = 20_000;

/** Splits at `;`, `&`, `|`, lines, groups and substitutions. A quoted text is one word. */
export function shellCommands(text: string): ShellCommand[] {
  return new ShellReader(text.slice(0, maxTextChars)).read();
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
  #at = 0;

  constructor(source: string) {
    this.#source = source;
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
    else if (char !== "<" || !this.#beginHeredoc()) this.#append(char);
  }

  #endAt(char: string): void {
    const isPipe = char === "|" && this.#source[this.#at + 1] !== "|" && this.#source[this.#at - 1] !== "|";
    this.#endCommand(isPipe);
    if (char !== "\n") return;
    for (const delimiter of this.#pending.splice(0)) this.#readHeredoc(delimiter);
  }

  #skipComment(): void {
    const end = this.#source.indexOf("\n", this.#at);
    this.#at = (end === -1 ? this.#source.length : end) - 1;
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

  #readHeredoc({ line: delimiter, isLiteral, isIndented, heredocs }: Delimiter): void {
    const begin = this.#at + 1;
    let next = begin;
    while (next < this.#source.length) {
      const end = this.#source.indexOf("\n", next);
      const stop = end === -1 ? this.#source.length : end;
      const line = this.#source.slice(next, stop);
      this.#at = stop;
      if ((isIndented ? line.replace(/^\t+/, "") : line) === delimiter) break;
      next = stop + 1;
    }
    heredocs.push({ text: this.#source.slice(begin, next), isLiteral });
  }

  #append(char: string): void {
    this.#word = (this.#word ?? "") + char;
  }

  #endWord(): void {
    // Lone `{`, `}`, `!` and `$` (of a substitution) are no words.
    if (this.#word !== null && !/^[{}!$]?$/.test(this.#word)) this.#words.push(this.#word);
    this.#word = null;
  }

  #endCommand(isPiped: boolean): void {
    this.#endWord();
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
