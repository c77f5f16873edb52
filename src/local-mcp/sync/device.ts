import { uuidv7 } from "../../shared/ids.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncDevice } from "../../store/sync-tables.ts";
import { epochOf } from "../../store/meta.ts";
import * as changes from "./pending-changes.ts";
import * as remote from "./remote-sessions.ts";
import * as sentFiles from "./sent-files.ts";

export type Device = RowOf<typeof syncDevice>;

/** Replaces the fingerprint: numbers restart, but the content at the coordinator is good. */
const restartMark = "";

export function newId(now: number, random: (bytes: number) => Uint8Array): string {
  return `dev_${uuidv7(now, random(16))}`;
}

export function get(sql: Sql): Device | null {
  return syncDevice.select(sql, "LIMIT 1")[0] ?? null;
}

/** Starts recording changes and forgets other workspaces. `since`: {@link Device.joinedAt}. */
export function join(sql: Sql, workspace: string, device: string, since: number): void {
  leave(sql);
  const numbers = { epoch: 0, sealed: 0, acked: 0 };
  syncDevice.insert(sql, { workspace, device, ...numbers, fingerprint: restartMark, keyId: "", joinedAt: since });
  changes.enqueueAll(sql, since);
}

export function sendAll(sql: Sql): void {
  sql.run("UPDATE sync_device SET joinedAt = 0");
  changes.enqueueAll(sql, 0);
}

export function leave(sql: Sql): void {
  for (const table of ["sync_device", "sync_changes", "sync_log"]) sql.run(`DELETE FROM ${table}`);
  sentFiles.removeAll(sql);
  remote.removeAll(sql);
}

/**
 * [SY62] Starts a new epoch at number 1. `isAll`: the coordinator may lack what it acknowledged, or
 * have it under another key, so everything kept is sent again.
 */
export function startEpoch(
  sql: Sql,
  next: { readonly epoch: number; readonly fingerprint: string; readonly keyId: string; readonly isAll: boolean },
): void {
  changes.requeueLog(sql);
  if (next.isAll) {
    changes.enqueueAll(sql, get(sql)?.joinedAt ?? 0);
    sentFiles.removeAll(sql);
  }
  sql.run(
    "UPDATE sync_device SET epoch = ?, fingerprint = ?, keyId = ?, sealed = 0, acked = 0",
    next.epoch,
    withStoreEpoch(sql, next.fingerprint),
    next.keyId,
  );
}

/** [SY61] Restarts numbers before the next push; the content at the coordinator is good. */
export function requestNewEpoch(sql: Sql): void {
  changes.requeueLog(sql);
  sql.run("UPDATE sync_device SET fingerprint = ?, sealed = acked", restartMark);
}

/**
 * [SY61] Returns why a new epoch is required, or null. `all`: the coordinator may lack what this
 * row says, or has it under another key.
 *
 * @param fingerprint null: this process has compared it before, and no file is copied below it
 */
export function epochReason(
  sql: Sql,
  device: Device,
  { fingerprint, keyId }: { readonly fingerprint: string | null; readonly keyId: string },
): "all" | "numbers" | null {
  if (device.epoch === 0) return "numbers";
  if (device.keyId !== keyId) return "all";
  if (device.fingerprint === restartMark) return "numbers";
  const isOwn =
    fingerprint === null ? hasEpochOfStore(sql, device) : device.fingerprint === withStoreEpoch(sql, fingerprint);
  return isOwn ? null : "all";
}

/** Whether the epoch was started on this store, and no new one was requested since. */
export function hasEpochOfStore(sql: Sql, { fingerprint }: Device): boolean {
  return fingerprint.endsWith(withStoreEpoch(sql, ""));
}

function withStoreEpoch(sql: Sql, fingerprint: string): string {
  return `${fingerprint} ${epochOf(sql)}`;
}
