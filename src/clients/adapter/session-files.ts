import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { type JsonObject, parseObject } from "../../shared/json-fields.ts";
import type { CallIds } from "../transcript/call-ids.ts";
import type { LinkRules } from "../transcript/row-chain.ts";
import { readBytes } from "../transcript/transcript-file.ts";
import type { CommandLine } from "./client-adapter.ts";

/**
 * Kind of a row in the conversation with the model. message: words of the user that a prompt's row
 * repeats.
 */
export type Row =
  | { readonly kind: "prompt" | "message" | "input" }
  /** `of`: rows of one response have the same; null: the response is known by what is around it. */
  | { readonly kind: "answer"; readonly of: string | null }
  | Refusal;

/** The model's API answered a request with an error. */
export interface Refusal {
  readonly kind: "refusal";
  /** Codes of the error, never its words. */
  readonly structure: string;
  /** passing: the same request may succeed later, or with other settings. */
  readonly of: "content" | "size" | "passing";
  /** The client's words, for a person. */
  readonly text: string;
}

/**
 * How a client keeps a session in lines of JSON. Its behavior with a broken one was seen with the
 * version that its adapter names. In paths `*` is any text of a name without a slash, `{id}` the
 * session's id, `{id8}` its first eight characters.
 */
export interface SessionFiles {
  /** Folder below the user's home, and the variable that moves it. */
  readonly home: readonly [folder: string, variable?: string];
  /** Where the client finds the session by its id. */
  readonly files: readonly string[];
  /** Where it keeps sessions that it does not find by their id. */
  readonly archive?: readonly string[];
  rowOf(row: JsonObject): Row | null;
  /** Absent: each result stands in the row of its call. */
  readonly callsIn?: (row: JsonObject) => CallIds;
  /** Messages of a row that holds all of them so far; null: it is one itself. */
  readonly messagesIn?: (row: JsonObject) => readonly unknown[] | null;
  /** The row says that what came before is in another file, which it names by positions. */
  readonly isPart?: (row: JsonObject) => boolean;
  /** Whether the client accepts the row; one that it does not accept makes the file unreadable. */
  readonly accepts?: (row: JsonObject) => boolean;
  /**
   * Session that the row names, which must be that of the file's name: in each row where rows are
   * linked, else in the first. Absent: the client does not compare them.
   */
  readonly sessionIn?: (row: JsonObject) => string | null;
  /** The first row, without which the client opens no file. */
  readonly head?: {
    is(row: JsonObject): boolean;
    /** The row may stand behind others, where the first line is a row. */
    readonly isAnywhere?: true;
    /** @param at time of the session's beginning, in epoch ms */
    make(id: string, cwd: string, at: number): JsonObject;
  };
  /** Rows are found by the `parentUuid` of the one after them. */
  readonly links?: LinkRules;
  /** A thought of the model, which an API may refuse and does not need. */
  readonly isThought?: (row: JsonObject) => boolean;
  /** Folder for sessions of a project, beside that of the file; null: the client has none yet. */
  readonly folderOf?: (file: string, project: string) => string | null;
  /** Files that hold the session for one process. */
  readonly locks?: readonly string[];
  /** Takes the session out of the archive. */
  readonly unarchive?: (id: string) => CommandLine;
  /** Files with the same id are of one session: a compressed one, or one in the archive. */
  readonly isOneById?: true;
  /** Rows of sub-agents stand in the file of their session. */
  readonly hasSubagentRows?: true;
  /** Its treatment of its files besides loading them. */
  readonly store?: StoreHabits;
  /** Sessions are found in the folder of that path alone, which has no links in it. */
  readonly isInFolder?: true;
}

export function rootOf(env: NodeJS.ProcessEnv, { home: [folder, variable] }: SessionFiles): string {
  return (variable && env[variable]) || join(env["HOME"] || homedir(), folder);
}

/** Gets folders that cannot be listed, with the system's error. */
type OnUnlisted = (folder: string, error: unknown) => void;

/** Paths of a client that match; one without `*` is there or not. */
export function pathsOf(
  env: NodeJS.ProcessEnv,
  client: SessionFiles,
  patterns: readonly string[],
  id: string,
  onUnlisted?: OnUnlisted,
): string[] {
  return pathsBelow(rootOf(env, client), patterns, id, onUnlisted);
}

export function pathsBelow(
  root: string,
  patterns: readonly string[],
  id: string,
  onUnlisted: OnUnlisted = () => undefined,
): string[] {
  return patterns.flatMap((pattern) => {
    const parts = pattern.replace("{id8}", id.slice(0, 8)).replace("{id}", id).split("/");
    return parts.reduce((found, part) => found.flatMap((path) => namesIn(path, part, onUnlisted)), [root]);
  });
}

function namesIn(folder: string, pattern: string, onUnlisted: OnUnlisted): string[] {
  if (!pattern.includes("*")) return [join(folder, pattern)];
  const [start = "", ...others] = pattern.split("*");
  try {
    const names = readdirSync(folder).filter((name) => name.startsWith(start) && matches(name, start.length, others));
    return names.map((name) => join(folder, name));
  } catch (error) {
    notListed(folder, error, onUnlisted);
    return [];
  }
}

/** The text between two `*` is at its first place, the one behind the last `*` at the end. */
function matches(name: string, from: number, [next = "", ...others]: readonly string[]): boolean {
  if (others.length === 0) return name.length >= from + next.length && name.endsWith(next);
  const at = name.indexOf(next, from);
  return at >= 0 && matches(name, at + next.length, others);
}

