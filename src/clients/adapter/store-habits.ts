import type { JsonObject } from "../../shared/json-fields.ts";

/**
 * How a client treats the files of its sessions besides loading them: what it lists, deletes and
 * keeps beside them, as seen with the version that its adapter names. `root` is its own folder.
 */
export interface StoreHabits {
  /** The client reads no file whose name does not end in an id. */
  readonly isNamedById?: true;
  /** Folder with the transcripts of a session's sub-agents. @param file of the session */
  readonly subagents?: (file: string, id: string) => string;
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
