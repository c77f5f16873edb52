import { readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { shellCommandOf, type ShellCommand } from "../../clients/adapter/tools.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { type EffectCommand, effectCommands, type EffectKind, harmlessWords } from "../../contract/effects.ts";
import type { HookInput } from "../../contract/hooks.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import { isWayToOwnTool } from "../../contract/own-tools.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { stored } from "../../contract/limits.ts";
import { shells } from "../../platform/processes.ts";
import { boundTexts, redactJson } from "../../redaction/redact-json.ts";
import { redactAndClip } from "../../redaction/redact.ts";
import { codeOf } from "../../shared/error.ts";
import { asObject, parseObject, textAt } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { setNewest } from "../../shared/set-newest.ts";
import { matchesWord, type WantedWord, wordsOf } from "../../shared/wildcard.ts";
import { type GitHead, projectRoot, readHead } from "../../snapshots/git-head.ts";
import {
  removedBy,
  simpleCommands,
  type SimpleCommand,
  type Shown,
  shownThrough,
  worktreeIn,
} from "./shell-commands.ts";

/** Pure: deeds of a call for its entry: commands that cannot be undone, files, work trees. */

export type CallEntry = Extract<JournalEntry, { kind: "tool_start" | "tool_end" | "tool_error" }>;

/** Entries that may have notes. */
export function isCall(entry: JournalEntry): entry is CallEntry {
  return entry.kind === "tool_start" || entry.kind === "tool_end" || entry.kind === "tool_error";
}

interface FoundEffect {
  readonly kind: EffectKind;
  readonly command: string;
  readonly words: readonly string[];
  readonly shows: Shown | null;
  /** Folders that it changed to before; null: not known. */
  readonly folders: readonly string[] | null;
  /** Its target does it only once. */
  readonly isOnce: boolean;
  readonly check: string | null;
  /** Moved, perhaps, by the commands before it in its call. */
  readonly moved: Moved;
}

/** The commit of the branch, or also which branch it is. */
type Moved = "nothing" | "commit" | "branch";

interface Wanted {
  readonly program: WantedWord;
  readonly words: readonly WantedWord[];
  readonly unless: readonly WantedWord[];
  readonly once: readonly WantedWord[];
  readonly declared: EffectCommand;
}

/** SHIM's commands behind those of a user, and what they find in the newest texts for a shell. */
interface Table {
  readonly wanted: readonly Wanted[];
  readonly read: Map<string, Deeds>;
}

const tables = new WeakMap<readonly EffectCommand[], Table>();

function tableOf(own: readonly EffectCommand[]): Table {
  const known = tables.get(own);
  if (known) return known;
  const table = { wanted: [...own, ...effectCommands].map(toWanted), read: new Map<string, Deeds>() };
  tables.set(own, table);
  return table;
}

function toWanted(declared: EffectCommand): Wanted {
  const [program, ...words] = wordsOf(declared.words) as [WantedWord, ...WantedWord[]];
  const unless = wordsOf(`${harmlessWords} ${declared.unless ?? ""}`);
  const once = declared.once === undefined ? [] : wordsOf(declared.once);
  return { program, words, unless, once, declared };
}

/** The first entry that fits, and the index behind the last word that it names. */
function findEntry(table: readonly Wanted[], words: readonly string[]): { entry: Wanted; rest: number } | null {
  const name = nameOf(words[0] ?? "");
  for (const entry of table) {
    const rest = matchesWord(name, entry.program) ? matchesAll(words, entry) : null;
    if (rest !== null) return { entry, rest };
  }
  return null;
}

/** Deeds of a call, as its input says them. */
interface Deeds {
  /** Commands of SHIM's table and of the user, each as it ran. */
  readonly effects: readonly FoundEffect[];
  /** Files that its commands are to take away. */
  readonly removed: readonly string[];
  /** Folders of the work trees that they make. */
  readonly worktrees: readonly string[];
}

type CallInput = Pick<HookInput, "tool_name" | "tool_input" | "cwd">;

const noneAdded: readonly EffectCommand[] = [];

/** @param own commands that the user added */
export function deedsOf({ tool_name: tool = "", tool_input: input, cwd }: CallInput, own = noneAdded): Deeds {
  const { wanted, read } = tableOf(own);
  const command = shellCommandOf(tool, input);
  if (command === null) return { effects: toolEffects(wanted, tool, input), removed: [], worktrees: [] };
  // The end of a call asks again what its begin has asked.
  const key = `${command.shell} ${cwd} ${command.text}`;
  const known = read.get(key);
  if (known) return known;
  const found = readCommands(wanted, command, cwd);
  setNewest(read, key, found, maxRead);
  return found;
}

const maxRead = 64;

function readCommands(wanted: readonly Wanted[], { text, shell }: ShellCommand, cwd: string | undefined): Deeds {
  const isPowerShell = shell === "powershell";
  const commands = simpleCommands(text, isPowerShell);
  return {
    effects: effectsIn(wanted, commands, isPowerShell),
    removed: cwd === undefined ? [] : commands.flatMap((one) => removedBy(one, cwd)),
    worktrees: commands.flatMap(worktreeIn),
  };
}

/** A server's tool is a command without words, whose end is its own. */
function toolEffects(all: readonly Wanted[], toolName: string, toolInput: unknown): FoundEffect[] {
  if (isWayToOwnTool(toolName) || !/[_:./-]/.test(toolName)) return [];
  const words = [toolName.toLowerCase()];
  // Clients join a server's name and its tool's with different signs.
  const found = findEntry(all, words) ?? findEntry(all, [toolName.toLowerCase().replaceAll(/[:./-]+/g, "_")]);
  if (!found) return [];
  const command = `${toolName} ${JSON.stringify(redactJson(boundTexts(toolInput ?? {}, stored.effectInput)).value)}`;
  const { kind } = found.entry.declared;
  return [{ kind, command, words, shows: "all", folders: [], isOnce: false, check: null, moved: "nothing" }];
}

const maxShells = 3;

function effectsIn(
  all: readonly Wanted[],
  commands: readonly SimpleCommand[],
  isPowerShell: boolean,
  depth = 0,
  before: Moved = "nothing",
): FoundEffect[] {
  let moved = before;
  return commands.flatMap((command): FoundEffect[] => {
    const words = withoutWrappers(command.words);
    const script = depth < maxShells ? scriptOf(words) : null;
    if (script !== null) {
      const inside = simpleCommands(script, isPowerShell);
      const found = effectsIn(all, inside, isPowerShell, depth + 1, moved);
      moved = inside.reduce((known, inner) => movedBy(inner.words, known), moved);
      return found.map((inner) => Object.assign(inner, shownThrough(command, inner)));
    }
    const lower = words.map((word) => word.toLowerCase());
    const found = findEntry(all, lower);
    const behind = moved;
    moved = movedBy(lower, moved);
    if (!found) return [];
    const { declared, once } = found.entry;
    const isOnce = matchesAny(lower, once);
    const check = declared.check === undefined ? null : checkFor(declared.check, words, found.rest);
    return [{ ...command, kind: declared.kind, command: command.text, words, isOnce, check, moved: behind }];
  });
}

const committing = /^(?:commit|merge|pull|rebase|cherry-pick|revert|am|reset)$/;
/** Commands of git that move neither; others may be aliases. */
const still =
  /^(?:add|blame|branch|clean|config|describe|diff|fetch|gc|grep|log|ls-\w+|mv|notes|push|remote|restore|rev-parse|rm|show|stash|status|submodule|tag)$/;
/** Programs, and words of them, that make a commit of a new version. */
const releasing = /^(?:version|release|bump\w*|standard-version|release-it|semantic-release)$/;

function movedBy(words: readonly string[], known: Moved): Moved {
  if (nameOf(words[0] ?? "") !== "git")
    return known === "nothing" && words.slice(0, 3).some((word) => releasing.test(word)) ? "commit" : known;
  const command = words.find((word, index) => index > 0 && !isOption(word) && !/^-[Cc]$/.test(words[index - 1] ?? ""));
  if (known === "branch" || command === undefined || still.test(command)) return known;
  return committing.test(command) ? "commit" : "branch";
}

/** @returns null where the word that it needs is missing, or would have to be quoted */
function checkFor(check: string, words: readonly string[], rest: number): string | null {
  const target = words.slice(rest).find((word) => !isOption(word)) ?? "";
  if (check.includes("{1}") && !/^[\w@./:=,-]+$/.test(target)) return null;
  return check.replace("{0}", nameOf(words[0] ?? "")).replace("{1}", target);
}

/** @returns the index behind the last word that an entry names; null: it is another command */
function matchesAll(words: readonly string[], { words: wanted, unless }: Wanted): number | null {
  let at = 1;
  let valueAt = 0;
  for (const one of wanted) {
    // The value of the option before.
    if (valueAt > 0 && matchesWord(words[valueAt] ?? "", one)) continue;
    const found = words.findIndex((word, index) => index >= at && matchesWord(word, one));
    valueAt = isOption(words[found]) ? found + 1 : 0;
    // Between them stand options alone, and their values.
    const between = words.slice(at, Math.max(found, at));
    const isNext = between.every((word, index) => isOption(word) || isOption(between[index - 1]));
    if (found < 0 || (!isNext && !isOption(words[found]))) return null;
    if (!isOption(words[found]) || found === at) at = found + 1;
  }
  return matchesAny(words, unless) ? null : at;
}

function matchesAny(words: readonly string[], wanted: readonly WantedWord[]): boolean {
  return words.some((word) => wanted.some((one) => matchesWord(word, one)));
}

function isOption(word: string | undefined): boolean {
  return word?.startsWith("-") ?? false;
}

function nameOf(program: string): string {
  return program.slice(program.lastIndexOf("/") + 1).replace(/\.(?:exe|cmd)$/, "");
}

/** Programs that run the one behind them. */
const wrappers =
  /^(?:sudo|doas|env|time|timeout|nice|nohup|command|exec|builtin|stdbuf|npx|bunx|pnpx|python3?|py|php|ruby|node)$/;
/** Programs that do so with one of these words. */
const runners = [
  [/^(?:npm|pnpm|yarn|bun|mise|bundle)$/, /^(?:exec|x|dlx)$/],
  [/^(?:poetry|uv|pipenv|hatch|pdm|doppler|op|dotenv|dotenvx)$/, /^(?:run|--)$/],
] as const;

/** The words of the program that a command is about. */
export function withoutWrappers(given: readonly string[]): readonly string[] {
  let words = given;
  for (;;) {
    const name = nameOf(words[0] ?? "");
    if (/^[A-Za-z_]\w*=/.test(words[0] ?? "")) words = words.slice(1);
    else if (runners.some(([one, word]) => one.test(name) && word.test(words[1] ?? "")))
      words = behindOptions(words, 2);
    else if (wrappers.test(name) && words.length > 1) words = behindOptions(words, name === "timeout" ? 2 : 1);
    // A shell that is given a file runs that as a program.
    else if (shells.has(name) && words.length > 1 && scriptOf(words) === null) words = behindOptions(words, 1);
    else return words;
  }
}

/** Options of a wrapper that take a word. */
const valued: ReadonlySet<string | undefined> = new Set(["-u", "-g", "-n", "-k", "-s", "-p", "--package", "--user"]);

function behindOptions(words: readonly string[], from: number): readonly string[] {
  const at = words.findIndex((word, index) => index >= from && !isOption(word) && !valued.has(words[index - 1]));
  return at < 0 ? [] : words.slice(at);
}

/** Text that a shell is given to run. */
function scriptOf(words: readonly string[]): string | null {
  const name = nameOf(words[0] ?? "");
  if (name === "eval") return words.slice(1).join(" ");
  const at = shells.has(name) ? words.findIndex((word) => /^-\w*c$|^-command$/i.test(word)) : -1;
  return at < 0 ? null : (words[at + 1] ?? null);
}

/** Where a call runs that is about to begin or has just ended. */
export interface CallFolder {
  readonly cwd: string;
  readonly project: string | null;
  /** Its commands have not run yet. */
  readonly isBefore?: boolean;
}

const maxNotes = 8;

/** Deeds of a call for its entry in the journal. */
export interface CallNotes extends Pick<Deeds, "removed" | "worktrees"> {
  /** Commands that cannot be undone. */
  readonly effects: readonly EffectNote[];
}

/**
 * @param own commands that the user added
 * @param callFolder for its commit and the version of its package; absent: the call is of the past
 */
export function noteCall(
  input: CallInput,
  own?: readonly EffectCommand[],
  callFolder: CallFolder | null = null,
): CallNotes {
  const deeds = deedsOf(input, own);
  const found = deeds.effects.slice(0, maxNotes);
  const effects = found.map((one) => toNote(one, callFolder === null ? {} : positionOf(one, callFolder)));
  return { ...deeds, effects };
}

type Position = Pick<EffectNote, "folder" | "subject" | "branch">;

function toNote({ kind, command, check, shows, isOnce }: FoundEffect, position: Position): EffectNote {
  const { subject } = position;
  const isKnown = check !== null && (subject !== undefined || !check.includes("{subject}"));
  return {
    kind,
    command: redactAndClip(command, stored.effect).replaceAll(/\s+/g, " "),
    ...(shows === null ? {} : { shows }),
    ...position,
    ...(isOnce ? { isOnce } : {}),
    ...(isKnown ? { check: check.replaceAll("{subject}", subject ?? "") } : {}),
  };
}

/** Without an exit code the end of a call shows nothing in a client that may hide a failure. */
export function asShownBy<Entry extends JournalEntry>(entry: Entry, client: ClientAdapter | null): Entry {
  const isHidden = entry.kind === "tool_end" && entry.exitCode !== 0 && client?.hidesFailures === true;
  return isHidden ? { ...entry, hidesFailure: true } : entry;
}

function positionOf(found: FoundEffect, { cwd, project, isBefore = false }: CallFolder): Position {
  if (found.folders === null) return {};
  const folder = resolve(cwd, ...found.folders, ...foldersOfOption(found.words));
  const inside = project === null ? folder : relative(project, folder);
  return {
    ...(inside === "" ? {} : { folder: inside.startsWith("..") ? folder : inside }),
    ...unmoved(subjectOf(found, folder), isBefore ? found.moved : "nothing"),
  };
}

function unmoved({ subject, branch }: Position, moved: Moved): Position {
  return omitUndefined({
    subject: moved === "nothing" ? subject : undefined,
    branch: moved === "branch" ? undefined : branch,
  });
}

/** `git -C <folder>` */
function foldersOfOption([program, option, folder]: readonly string[]): string[] {
  return program === "git" && option === "-C" && folder !== undefined ? [folder] : [];
}

/** A later commit, or another version, makes a repetition of the command another effect. */
function subjectOf({ kind, words }: FoundEffect, folder: string): Position {
  const version = kind === "publish" && packagePrograms.has(words[0] ?? "") ? packageIn(folder) : null;
  if (version !== null) return { subject: version };
  const push = readPush(words);
  if (push === null && kind !== "deployment" && kind !== "publish") return {};
  const { branch, commit } = headIn(folder);
  const isOfHead = push === null || push.from === null || push.from === "HEAD" || push.from === branch;
  const subject = isOfHead && commit !== null ? { subject: commit } : {};
  return push === null || branch === null ? subject : { ...subject, branch };
}

function headIn(folder: string): GitHead {
  const root = projectRoot(folder);
  return (root === null ? null : readHead(root)) ?? { branch: null, commit: null };
}

const packagePrograms: ReadonlySet<string> = new Set(["npm", "pnpm", "yarn", "bun", "lerna", "changeset"]);

const maxPackageBytes = 1_000_000;

function packageIn(folder: string): string | null {
  try {
    const path = join(folder, "package.json");
    const stat = statSync(path);
    const about = stat.isFile() && stat.size <= maxPackageBytes ? parseObject(readFileSync(path, "utf8")) : null;
    const [name, version] = [textAt(asObject(about), "name", 214), textAt(asObject(about), "version", 100)];
    return name !== null && version !== null && /^[\w@./+-]+$/.test(name + version) ? `${name}@${version}` : null;
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return null;
  }
}

/** References that a `git push` names. */
export interface PushTarget {
  /** Remote by its name; null: the one that git's configuration has. */
  readonly remote: string | null;
  /** The local one; null: the present branch, or as git's configuration says. */
  readonly from: string | null;
  /** The remote one; null: as `from`. */
  readonly to: string | null;
  readonly isDeletion: boolean;
}

const withValue: ReadonlySet<string> = new Set(["-o", "--push-option", "--repo", "--receive-pack", "--exec"]);

/** @returns null for another command, and for one that names several references */
export function readPush(words: readonly string[]): PushTarget | null {
  const at = words.indexOf("push");
  if (words[0]?.endsWith("git") !== true || at < 0) return null;
  const rest = words.slice(at + 1);
  if (rest.some((word) => /^--(?:all|mirror|tags|branches|prune)$/.test(word))) return null;
  const named = rest.filter((word, index) => !word.startsWith("-") && !withValue.has(rest[index - 1] ?? ""));
  const [remote = null, reference = null, ...more] = named;
  if (more.length > 0) return null;
  const [from = null, to = null] = reference === null ? [] : reference.replace(/^\+/, "").split(":");
  const isDeletion = from === "" || rest.includes("--delete") || rest.includes("-d");
  return { remote, from: from === "" ? to : from, to, isDeletion };
}
