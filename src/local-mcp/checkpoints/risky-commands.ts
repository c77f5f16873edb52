import type { Config } from "../../contract/config.ts";
import { matchesAny, patternList, type PatternList } from "./command-patterns.ts";
import { maxTextChars, shellCommands, substitutions, type ShellCommand } from "./shell-commands.ts";

const shellTools: ReadonlySet<string> = new Set(["Bash", "PowerShell"]);

function setOf(names: string): ReadonlySet<string> {
  return new Set(names.split(" "));
}

/** Commands that run another command given in their words. */
const runners = setOf(
  "sudo doas env nohup nice ionice time timeout stdbuf setsid flock strace command builtin exec xargs parallel watch find fd npx bunx pnpx pnpm yarn npm bun bundle poetry uv uvx pipx python python3 py node deno php ruby docker podman kubectl ssh do then else elif if while until cmd cmd.exe",
);
/** Commands that run a text given as a word, or on their input. */
const interpreters = setOf("bash sh zsh dash ksh eval ssh su runuser parallel cmd cmd.exe powershell pwsh");
/** Words after which a runner manages packages or containers, and runs nothing. */
const managing = setOf(
  "add install i ci rm remove un uninstall update upgrade up why info view show ls list outdated audit config init create publish pack link unlink search build pull push images ps logs inspect rmi tag",
);
const executing = setOf("exec x dlx run run-script");
const packageManagers = setOf("npm pnpm yarn bun poetry uv pipx docker podman");

/** Commands that search, show, write or record the text in their words and their input. */
const quietCommands = setOf(
  "grep egrep fgrep zgrep rg ag ack echo printf cat bat tee head tail less more sort uniq wc cut tr sed awk jq diff comm cp mv ls mkdir touch chmod man which export vitest jest mocha pytest select-string write-output write-host set-content add-content out-file get-content",
);
const quietSubcommands: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["git", setOf("grep log show diff commit blame notes tag add status")],
  ["gh", setOf("pr issue release search")],
]);

const maxNesting = 3;
/** More words are what the runner works on. */
const maxRunnerWords = 30;
/** Bounds the search for the commands that use a text. */
const maxFollowing = 200;

/** Pure. [CP30] Compares words, not text, so that a quoted mention is no command. [CP31] */
export function isRiskyCommand(
  toolName: string | null,
  toolInput: unknown,
  config: Pick<Config["checkpoint"], "beforeCommands">,
): boolean {
  if (toolName === null || !shellTools.has(toolName) || config.beforeCommands.length === 0) return false;
  const text = commandText(toolInput);
  if (text === null) return false;
  // PowerShell's escape is the backtick; its backslash stands in paths alone.
  const posix = toolName === "PowerShell" ? text.replaceAll("\\", "/") : text;
  return isRiskyText(posix, patternList(config.beforeCommands), maxNesting);
}

function commandText(toolInput: unknown): string | null {
  if (typeof toolInput !== "object" || toolInput === null || !("command" in toolInput)) return null;
  return typeof toolInput.command === "string" ? toolInput.command : null;
}

function isRiskyText(text: string, list: PatternList, nested: number): boolean {
  const commands = shellCommands(text);
  if (isLongTextRun(text, commands, list)) return true;
  return commands.some((command, at) => {
    const rest = (): readonly ShellCommand[] => commands.slice(at, at + maxFollowing);
    return (
      isRisky(command.words, list, nested) ||
      isTextRun(command, rest, list) ||
      isRiskyInput(command, rest, list, nested)
    );
  });
}

/** Behind the limit the text is that of a heredoc, as far as its reader tells. */
function isLongTextRun(text: string, commands: readonly ShellCommand[], list: PatternList): boolean {
  if (text.length <= maxTextChars || !hasText(text.slice(maxTextChars), list)) return false;
  return commands.some(({ words }) => !isQuiet(words));
}

type Words = readonly string[];

function isRisky(all: Words, list: PatternList, nested: number): boolean {
  const words = withoutVariables(all);
  if (all.some((word) => runsSubstituted(word, list, nested))) return true;
  // Options and operands of a runner precede what it runs.
  const starts = isRunning(words) ? Math.min(words.length, maxRunnerWords) : 1;
  return Array.from({ length: starts }, (_, at) => words.slice(at)).some(
    (rest) => isListed(rest, list) || runsText(rest, list, nested),
  );
}

function withoutVariables(words: Words): Words {
  return words.slice(words.findIndex((word) => !/^\w+=/.test(word)));
}

function nameOf([command = ""]: Words): string {
  return command.slice(command.lastIndexOf("/") + 1);
}

function isRunning(words: Words): boolean {
  const name = nameOf(words);
  if (name === "command") return !/^-[vV]$/.test(words[1] ?? "");
  return runners.has(name) && !(packageManagers.has(name) && isManaging(words.slice(1)));
}

/** The value of an option may stand before the word that says what to do. */
function isManaging(words: Words): boolean {
  const at = words.findIndex((word) => !word.startsWith("-"));
  const [first = "", second = ""] = words.slice(at);
  if (managing.has(first)) return true;
  return at > 0 && !executing.has(first) && managing.has(second);
}

