import type { Refusal } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as rows from "./sync-rows.ts";
import { repeatable, type Handlers } from "../kernel/handlers.ts";
import type { Actor, Tx } from "../kernel/tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncDevices } from "./sync-tables.ts";

export type DeviceRow = RowOf<typeof syncDevices>;

/** [SY3] The device in this epoch, for its own machine. */
export function own(tx: Tx, actor: Actor, device: string, epoch: number): Result<DeviceRow, Refusal> {
  const row = syncDevices.find(tx.sql, { epoch });
  if (row?.device !== device) return err(unknownDevice(device));
  const refused = checkOwner(actor, row);
  return refused ? err(refused) : ok(row);
}

function findNewest({ sql }: Tx, device: string): DeviceRow | null {
  return syncDevices.select(sql, "WHERE device = ? ORDER BY epoch DESC LIMIT 1", device)[0] ?? null;
}

/** [SY2] Allows only the own machine to store; an admin of another one may only delete. */
function checkOwner({ machine }: Actor, row: rows.Origin): Refusal | null {
  if (machine === row.machine) return null;
  return {
    code: "forbidden",
    message: `device ${row.device} belongs to machine ${row.machine}, and this token is for ${machine}; a copied home needs its own device`,
  };
}

const maxDevices = 1_000;
/** Limit per device: a copied SHIM folder continues in an older epoch. */
const maxEpochs = 8;

export const handlers = {
  /** [SY1] New device or epoch; a repeated request returns the same epoch. */
  "sync.begin": repeatable("sync.begin", (tx, { device, keyId }, actor) => {
    const sums = rows.totals(tx.sql);
    const last = findNewest(tx, device);
    const refused = (last ? checkOwner(actor, last) : checkDeviceLimit(tx)) ?? checkKey(sums, keyId);
    if (refused) return err(refused);
    sums.keyId = keyId;
    sums.epoch = rows.nextNumber(tx, sums.epoch);
    rows.saveTotals(tx.sql, sums);
    const { machine } = actor;
    const row = { epoch: sums.epoch, device, machine, keyId, mark: 0, pushedAt: tx.now, hashes: "" };
    syncDevices.insert(tx.sql, row);
    tx.sql.run(
      `DELETE FROM sync_devices WHERE epoch IN
         (SELECT epoch FROM sync_devices WHERE device = ? ORDER BY epoch DESC LIMIT -1 OFFSET ?)`,
      device,
      maxEpochs,
    );
    audit.append(tx, { kind: "sync.begun", subject: device, actor: machine, detail: { epoch: sums.epoch } });
    return ok({ epoch: sums.epoch, keyId });
  }),

  /** [SY6] [SY161] Concurrent requests: one succeeds, the others get the present key. */
  "sync.rekey": repeatable("sync.rekey", (tx, { keyId, from }, actor) => {
    const sums = rows.totals(tx.sql);
    const currentKey = sums.keyId;
    if (currentKey === keyId) return ok({ keyId });
    if (currentKey !== from) {
      return err({
        code: "wrong_key",
        message: `the workspace seals under key ${currentKey ?? "(none yet)"}, not under ${from ?? "none"}; nothing was changed`,
        details: { keyId: currentKey },
      });
    }
    rows.saveTotals(tx.sql, { ...sums, keyId });
    audit.append(tx, { kind: "sync.rekeyed", subject: keyId, actor: actor.machine, detail: { from } });
    return ok({ keyId });
  }),

  /** [SY16] Allowed to its own machine and to admins. */
  "sync.purge": repeatable("sync.purge", (tx, { device }, actor) => {
    const row = findNewest(tx, device);
    if (!row) return err(unknownDevice(device));
    const refused = chatRows.checkMachine(actor, row.machine);
    if (refused) return err(refused);
    const sums = rows.totals(tx.sql);
    const purged = {
      sessions: rows.forgetSessions(tx, sums, "device = ?", device),
      checkpoints: rows.removeCheckpoints(tx, sums, "device = ?", device),
    };
    rows.saveTotals(tx.sql, sums);
    tx.sql.run("DELETE FROM sync_devices WHERE device = ?", device);
    audit.append(tx, { kind: "sync.purged", subject: device, actor: actor.machine, detail: purged });
    return ok(purged);
  }),

  "sync.status"(tx, { device: wanted }) {
    const { sql, now } = tx;
    const { keyId, chars } = rows.totals(sql);
    const [counts] = sql.all<{ sessions: number; checkpoints: number }>(
      "SELECT (SELECT count(*) FROM sync_sessions WHERE chars > 0) AS sessions, (SELECT count(*) FROM sync_checkpoints) AS checkpoints",
    );
    const found = sql.all<DeviceRow>(
      `SELECT * FROM sync_devices AS one WHERE (? IS NULL OR device = ?)
         AND epoch = (SELECT max(epoch) FROM sync_devices WHERE device = one.device) ORDER BY device`,
      wanted ?? null,
      wanted ?? null,
    );
    const devices = found.map(({ device, machine, epoch, mark, keyId: own, pushedAt: at }) => {
      return { device, machine, epoch, mark, keyId: own, lastPushAgeMs: Math.max(0, now - at) };
    });
    return ok({ keyId, sessions: counts?.sessions ?? 0, checkpoints: counts?.checkpoints ?? 0, chars, devices });
  },
} satisfies Partial<Handlers>;

function checkDeviceLimit({ sql }: Tx): Refusal | null {
  const [row] = sql.all<{ n: number }>("SELECT count(DISTINCT device) AS n FROM sync_devices");
  if ((row?.n ?? 0) < maxDevices) return null;
  return { code: "quota_exceeded", message: `a workspace has at most ${maxDevices} devices; purge some (sync.purge)` };
}

function checkKey({ keyId: wanted }: rows.Totals, given: string): Refusal | null {
  if (wanted === null || wanted === given) return null;
  return {
    code: "wrong_key",
    message: `the workspace seals under key ${wanted}, not under ${given}; bring the code of that key to this machine`,
    details: { keyId: wanted },
  };
}

function unknownDevice(device: string): Refusal {
  return {
    code: "unknown_device",
    message: `device ${device} is not registered here, or not in this epoch; register it (sync.begin)`,
  };
}
