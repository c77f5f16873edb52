import type { Refusal } from "../../contract/errors.ts";
import type { SyncOp } from "../../contract/sync.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as devices from "./sync-devices.ts";
import * as rows from "./sync-rows.ts";
import { storeSet } from "./sync-push-set.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";

export const handlers = {
  /**
   * [SY7] All or none; stored ops are compared. [SY8] A number that is not the next is a gap; [SY9]
   * another op under a stored number means a copied or older device.
   */
  "sync.push"(tx, { device, epoch, ops }, actor) {
    const owned = devices.own(tx, actor, device, epoch);
    if (!owned.ok) return owned;
    const row = owned.value;
    const refused = checkOrder(ops) ?? checkGap(row, ops) ?? checkFork(row, ops);
    if (refused) return err(refused);
    const sums = rows.totals(tx.sql);
    const newOps = ops.filter(({ seq }) => seq > row.mark);
    const mark = newOps.length === 0 ? ok(row.mark) : store(tx, sums, row, newOps);
    return mark.ok ? ok({ mark: mark.value, keyId: sums.keyId ?? row.keyId }) : mark;
  },
} satisfies Partial<Handlers>;

function store(tx: Tx, sums: rows.Totals, row: devices.DeviceRow, newOps: readonly SyncOp[]): Result<number, Refusal> {
  if (storeSet(tx, sums, row, newOps)) {
    rows.saveTotals(tx.sql, sums);
    return ok(advanceMark(tx, row, newOps));
  }
  const before = sums.chars;
  const state = { row, touched: new Set<string>(), unpruned: new Set<string>() };
  for (const op of newOps) applyOp(tx, sums, state, op);
  prune(tx, sums, state);
  const quotaProblem = sums.chars > before ? checkQuota(tx, sums) : null;
  if (quotaProblem) return err(quotaProblem);
  rows.saveTotals(tx.sql, sums);
  return ok(advanceMark(tx, row, newOps));
}

function checkOrder(ops: readonly SyncOp[]): Refusal | null {
  const first = ops[0]?.seq ?? 0;
  const at = ops.findIndex(({ seq }, index) => seq !== first + index);
  if (at < 0) return null;
  return { code: "bad_input", message: `ops.${at}.seq: the ops of a push must have consecutive numbers` };
}

function checkGap({ mark }: devices.DeviceRow, ops: readonly SyncOp[]): Refusal | null {
  const first = ops[0]?.seq ?? 0;
  if (first <= mark + 1) return null;
  return {
    code: "gap",
    message: `everything up to ${mark} is stored for this device, and ${first} is not the next number; send the missing ops, or start a new epoch`,
    details: { mark },
  };
}

/** Sufficient length: only the device itself could forge a hash. */
const hashChars = 16;
/** A client repeats at most its unacknowledged ops. */
const maxHashes = 1_000;

function checkFork(row: devices.DeviceRow, ops: readonly SyncOp[]): Refusal | null {
  const first = row.mark + 1 - row.hashes.length / hashChars;
  const other = ops.find(({ seq, hash }) => seq <= row.mark && !hasHash(row.hashes, seq - first, hash));
  if (!other) return null;
  const why = other.seq < first ? "is no longer known" : "was a different one";
  return {
    code: "device_forked",
    message: `op ${other.seq} of this device ${why}: its home was copied or restored; start a new epoch`,
    details: { seq: other.seq, mark: row.mark },
  };
}

function hasHash(hashes: string, index: number, hash: string): boolean {
  return index >= 0 && hashes.startsWith(hash.slice(0, hashChars), index * hashChars);
}

interface PushState {
  readonly row: devices.DeviceRow;
  readonly touched: Set<string>;
  /** Sessions with new checkpoints. */
  readonly unpruned: Set<string>;
}

function applyOp(tx: Tx, sums: rows.Totals, state: PushState, op: SyncOp): void {
  const { kind, session, checkpoint } = op;
  switch (kind) {
    case "session":
      if (rows.upsertSession(tx, sums, state.row, op)) state.touched.add(session);
      return;
    case "checkpoint":
      return applyCheckpoint(tx, sums, state, op);
    case "forget":
      // A deletion makes room only for what comes after it.
      prune(tx, sums, state);
      return applyForget(tx, sums, state, { session, checkpoint });
  }
}

function applyCheckpoint(tx: Tx, sums: rows.Totals, { row, touched, unpruned }: PushState, op: SyncOp): void {
  const { session } = op;
  const stored = rows.upsertCheckpoint(tx, sums, row, op);
  if (stored === "older") return;
  if (stored === "new") unpruned.add(session);
  if (touched.has(session)) return;
  rows.touch(tx, sums, row, session);
  touched.add(session);
}

/** [SY13] Once for all checkpoints of a session. */
function prune(tx: Tx, sums: rows.Totals, { row, unpruned }: PushState): void {
  for (const session of unpruned) rows.pruneCheckpoints(tx, sums, row.device, session);
  unpruned.clear();
}

/** [SY11] Deletes it in every epoch of the device. */
function applyForget(
  tx: Tx,
  sums: rows.Totals,
  { row, touched }: PushState,
  { session, checkpoint }: Pick<SyncOp, "session" | "checkpoint">,
): void {
  if (checkpoint === undefined) {
    rows.forgetSession(tx, sums, row.device, session);
    touched.delete(session);
    return;
  }
  const where = "checkpoint = ? AND device = ? AND session = ?";
  rows.removeFiles(tx, sums, where, checkpoint, row.device, session);
  const isGone = rows.removeCheckpoints(tx, sums, where, checkpoint, row.device, session) > 0;
  if (!isGone || touched.has(session)) return;
  rows.touch(tx, sums, row, session);
  touched.add(session);
}

const maxExpiredRows = 1_000;

/** [SY15] A push that needs no additional room is never refused. */
function checkQuota(tx: Tx, sums: rows.Totals): Refusal | null {
  const { maxSyncChars } = tx.settings;
  if (sums.chars > maxSyncChars) rows.expire(tx, sums, maxExpiredRows);
  if (sums.chars <= maxSyncChars) return null;
  return {
    code: "quota_exceeded",
    message: `the workspace keeps at most ${maxSyncChars} characters of sessions and checkpoints (maxSyncChars), and none of them is old enough to be deleted; forget some, or raise the limit`,
  };
}

function advanceMark(tx: Tx, row: devices.DeviceRow, newOps: readonly SyncOp[]): number {
  const mark = row.mark + newOps.length;
  const hashes = row.hashes + newOps.map(({ hash }) => hash.slice(0, hashChars)).join("");
  tx.sql.run(
    "UPDATE sync_devices SET mark = ?, pushedAt = ?, hashes = ? WHERE epoch = ?",
    mark,
    tx.now,
    hashes.slice(-maxHashes * hashChars),
    row.epoch,
  );
  tx.tell({ kind: "sync", machine: row.machine, isDeath: false });
  return mark;
}
