import type { Sql } from "../../shared/sql.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import * as notes from "./sync-notes.ts";
import type { SyncNotes } from "./sync-notes.ts";
import * as sentFiles from "./sent-files.ts";

export interface SyncStatus {
  readonly device: string;
  readonly epoch: number;
  readonly keyId: string;
  /** Unsent changes, and when the oldest happened, in epoch ms. */
  readonly backlog: number;
  readonly oldestAt: number | null;
  readonly notes: SyncNotes;
  readonly files: sentFiles.FilesCounts;
}

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
