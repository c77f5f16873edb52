import type { JsonObject } from "../../shared/json-fields.ts";
import type { Row } from "./session-files.ts";

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
