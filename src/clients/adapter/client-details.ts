import type { Result } from "../../shared/result.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import type { Driver } from "../../store/driver.ts";
import type { ReadContents } from "../conversation/row-contents.ts";
import type { ClientModel, SessionWriter } from "../conversation/session-writer.ts";
import type { LineFormat } from "../transcript/transcript-draft.ts";
import type { SessionHead, TranscriptDocument } from "../transcript/transcript-head.ts";
import type { ContentRow } from "../transcript/transcript-rows.ts";
import type { ClientFiles, ClientForm } from "./client-form.ts";
import type { DrivenRun, RunOutput } from "./run-output.ts";
import type { SessionDatabase } from "./session-database.ts";
import type { SessionFiles } from "./session-files.ts";
import type { ProgramSite, SessionProgram } from "./session-program.ts";

/** A client beside its events: its transcripts, sessions, runs and settings. */
export interface ClientDetails {
  /** Reads a row of a transcript. */
  readonly readRow: LineFormat;
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
  /** The only session of a database; null: the file is none of the client's. */
  readonly readDatabase?: (path: string, driver: Driver) => Result<TranscriptDocument, string> | null;
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
  /** Before the name of a prompt of a server, where the client shows it alone. */
  readonly promptPrefix?: string;
  /** Where and how SHIM is installed. `ClientFiles`: in files below the user's home folder. */
  readonly form: ClientFiles | Omit<ClientForm, "events">;
}
