import type { Sql } from "../../shared/sql.ts";
import { processKey, readProcessKey } from "../../coordinator-client/local/process-key.ts";
import { isInOtherNamespace, mayBeAlive, type ProcessIdentity, type Processes } from "../../platform/processes.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** Elects one sending process per machine (sync_uploader). Two would only send the same twice. */

/** Heartbeat of the sender in ms; an invisible process silent for much longer is gone. */
const refreshEveryMs = 30_000;
const maxSilenceMs = 120_000;
/** Silence in ms after which a visible sender counts as stopped: it checks every five minutes. */
const maxVisibleSilenceMs = 600_000;

export function isThisProcess(sql: Sql, self: ProcessIdentity): boolean {
  return findRow(sql)?.process === processKey(self);
}

export function isClaimDue(sql: Sql, now: number, self: ProcessIdentity, processes: Processes): boolean {
  const row = findRow(sql);
  if (!row) return true;
  if (row.process === processKey(self)) return !isWithin(now - row.at, refreshEveryMs);
  return !isAlive(row, now, processes);
}

/** [SY63] Replaces a sender that is gone or hangs; returns whether this process sends. */
export function claim(sql: Sql, now: number, self: ProcessIdentity, processes: Processes): boolean {
  if (isClaimDue(sql, now, self, processes))
    sql.run("INSERT OR REPLACE INTO sync_uploader (one, process, at) VALUES (1, ?, ?)", processKey(self), now);
  return isThisProcess(sql, self);
}

export function release(sql: Sql, self: ProcessIdentity): void {
  sql.run("DELETE FROM sync_uploader WHERE process = ?", processKey(self));
}

interface UploaderRow {
  readonly process: string;
  readonly at: number;
}

function findRow(sql: Sql): UploaderRow | undefined {
  return sql.all<UploaderRow>("SELECT process, at FROM sync_uploader")[0];
}

function isAlive({ process, at }: UploaderRow, now: number, processes: Processes): boolean {
  const identity = readProcessKey(process);
  if (!identity) return false;
  const silenceMs = now - at;
  if (isInOtherNamespace(processes, identity)) return isWithin(silenceMs, maxSilenceMs);
  return isWithin(silenceMs, maxVisibleSilenceMs) && mayBeAlive(processes, identity);
}
