import type { Config } from "../../contract/config.ts";

const shellTools: ReadonlySet<string> = new Set(["Bash", "PowerShell"]);

/** Commands that run another command given in their words. */
const runners: ReadonlySet<string> = new Set(
  "sudo doas env nohup nice time timeout command builtin exec xargs watch npx bunx pnpm yarn npm bun bundle poetry uv pipx python python3 node php ruby docker podman kubectl ssh do then else".split(
    " ",
  ),
);
/** Commands that run a text given as a word. */
const interpreters: ReadonlySet<string> = new Set(["bash", "sh", "zsh", "dash", "ksh", "eval", "ssh", "su", "xargs"]);
const maxNesting = 3;
/** More words are what the runner works on. */
const maxRunnerWords = 30;

/** Pure. [CP30] Compares words, not text, so that a quoted mention is no command. [CP31] */
export function isRiskyCommand(
  toolName: string | null,
  toolInput: unknown,
  config: Pick<Config["checkpoint"], "beforeCommands">,
): boolean {
  if (toolName === null || !shellTools.has(toolName) || config.beforeCommands.length === 0) return false;
  const text = commandText(toolInput);
  if (text === null) return false;
  const list = patternList(config.beforeCommands);
  return hasText(text, list) || hasCommand(text, list, maxNesting);
}

function commandText(toolInput: unknown): string | null {
  if (typeof toolInput !== "object" || toolInput === null || !("command" in toolInput)) return null;
  return typeof toolInput.command === "string" ? toolInput.command : null;
}

interface Pattern {
  readonly subcommands: readonly Matcher[];
  readonly flags: readonly Matcher[];
}

type Matcher = (word: string) => boolean;

/** Most commands begin no pattern: they cost one lookup in the map. */
interface PatternList {
  readonly texts: readonly string[];
  readonly byName: ReadonlyMap<string, readonly Pattern[]>;
  readonly others: readonly { readonly name: Matcher; readonly pattern: Pattern }[];
}

const patternCache = new WeakMap<readonly string[], PatternList>();

function patternList(sources: readonly string[]): PatternList {
  const list = patternCache.get(sources) ?? readPatterns(sources);
  patternCache.set(sources, list);
  return list;
}

const textMark = /^text:\s*/i;

function readPatterns(sources: readonly string[]): PatternList {
  const byName = new Map<string, Pattern[]>();
  const others: { name: Matcher; pattern: Pattern }[] = [];
  for (const source of sources.filter((one) => !textMark.test(one))) {
    const words = source.trim().split(/\s+/);
    const [names = "", ...subcommands] = words.filter((word) => !isFlag(word));
    const pattern = {
      subcommands: subcommands.map((word) => matchAny(word.split("|").map(glob))),
      flags: words.filter(isFlag).map((word) => matchAny(word.split("|").map(flagMatcher))),
    };
    for (const name of names.split("|")) {
      if (name.includes("*")) others.push({ name: glob(name), pattern });
      else byName.set(name, [...(byName.get(name) ?? []), pattern]);
    }
  }
  const texts = sources.filter((one) => textMark.test(one)).map((one) => one.replace(textMark, "").toLowerCase());
  return { texts, byName, others };
}

function isFlag(word: string): boolean {
  return word.startsWith("-");
}

function matchAny(matchers: readonly Matcher[]): Matcher {
  return (word) => matchers.some((matches) => matches(word));
}

