import { uuidv7 } from "../../shared/ids.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { epochOf } from "../../store/meta.ts";
import { syncDevice } from "../../store/sync-tables.ts";
import * as changes from "./pending-changes.ts";
import { removeNames } from "./find-project.ts";
import * as elsewhere from "./sessions-elsewhere.ts";
import * as sentRecords from "./sent-records.ts";

export type Device = RowOf<typeof syncDevice>;

export function newId(now: number, random: (bytes: number) => Uint8Array): string {
  return `dev_${uuidv7(now, random(16))}`;
}

export function get(sql: Sql): Device | null {
  return syncDevice.select(sql, "LIMIT 1")[0] ?? null;
}

/** Starts recording changes and forgets other workspaces. `since`: {@link Device.joinedAt}. */
export function join(sql: Sql, workspace: string, device: string, since: number): void {
  leave(sql);
  const nothingSent = { keyId: "", since: 0, revision: 0 };
  syncDevice.insert(sql, { workspace, device, ...nothingSent, storeEpoch: epochOf(sql), joinedAt: since });
  changes.enqueueAll(sql, since);
}

export function sendAll(sql: Sql): void {
  sql.run("UPDATE sync_device SET joinedAt = 0");
  changes.enqueueAll(sql, 0);
}

export function leave(sql: Sql): void {
  for (const table of ["sync_device", "sync_changes", "sync_sent"]) sql.run(`DELETE FROM ${table}`);
  elsewhere.removeAll(sql);
}

/** Whether all has to be sent: under another key, or after a repair of the store. */
export function mustSendAgain(sql: Sql, { keyId, storeEpoch }: Device, currentKey: string): boolean {
  return keyId !== currentKey || storeEpoch !== epochOf(sql);
}

/** Sends all that is kept: the coordinator may lack it, or has it under another key. */
export function sendAgain(sql: Sql, { workspace, keyId, joinedAt }: Device, currentKey: string): void {
  if (keyId !== "") {
    changes.enqueueAll(sql, joinedAt);
    sentRecords.forgetFiles(sql);
  }
  if (keyId !== currentKey) removeNames(sql, workspace);
  sql.run("UPDATE sync_device SET keyId = ?, storeEpoch = ?", currentKey, epochOf(sql));
}
