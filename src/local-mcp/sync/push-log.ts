import type { Call } from "../../coordinator-client/coordinator-client.ts";
import { endOf, type CallError } from "../../contract/errors.ts";
import { maxPushOps, type SyncOp } from "../../contract/sync.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { maxLogChars } from "./seal-changes.ts";

export interface PushResult {
  readonly acked: readonly SyncOp["kind"][];
  /** Key id that the workspace seals under; null when no answer came. */
  readonly keyId: string | null;
}

interface LogRow {
  readonly seq: number;
  readonly at: number;
  readonly op: string;
}

/**
 * [SY60] Sends the oldest sealed ops unchanged; a repeat is harmless. Error `lost_place`: a new
 * epoch is required.
 */
export async function pushLog(
  { store, now }: Pick<Runtime, "store" | "now">,
  device: Device,
  call: Call,
): Promise<Result<PushResult, CallError>> {
  const rows = store.read(nextBatch, []);
  const [firstRow] = rows;
  if (!firstRow) return ok({ acked: [], keyId: null });
  const ops = rows.map(({ op, at }) => withAge(op, Math.max(0, now() - at)));
  const answer = await call("sync.push", { device: device.device, epoch: device.epoch, ops });
  if (!answer.ok) return endOf(answer.error) === "device_epoch" ? lostPositionError(answer.error.message) : answer;
  const { mark, keyId } = answer.value;
  if (mark < firstRow.seq) return lostPositionError(`the coordinator knows numbers up to ${mark} only`);
  const acked = store.write((sql) => acknowledge(sql, device, mark));
  return acked === null
    ? lostPositionError("the coordinator knows numbers that were never sealed here")
    : ok({ acked, keyId });
}

function withAge(op: string, ageMs: number): SyncOp {
  return Object.assign(JSON.parse(op) as Omit<SyncOp, "ageMs">, { ageMs });
}

function lostPositionError(message: string): { readonly ok: false; readonly error: CallError } {
  return err({ code: "lost_place", message });
}

function nextBatch(sql: Sql): LogRow[] {
  const rows = sql.all<LogRow>("SELECT seq, at, op FROM sync_log ORDER BY seq LIMIT ?", maxPushOps);
  let chars = 0;
  return rows.filter(({ op }, index) => (chars += op.length) <= maxLogChars || index === 0);
}

/** Returns the removed kinds; null when the mark is of another history. */
function acknowledge(sql: Sql, device: Device, mark: number): SyncOp["kind"][] | null {
  const current = devices.get(sql);
  // Another process has started a new epoch meanwhile.
  if (current?.device !== device.device || current.epoch !== device.epoch) return [];
  if (mark > current.sealed) return null;
  sql.run("UPDATE sync_device SET acked = max(acked, ?)", mark);
  const acked = sql.all<{ kind: SyncOp["kind"] }>("SELECT kind FROM sync_log WHERE seq <= ?", mark);
  sql.run("DELETE FROM sync_log WHERE seq <= ?", mark);
  return acked.map(({ kind }) => kind);
}