function isListed(words: Words, list: PatternList): boolean {
  return matchesAny(nameOf(words), words.slice(1), list) && !isRemovalOfGenerated(words);
}

function runsText([first = "", ...rest]: Words, list: PatternList, nested: number): boolean {
  if (nested === 0 || !interpreters.has(nameOf([first]))) return false;
  return rest.some((word) => /\s/.test(word) && isRiskyText(word, list, nested - 1));
}

function runsSubstituted(word: string, list: PatternList, nested: number): boolean {
  const at = word.search(/\$\(|`/);
  return at >= 0 && nested > 0 && isRiskyText(word.slice(at + (word[at] === "$" ? 2 : 1)), list, nested - 1);
}

/** [CP56] @param rest begins with the command; a quiet one passes its text to a later one */
function isTextRun({ words }: ShellCommand, rest: () => readonly ShellCommand[], list: PatternList): boolean {
  if (list.texts.length === 0 || !hasText(ownWords(words).join(" "), list)) return false;
  return consumers(rest()).some((one) => !isQuiet(one.words));
}

/** The text of an interpreter is judged by the commands in it. */
function ownWords(words: Words): Words {
  return words.some((one) => interpreters.has(nameOf([one]))) ? words.filter((word) => !/\s/.test(word)) : words;
}

function hasText(text: string, { texts }: PatternList): boolean {
  const plain = text.toLowerCase().replaceAll(/\s+/g, " ");
  return texts.some((one) => plain.includes(one));
}

/** The command and those that its output reaches. */
function consumers(rest: readonly ShellCommand[]): readonly ShellCommand[] {
  const last = rest.findIndex(({ isPiped }) => !isPiped);
  return last === -1 ? rest : rest.slice(0, last + 1);
}

function isQuiet(all: Words): boolean {
  const words = withoutVariables(all);
  const at = words.findIndex((word) => !word.startsWith("-") && !runners.has(nameOf([word])));
  const name = nameOf(words.slice(Math.max(0, at))).toLowerCase();
  return quietCommands.has(name) || (quietSubcommands.get(name)?.has(words[at + 1] ?? "") ?? false);
}

/**
 * [CP56] A text that is only written or shown is no risk, unless a later command runs the file.
 * @param rest begins with the command
 */
function isRiskyInput(
  { heredocs }: ShellCommand,
  rest: () => readonly ShellCommand[],
  list: PatternList,
  nested: number,
): boolean {
  if (nested === 0 || heredocs.length === 0) return false;
  const inner = heredocs.flatMap(({ text, isLiteral }) => (isLiteral ? [] : substitutions(text)));
  if (inner.some((text) => isRiskyText(text, list, nested - 1))) return true;
  const users = usersOfInput(rest());
  if (users.some(runsScript)) return heredocs.some(({ text }) => isRiskyText(text, list, nested - 1));
  return users.some((words) => !isQuiet(words)) && heredocs.some(({ text }) => hasText(text, list));
}

/** The commands that read the input, and the later ones that use a file which those write. */
function usersOfInput(rest: readonly ShellCommand[]): readonly Words[] {
  const readers = consumers(rest);
  const files = writtenFiles(readers);
  const later = files.size === 0 ? [] : rest.slice(readers.length).filter(({ words }) => isUseOf(files, words));
  return [...readers, ...later].map(({ words }) => words);
}

function runsScript(words: Words): boolean {
  const names = words.slice(0, maxRunnerWords).map((word) => nameOf([word]));
  return /^\.{0,2}\//.test(words[0] ?? "") || names.some((name) => interpreters.has(name) || name === "source");
}

/** Files behind `>`, and those that `tee` writes. */
function writtenFiles(commands: readonly ShellCommand[]): ReadonlySet<string> {
  return new Set(commands.flatMap(({ words }) => filesWrittenBy(words)));
}

function filesWrittenBy(words: Words): readonly string[] {
  const tee = words.indexOf("tee");
  return words.flatMap((word, at) => {
    const isTarget = /^\d?>{1,2}$/.test(words[at - 1] ?? "") || (tee !== -1 && at > tee);
    return isTarget ? nameOf([word]) : (/^\d?>{1,2}(?<file>.+)$/.exec(word)?.groups?.["file"] ?? []);
  });
}

function isUseOf(files: ReadonlySet<string>, words: Words): boolean {
  return !isQuiet(words) && words.some((word) => files.has(nameOf([word])));
}

const removers = setOf("rm rimraf remove-item ri rd rmdir del erase");
const generatedFolder =
  /^(?:\.\/)?(?:[\w@.-]+\/)*(?:node_modules|dist|build|out|target|coverage|\.cache|\.next|\.turbo|__pycache__|\.pytest_cache)(?:\/|$)/;

/** [CP32] `rm -rf node_modules/.cache` is no risk. */
function isRemovalOfGenerated(words: Words): boolean {
  if (!removers.has(nameOf(words).toLowerCase())) return false;
  const operands = words.slice(1).filter((word) => !/^-|^(?:\/\w)+$|^\d?>/.test(word));
  return operands.length > 0 && operands.every((path) => generatedFolder.test(path) && !path.split("/").includes(".."));
}
