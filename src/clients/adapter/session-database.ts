import type { Result } from "../../shared/result.ts";
import type { Driver } from "../../store/driver.ts";

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
