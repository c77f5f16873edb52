/** Pure: the simple commands of a shell text, without running it. */

export type SimpleCommand = readonly string[];

const separators = new Set([";", "&", "|", "\n", "(", ")", "`"]);
const space = /\s/;
/** A longer text is a file that is being written, not a list of commands. */
const maxChars = 20_000;

interface ShellReader {
  readonly commands: string[][];
  words: string[];
  /** Null between two words. */
  word: string | null;
  quote: string | null;
}

/** Splits at `;`, `&`, `|`, lines, groups and substitutions. A quoted text is one word. */
export function simpleCommands(text: string): SimpleCommand[] {
  const reader: ShellReader = { commands: [], words: [], word: null, quote: null };
  const source = text.slice(0, maxChars);
  for (let at = 0; at < source.length; at++) {
    const char = source[at] ?? "";
    if (char === "\\" && reader.quote !== "'") {
      at += 1;
      if (source[at] !== "\n") appendChar(reader, source[at] ?? "");
    } else readChar(reader, char);
  }
  endCommand(reader);
  return reader.commands;
}

function readChar(reader: ShellReader, char: string): void {
  const { quote } = reader;
  if (quote !== null) {
    if (char === quote) reader.quote = null;
    else appendChar(reader, char);
  } else if (char === "'" || char === '"') {
    reader.quote = char;
    reader.word ??= "";
  } else if (separators.has(char)) endCommand(reader);
  else if (space.test(char)) endWord(reader);
  else appendChar(reader, char);
}

function appendChar(reader: ShellReader, char: string): void {
  reader.word = (reader.word ?? "") + char;
}

function endWord(reader: ShellReader): void {
  // Lone `{`, `}`, `!` and `$` (of a substitution) are no words.
  if (reader.word !== null && !/^[{}!$]?$/.test(reader.word)) reader.words.push(reader.word);
  reader.word = null;
}

function endCommand(reader: ShellReader): void {
  endWord(reader);
  if (reader.words.length > 0) reader.commands.push(reader.words);
  reader.words = [];
}
