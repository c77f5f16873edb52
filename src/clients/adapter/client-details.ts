import type { WindowAct } from "../../contract/window-acts.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import type { Result } from "../../shared/result.ts";
import type { Driver } from "../../store/driver.ts";
import type { ReadContents, ClientModel, SessionWriter } from "../conversation/conversation.ts";
import type { LineFormat } from "../transcript/transcript-draft.ts";
import type { SessionHead, TranscriptDocument } from "../transcript/transcript-file.ts";
import type { ContentRow } from "../transcript/transcript-rows.ts";
import type { ClientFiles, ClientForm } from "./client-form.ts";
import type { DrivenRun, RunOutput } from "./run-output.ts";
import type { SessionFiles, Row } from "./session-files.ts";

/** A client beside its events: its transcripts, sessions, runs and settings. */
export interface ClientDetails {
  /** Reads a row of a transcript. */
  readonly readRow: LineFormat;
  /**
   * A row of a sub-agent as its chat would have it if that were a main one; null: another chat's.
   * Absent: they are the same. @param agent its id; null: not known
   */
  readonly subagentRow?: (row: JsonObject, agent: string | null) => JsonObject | null;
  /** Parts of a row that stand in their order; absent: the row is one. */
  readonly partsOf?: (row: JsonObject) => JsonObject[];
  /** Contents of a row, or of a part of it, that `readRow` does not keep. */
  readonly contentsOf: ReadContents;
  /** Writes a conversation as the client writes its own sessions. */
  readonly writer?: SessionWriter;
  /** Model of its settings, else the one that was chosen last; null: not known. */
  readonly modelOf?: (site: ProgramSite) => ClientModel | null | Promise<ClientModel | null>;
  /** Session that the row names; null: the row names none, or is another client's. */
  readonly headOf?: (row: JsonObject) => SessionHead | null;
  /** For a file without such a row: its name has the id. @param path of the file */
  readonly headOfFile?: (row: JsonObject, path: string) => SessionHead | null;
  /** Rows that name the session: each one, or the first. Absent: one of them. */
  readonly namedBy?: "each row" | "first row";
  /** Rows as they stand at the end of a file that is written over. */
  readonly fold?: (rows: Iterable<ContentRow>) => Iterable<ContentRow>;
  /** Messages of a transcript that is one JSON document; null: another client's. */
  readonly documentOf?: (document: JsonObject) => TranscriptDocument | null;
  /** A message of a document as `readRow` reads it. */
  readonly rowOf?: (message: JsonObject) => JsonObject;
  /** A session of a database, or its only one; null: the file is none of the client's. */
  readonly readDatabase?: (
    path: string,
    driver: Driver,
    session: string | null,
  ) => Result<TranscriptDocument, string> | null;
  /** Files in which the client keeps its sessions. */
  readonly sessions?: SessionFiles;
  /** Databases in which the client keeps them. */
  readonly database?: SessionDatabase;
  /** Program by which alone its sessions are read and written. */
  readonly program?: SessionProgram;
  /**
   * Absent: no result of its run can be read, since it prints no tokens, or names sessions by ids
   * that no checkpoint holds.
   */
  readonly runOutput?: RunOutput;
  /** Absent: it is only run to continue the work of another client. */
  readonly driven?: DrivenRun;
  /**
   * Has the client's own server do something in a chat of an open window.
   *
   * @returns whether it has taken it
   */
  readonly actAtServer?: (session: string, transcript: string, act: WindowAct) => Promise<boolean>;
  /** Before the name of a prompt of a server, where the client shows it alone. */
  readonly promptPrefix?: string;
  /** Where and how SHIM is installed. `ClientFiles`: in files below the user's home folder. */
  readonly form: ClientFiles | Omit<ClientForm, "events">;
}

/** A session of a client's database, as far as each of its rows could be read. */
export interface StoredSession {
  readonly id: string;
  readonly title: string | null;
  readonly folder: string | null;
  /** Epoch ms. */
  readonly changedAt: number;
  /** Messages and their parts, with those of the sessions that it has started. */
  readonly rows: number;
  /** Size of these rows' texts. */
  readonly bytes: number;
  readonly prompts: number;
  /** `file`: where it is not the session's own; without bytes `what` says all. */
  readonly damages: readonly { readonly what: string; readonly bytes: number; readonly file?: string }[];
  /** Sessions that it has started. */
  readonly subagents: number;
  /** Absent: the database. */
  readonly file?: string;
  /** Why its client does not list it, and what makes it do so; ends no sentence. */
  readonly hidden?: string;
}

export interface UnreadFolder {
  readonly file: string;
  readonly why: string;
}

/** How a client keeps its sessions in a database. */
export interface SessionDatabase {
  paths(env: NodeJS.ProcessEnv): string[];
  /**
   * Reads each row. @returns why that fails; `problem`: the fault that SQLite finds in the file;
   * `ids`: those of all sessions, those of sub-agents with them
   */
  list(
    path: string,
    driver: Driver,
  ): Result<
    { readonly sessions: readonly StoredSession[]; readonly ids: readonly string[]; readonly problem: string | null },
    string
  >;
  /** Ids of sessions that begin so. */
  find(path: string, driver: Driver, prefix: string): Result<readonly string[], string>;
  /** Sessions that no other one has started. @param since epoch ms */
  changedSince(
    path: string,
    driver: Driver,
    since: number,
  ): Result<readonly Pick<StoredSession, "id" | "changedAt">[], string>;
  /** The folder in which the client kept sessions before it had a database. */
  readonly before?: {
    path(env: NodeJS.ProcessEnv): string;
    /**
     * @param known ids of sessions that a database has; the others are listed
     * @returns the sessions, and folders that cannot be read
     */
    list(
      path: string,
      known: ReadonlySet<string>,
    ): { readonly sessions: readonly StoredSession[]; readonly unread: readonly UnreadFolder[] };
  };
}

export interface ProgramSite {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** A client that keeps its sessions where only its own program opens them. */
export interface SessionProgram {
  /** Command on the PATH. */
  readonly command: string;
  isId(id: string): boolean;
  /** Returns null where the client has no such session, or cannot be started. */
  exportSession(site: ProgramSite, id: string): Promise<JsonObject | null>;
  /**
   * Imports the first messages of a session as another session. Returns the new id.
   *
   * @param until number of messages; null: all
   * @param letters that no id of the client has had
   */
  importCopy(site: ProgramSite, document: JsonObject, until: number | null, letters: string): Promise<string>;
  /** Imports a session under the id that it has. Rejects when the client refuses it. */
  importDocument(site: ProgramSite, document: JsonObject): Promise<void>;
  /** Kind of a message of an exported document. */
  rowOf(message: JsonObject): Row | null;
}
