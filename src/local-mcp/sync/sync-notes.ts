import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Sync state for `shim edge status`, across processes. Stored in meta. Add fields as optional. */
export interface SyncNotes {
  readonly syncedAt?: number;
  readonly trouble?: { readonly code: string; readonly message: string; readonly at: number } | null;
  /** Refused envelopes of other machines since the last full pull, inclusive. */
  readonly refused?: number;
  /** Checkpoints never sent: newer ones followed while the coordinator was unreachable. */
  readonly passedOver?: number;
  /** Kept local: too large, damaged, or under an id that no coordinator accepts. */
  readonly keptHere?: number;
}

const metaKey = "sync_notes";

export function read(sql: Sql): SyncNotes {
  return JSON.parse(meta.read(sql, metaKey) ?? "{}") as SyncNotes;
}

export function write(sql: Sql, change: SyncNotes): void {
  meta.write(sql, metaKey, JSON.stringify({ ...read(sql), ...change }));
}

export function forget(sql: Sql): void {
  meta.remove(sql, metaKey);
}
