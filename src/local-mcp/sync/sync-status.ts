import type { Sql } from "../../shared/sql.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import * as notes from "./sync-notes.ts";
import type { SyncNotes } from "./sync-notes.ts";
import * as sentFiles from "./sent-files.ts";

/** How the sync of this machine is, as far as this machine knows. */
export interface SyncStatus {
  readonly device: string;
  readonly epoch: number;
  /** Under which what it has sent is sealed; "": nothing was sent yet. */
  readonly keyId: string;
  /** Changes that the coordinator has not got yet, and when the oldest of them happened, in epoch ms. */
  readonly backlog: number;
  readonly oldestAt: number | null;
  readonly notes: SyncNotes;
  readonly files: sentFiles.FilesCounts;
}

/** Null: this machine syncs with nobody. */
export function syncStatus(sql: Sql): SyncStatus | null {
  const device = devices.get(sql);
  if (!device) return null;
  const [oldest] = sql.all<{ at: number | null }>(
    "SELECT min(at) AS at FROM (SELECT at FROM sync_changes UNION ALL SELECT at FROM sync_log)",
  );
  return {
    device: device.device,
    epoch: device.epoch,
    keyId: device.keyId,
    backlog: changes.count(sql) + changes.sealedCount(sql),
    oldestAt: oldest?.at ?? null,
    notes: notes.read(sql),
    files: sentFiles.counts(sql),
  };
}
