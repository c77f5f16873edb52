import { uuidv7 } from "../../shared/ids.ts";
import type { Sql } from "../../shared/sql.ts";
import { epochOf } from "../../store/epoch.ts";
import * as changes from "./pending-changes.ts";
import * as remote from "./remote-sessions.ts";
import * as sentFiles from "./sent-files.ts";

/** This machine in its workspace (sync_device): one row while it belongs to one on the edge, and only then changes are noted. */

export interface Device {
  readonly workspace: string;
  readonly device: string;
  /** 0: none was given out yet. */
  readonly epoch: number;
  readonly keyId: string;
  /** Number of the newest op that was sealed. */
  readonly sealed: number;
  /** Everything up to this number is stored at the coordinator. */
  readonly acked: number;
  /** Which home, on which machine, holds this row; "": numbers have to begin anew. */
  readonly fingerprint: string;
  /** [SY73] What was over before stays on this machine; 0: nothing does. */
  readonly joinedAt: number;
}

/** Stands where a fingerprint would: numbers begin anew, but the content at the coordinator is good. */
const restartMark = "";

export function newId(now: number, random: (bytes: number) => Uint8Array): string {
  return `dev_${uuidv7(now, random(16))}`;
}

export function get(sql: Sql): Device | null {
  const [row] = sql.all<Device>(
    `SELECT workspace, device, epoch, key_id AS keyId, sealed, acked, fingerprint, joined_at AS joinedAt
     FROM sync_device LIMIT 1`,
  );
  return row ?? null;
}

/**
 * From now on changes are noted; what another workspace was told is forgotten.
 *
 * @param since see {@link Device.joinedAt}
 */
export function join(sql: Sql, workspace: string, device: string, since: number): void {
  leave(sql);
  sql.run(
    "INSERT INTO sync_device (workspace, device, epoch, fingerprint, key_id, sealed, acked, joined_at) VALUES (?, ?, 0, ?, '', 0, 0, ?)",
    workspace,
    device,
    restartMark,
    since,
  );
  changes.enqueueAll(sql, since);
}

/** [SY73] What was to stay comes along now. */
export function sendAll(sql: Sql): void {
  sql.run("UPDATE sync_device SET joined_at = 0");
  changes.enqueueAll(sql, 0);
}

export function leave(sql: Sql): void {
  for (const table of ["sync_device", "sync_changes", "sync_log"]) sql.run(`DELETE FROM ${table}`);
  sentFiles.removeAll(sql);
  remote.removeAll(sql);
}

/**
 * [SY62] A new epoch begins with number 1: what was sealed under the old one is noted as changed again.
 *
 * @param isAll the coordinator may lack, or may have under another key, what it was told before: everything that is kept is sent again
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
    "UPDATE sync_device SET epoch = ?, fingerprint = ?, key_id = ?, sealed = 0, acked = 0",
    next.epoch,
    withStoreEpoch(sql, next.fingerprint),
    next.keyId,
  );
}

/** [SY61] Numbers have to begin anew before anything else is sent; the content at the coordinator is good. */
export function requestNewEpoch(sql: Sql): void {
  changes.requeueLog(sql);
  sql.run("UPDATE sync_device SET fingerprint = ?, sealed = acked", restartMark);
}

/**
 * [SY61] Why numbers have to begin anew: `all`, where the coordinator may lack what this row says, or has it under another key; `numbers`, where
 * it only has not begun. Null: they go on.
 */
export function epochReason(
  sql: Sql,
  device: Device,
  { fingerprint, keyId }: { readonly fingerprint: string; readonly keyId: string },
): "all" | "numbers" | null {
  if (device.epoch === 0) return "numbers";
  if (device.keyId !== keyId) return "all";
  if (device.fingerprint === restartMark) return "numbers";
  return device.fingerprint === withStoreEpoch(sql, fingerprint) ? null : "all";
}

/** A repaired store is an older state as well. */
function withStoreEpoch(sql: Sql, fingerprint: string): string {
  return `${fingerprint} ${epochOf(sql)}`;
}
