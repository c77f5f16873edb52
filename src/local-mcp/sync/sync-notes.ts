import type { Sql } from "../../shared/sql.ts";

/** What `shim edge status` tells of the sync, across processes. Stored in meta. Add fields as optional. */
export interface SyncNotes {
  /** When all that was there had reached the coordinator, in epoch ms. */
  readonly syncedAt?: number;
  /** Why the last try did not. */
  readonly trouble?: { readonly code: string; readonly message: string; readonly at: number } | null;
  /** Envelopes of other machines that were refused since all of them were last asked for, and then. */
  readonly refused?: number;
  /** Checkpoints that were never sent: others came after them while nobody could be reached. */
  readonly passedOver?: number;
  /** Kept here only: too large, damaged, or under an id that no coordinator takes. */
  readonly keptHere?: number;
}

const metaKey = "sync_notes";

export function read(sql: Sql): SyncNotes {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", metaKey);
  // Only write() writes it.
  return row ? (JSON.parse(row.value) as SyncNotes) : {};
}

export function write(sql: Sql, change: SyncNotes): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    metaKey,
    JSON.stringify({ ...read(sql), ...change }),
  );
}

export function forget(sql: Sql): void {
  sql.run("DELETE FROM meta WHERE key = ?", metaKey);
}
