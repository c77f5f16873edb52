import type { Sql } from "../../shared/sql.ts";
import { processKey, readProcessKey } from "../coordinator/process-key.ts";
import { isInOtherNamespace, mayBeAlive, type ProcessIdentity, type Processes } from "../processes.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** One process of a machine sends at a time (sync_uploader). Two would send the same twice, and do no harm. */

/** Interval of the sender's sign of life, in ms; a sender that is silent for much longer and not visible is gone. */
const everyMs = 30_000;
const silentMs = 120_000;
/** A living one checks at least every five minutes: one that is silent for longer is stopped, or hangs, in ms. */
const hungMs = 600_000;

/** @returns whether it is this process */
export function isOwn(sql: Sql, own: ProcessIdentity): boolean {
  return rowOf(sql)?.process === processKey(own);
}

/** Whether a claim would do anything: a look that writes nothing. */
export function isDue(sql: Sql, now: number, own: ProcessIdentity, processes: Processes): boolean {
  const row = rowOf(sql);
  if (!row) return true;
  if (row.process === processKey(own)) return !isWithin(now - row.at, everyMs);
  return !isThere(row, now, processes);
}

/** [SY63] Replaces a sender that is gone, or hangs. @returns whether this process sends */
export function claim(sql: Sql, now: number, own: ProcessIdentity, processes: Processes): boolean {
  if (isDue(sql, now, own, processes))
    sql.run("INSERT OR REPLACE INTO sync_uploader (one, process, at) VALUES (1, ?, ?)", processKey(own), now);
  return isOwn(sql, own);
}

export function release(sql: Sql, own: ProcessIdentity): void {
  sql.run("DELETE FROM sync_uploader WHERE process = ?", processKey(own));
}

interface Row {
  readonly process: string;
  readonly at: number;
}

function rowOf(sql: Sql): Row | undefined {
  return sql.all<Row>("SELECT process, at FROM sync_uploader")[0];
}

function isThere({ process, at }: Row, now: number, processes: Processes): boolean {
  const identity = readProcessKey(process);
  if (!identity) return false;
  const silenceMs = now - at;
  if (isInOtherNamespace(processes, identity)) return isWithin(silenceMs, silentMs);
  return isWithin(silenceMs, hungMs) && mayBeAlive(processes, identity);
}
