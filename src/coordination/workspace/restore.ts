import type { OutputOf } from "../../contract/operations.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";
import { raiseEpoch } from "./settings.ts";
import { boxes } from "./boxes.ts";
import { tokens } from "./tokens.ts";

/**
 * A restore of the workspace's storage to an earlier time. The mark is kept outside of that
 * storage.
 */
export interface RestoreMark {
  readonly id: string;
  /** Epoch ms. */
  readonly to: number;
  readonly reason: string;
  readonly quietMs: number;
  /** Machine whose token asked for it. */
  readonly by: string;
}

export interface RestorePlan {
  readonly by: string;
  readonly lost: OutputOf<"workspace.restore">["lost"];
}

/**
 * Tables of who may open the workspace and its boxes. No restore puts them back, so tokens stay
 * renewed or revoked and boxes ended, and no export has them.
 */
export const accessTables = [tokens, boxes] as const;

/** Rows of one of these tables, as they are stored. */
export interface KeptRows {
  readonly table: string;
  readonly rows: readonly object[];
}

const rowsAtOnce = 500;

/** All of their rows, in parts that can be stored as one value each. */
export function keep(sql: Tx["sql"]): KeptRows[] {
  return accessTables.flatMap((one) => {
    const rows = one.select(sql, "");
    const parts = Array.from({ length: Math.ceil(rows.length / rowsAtOnce) }, (_, part) => part * rowsAtOnce);
    return parts.map((from) => ({ table: one.name, rows: rows.slice(from, from + rowsAtOnce) }));
  });
}

const announcedKey = "restore_announced";
const settledKey = "restore_settled";
/** Keys of `meta` that are of this storage, and no part of an export. */
export const ownKeys: readonly string[] = [announcedKey, settledKey];

/**
 * Entries of the audit log that a restore would lose, by kind. Refused for a time before the
 * workspace.
 */
export function plan({ sql }: Pick<Tx, "sql">, to: number, by: string): Result<RestorePlan> {
  const [first] = sql.all<{ at: number | null }>("SELECT min(at) AS at FROM tokens");
  if (to < (first?.at ?? 0)) return fail("bad_input", "the workspace was made later than that");
  return ok({ by, lost: audit.countSince(sql, to) });
}

/** Written into the storage that is to go: where it is still there, the restore did not happen. */
export function announce({ sql }: Pick<Tx, "sql">, id: string): void {
  meta.write(sql, announcedKey, id);
}

/**
 * At the start after it, before any request: begins a new epoch where the storage was put back, so
 * that no token or number of the lost time counts or comes again.
 */
export function settle(tx: Tx, { id, to, reason, quietMs, by }: RestoreMark, kept: readonly KeptRows[]): void {
  meta.write(tx.sql, settledKey, id);
  const subject = new Date(to).toISOString();
  const detail = { reason };
  if (meta.read(tx.sql, announcedKey) === id) {
    meta.remove(tx.sql, announcedKey);
    audit.append(tx, { kind: "workspace.not_restored", subject, actor: by, detail });
    return;
  }
  audit.append(tx, { kind: "workspace.restored", subject, actor: by, detail });
  raiseEpoch(tx, { reason: `restore to ${subject}`, quietMs }, by);
  for (const one of accessTables) {
    tx.sql.run(`DELETE FROM ${one.name}`);
    for (const { table, rows } of kept)
      if (table === one.name) for (const row of rows) one.insert(tx.sql, row as never);
  }
}

/** Whether no start since has seen the mark. */
export function isUnsettled({ sql }: Pick<Tx, "sql">, { id }: Pick<RestoreMark, "id">): boolean {
  return meta.read(sql, settledKey) !== id;
}

/** @returns the epoch; null: the restore did not happen, or was not settled */
export function epochAfter(tx: Tx, id: string): number | null {
  const { kind } = audit.newestOf(tx.sql, ["workspace.restored", "workspace.not_restored"]) ?? {};
  return meta.read(tx.sql, settledKey) === id && kind === "workspace.restored" ? tx.epoch : null;
}
