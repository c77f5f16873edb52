import type { Result } from "../../shared/result.ts";
import type { Driver } from "../../store/driver.ts";

/** A session of a client's database, as far as each of its rows could be read. */
export interface StoredSession {
  readonly id: string;
  readonly title: string | null;
  readonly folder: string | null;
  /** Epoch ms. */
  readonly changedAt: number;
  /** Messages and their parts. */
  readonly rows: number;
  /** Size of these rows' texts. */
  readonly bytes: number;
  readonly prompts: number;
  readonly damages: readonly { readonly what: string; readonly bytes: number }[];
  /** Sessions that it has started. */
  readonly subagents: number;
}

/** How a client keeps its sessions in a database. */
export interface SessionDatabase {
  paths(env: NodeJS.ProcessEnv): string[];
  /** Reads each row. @returns why that fails; `problem`: the fault that SQLite finds in the file */
  list(
    path: string,
    driver: Driver,
  ): Result<{ readonly sessions: readonly StoredSession[]; readonly problem: string | null }, string>;
}