/** Transcripts of sub-agents, also of those that sub-agents have started; most chats have none. */
export function subagentFiles(folder: string, onUnlisted: OnUnlisted = () => undefined): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    return names
      .filter((name) => /^agent-.*\.jsonl$/.test(basename(name)) || uuid.test(basename(name, ".jsonl")))
      .map((name) => join(folder, name))
      .toSorted();
  } catch (error) {
    notListed(folder, error, onUnlisted);
    return [];
  }
}

/** A folder that is not there has no files. */
function notListed(folder: string, error: unknown, onUnlisted: OnUnlisted): void {
  const code = codeOf(error);
  if (code === null) throw error;
  if (code !== "ENOENT" && code !== "ENOTDIR") onUnlisted(folder, error);
}

/** How some clients name the folder of a project. */
export const dashed = (path: string): string => path.replaceAll(/[^a-zA-Z0-9]/g, "-");

export function refusal(status: number | null, structure: readonly unknown[], text: string | null): Refusal {
  const of = status === 413 ? "size" : status === 400 || status === 422 ? "content" : "passing";
  const codes = [status, ...structure].filter((one) => typeof one === "string" || typeof one === "number");
  return { kind: "refusal", structure: codes.join(" "), of, text: text ?? "" };
}

export const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * How a client treats the files of its sessions besides loading them: what it lists, deletes and
 * keeps beside them, as seen with the version that its adapter names. `root` is its own folder.
 */
export interface StoreHabits {
  /** The client reads no file whose name does not end in an id. */
  readonly isNamedById?: true;
  /** Folder with the transcripts of a session's sub-agents. @param file of the session */
  readonly subagents?: (file: string, id: string) => string;
  /** Files that sub-agents of a session may have as sessions of their own, the oldest first. */
  readonly threads?: (file: string) => readonly string[];
  /** Files beside those of sessions whose names fit the patterns too. */
  readonly isBeside?: (name: string) => boolean;
  /** Files of sub-agents that older versions wrote beside their session's. */
  readonly isSubagent?: (name: string) => boolean;
  /** Whether a row among the first makes its client's list leave the session out. */
  readonly hides?: (row: JsonObject) => HiddenSession | null;
  /** Where other programs of the same maker keep sessions of this form. */
  readonly others?: (env: NodeJS.ProcessEnv) => OtherFiles;
  /** Backups of files that rows name. */
  readonly backups?: FileBackups;
  /** Why the client does not list a file of this kind; null: it does. */
  readonly unlisted?: (seen: SeenFile) => UnlistedFile | null;
  /** Files of one key are deleted together: where one is expiring, all are. */
  readonly deletedWith?: (file: string) => string;
  /**
   * A file beside the session's with which the client does not open it, and without which it does.
   * `why` ends no sentence; null: none is there.
   */
  readonly blockedBy?: (file: string) => Promise<{ readonly path: string; readonly why: string } | null>;
  /** The client's own list of prompts. */
  readonly prompts?: PromptList;
  /** Whether a row exempts its session from the client's deletion. */
  readonly isExempt?: (row: JsonObject) => boolean;
  /** The client's own deletion of old sessions; null: it deletes none. */
  readonly cleanUp?: (root: string) => CleanUp | null;
}

/** Facts of a whole file. */
export interface SeenFile {
  /** Rows of the conversation. */
  readonly rows: number;
  /** A row names the session. */
  readonly isNamed: boolean;
  /** Line of the first prompt, from 1; null: there is none. */
  readonly firstPromptLine: number | null;
}

export interface UnlistedFile {
  readonly state: "invisible" | "expiring";
  /** Ends no sentence. */
  readonly text: string;
}

export interface OtherFiles {
  readonly root: string;
  readonly files: readonly string[];
  /** Program that keeps them, for a person. */
  readonly by: string;
}

export interface FileBackups {
  readonly folder: (root: string, id: string) => string;
  /** Names of files in the folder. */
  readonly namesIn: (row: JsonObject) => readonly string[];
}

export interface PromptList {
  /** Below the client's folder. */
  readonly file: string;
  /** Session of a prompt, and its time in epoch ms; null: the row is none, or names no session. */
  readonly promptIn: (row: JsonObject) => { readonly session: string; readonly at: number } | null;
  /** Whether each was sent is not known: one that a session's file lacks proves no loss. */
  readonly mayHaveUnsent?: true;
}

export interface HiddenSession {
  /** Ends no sentence. */
  readonly why: string;
  /** The way to open it all the same; ends no sentence. */
  readonly shownBy: (id: string) => string;
}

export interface CleanUp {
  /** Time after the last change of the file, in ms. */
  readonly afterMs: number;
  /** The time of the newest row counts, not that of the file. */
  readonly isByRows?: true;
  /** Setting that says so, for a person. */
  readonly setting: string;
}

/**
 * A file of a client, such as its settings, or its beginning. Null: it is not there, or cannot be
 * read.
 *
 * @param most bytes to read
 */
export function readText(path: string, most?: number): string | null {
  try {
    return readBytes(path, most).bytes.toString();
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return null;
  }
}

/** The same as JSON; null also for what is no JSON object. */
export function readObject(path: string): JsonObject | null {
  return parseObject(readText(path) ?? "");
}