function glob(pattern: string): Matcher {
  if (!pattern.includes("*")) return (word) => word === pattern;
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`, "s");
  return (word) => expression.test(word);
}

/** Finds `-r` in `-fr`, and `--force` in `--force=yes`. */
function flagMatcher(flag: string): Matcher {
  if (/^-\w$/.test(flag)) return (word) => /^-\w+$/.test(word) && word.includes(flag.charAt(1));
  return (word) => word === flag || word.startsWith(`${flag}=`);
}

function hasText(text: string, { texts }: PatternList): boolean {
  if (texts.length === 0) return false;
  const plain = text.toLowerCase().replaceAll(/\s+/g, " ");
  return texts.some((subcommandMatchers) => plain.includes(subcommandMatchers));
}

function hasCommand(text: string, list: PatternList, nested: number): boolean {
  return simpleCommands(text).some((words) => isRisky(words, list, nested));
}

function isRisky(all: SimpleCommand, list: PatternList, nested: number): boolean {
  const words = all.slice(all.findIndex((word) => !/^\w+=/.test(word)));
  if (all.some((word) => runsSubstituted(word, list, nested))) return true;
  // Options and operands of a runner precede what it runs.
  const starts = runners.has(baseName(words[0] ?? "")) ? Math.min(words.length, maxRunnerWords) : 1;
  return Array.from({ length: starts }, (_, at) => words.slice(at)).some(
    (rest) => matchesAny(rest, list) || runsText(rest, list, nested),
  );
}

function matchesAny(words: SimpleCommand, { byName, others }: PatternList): boolean {
  const [command = "", ...rest] = words;
  const name = baseName(command);
  const isMatch = (pattern: Pattern): boolean => matches(rest, pattern);
  const isFound = byName.get(name)?.some(isMatch) || others.some((one) => one.name(name) && isMatch(one.pattern));
  return isFound && !isRemovalOfGenerated(words);
}

function runsText([first = "", ...rest]: SimpleCommand, list: PatternList, nested: number): boolean {
  if (nested === 0 || !interpreters.has(baseName(first))) return false;
  return rest.some((word) => /\s/.test(word) && hasCommand(word, list, nested - 1));
}

function runsSubstituted(word: string, list: PatternList, nested: number): boolean {
  const at = word.search(/\$\(|`/);
  return at >= 0 && nested > 0 && hasCommand(word.slice(at + 1), list, nested - 1);
}

function baseName(word: string): string {
  return word.slice(word.lastIndexOf("/") + 1);
}

function matches(words: readonly string[], { subcommands, flags }: Pattern): boolean {
  return hasSubcommands(words, subcommands) && flags.every((flag) => words.some(flag));
}

/** Allows only options, and what may be the value of one, between the subcommands. */
function hasSubcommands(words: readonly string[], subcommandMatchers: readonly Matcher[]): boolean {
  let matched = 0;
  let isAfterOption = false;
  for (const word of words) {
    const next = subcommandMatchers[matched];
    if (!next) return true;
    if (next(word)) matched += 1;
    else if (!word.startsWith("-") && !isAfterOption) return false;
    isAfterOption = word.startsWith("-") && !word.includes("=");
  }
  return matched === subcommandMatchers.length;
}

const generatedFolder =
  /^(?:\.\/)?(?:[\w@.-]+\/)*(?:node_modules|dist|build|out|target|coverage|\.cache|\.next|\.turbo|__pycache__|\.pytest_cache)(?:\/|$)/;

/** [CP32] `rm -rf node_modules/.cache` is no risk. */
function isRemovalOfGenerated([command = "", ...rest]: SimpleCommand): boolean {
  if (baseName(command) !== "rm") return false;
  const operands = rest.filter((word) => !word.startsWith("-"));
  return operands.length > 0 && operands.every((path) => generatedFolder.test(path) && !path.split("/").includes(".."));
}

type SimpleCommand = readonly string[];

const separators = new Set([";", "&", "|", "\n", "(", ")", "`"]);
const space = /\s/;
/** A longer text is a file that is being written, not a list of commands. */
const maxTextChars = 20_000;

interface ShellReader {
  readonly commands: string[][];
  words: string[];
  /** Null between two words. */
  word: string | null;
  quote: string | null;
}

/** Splits at `;`, `&`, `|`, lines, groups and substitutions. A quoted text is one word. */
function simpleCommands(text: string): SimpleCommand[] {
  const reader: ShellReader = { commands: [], words: [], word: null, quote: null };
  const source = text.slice(0, maxTextChars);
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
