import type { Failure } from "../../contract/errors.ts";
import type { CheckedInputOf } from "../../contract/operations.ts";
import type { MirroredSession } from "../../contract/sync.ts";
import { err, fail, ok } from "../../shared/result.ts";
import type { SqlValue } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import * as audit from "../kernel/audit.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as leases from "../leases/leases.ts";
import { byLiveChat, repeatable, type Handlers, page } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { partItem } from "./sync-put.ts";
import * as rows from "./sync-rows.ts";
import { syncContents, syncDevices } from "./sync-rows.ts";

export const handlers = {
  /** Concurrent requests: one succeeds, the others get the present key. */
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

  /** Allowed to its own machine and to admins. */
  "sync.purge": repeatable("sync.purge", (tx, { device }, actor) => {
    const row = syncDevices.find(tx.sql, { device });
    if (!row) return ok({ sessions: 0, checkpoints: 0 });
    const refused = chatRows.checkMachine(actor, row.machine);
    if (refused) return err(refused);
    const sums = rows.totals(tx.sql);
    const purged = rows.countSessions(tx.sql, device);
    rows.forgetSessions(tx, sums, "device = ?", device);
    rows.saveTotals(tx.sql, sums);
    syncDevices.delete(tx.sql, { device });
    audit.append(tx, { kind: "sync.purged", subject: device, actor: actor.machine, detail: purged });
    return ok(purged);
  }),

  "sync.status"({ sql, now }, { device: wanted }) {
    const { keyId, chars } = rows.totals(sql);
    const found = syncDevices.select(sql, "WHERE device = ifnull(?, device) ORDER BY device", wanted ?? null);
    const devices = found.map(({ device, machine, putAt }) => {
      return { device, machine, lastPutAgeMs: Math.max(0, now - putAt) };
    });
    return ok({ keyId, ...rows.countSessions(sql), chars, devices });
  },

  /**
   * Ordered by change, so pulls miss none. Limited. With forgotten ones.
   */
  "sync.list"(tx, { project, session, device, after, limit }) {
    const { revision } = rows.totals(tx.sql);
    // A revision that is not in this workspace's past (after a restore): everything is listed.
    const from = after > revision ? 0 : after;
    const filter = { "revision > ?": from, "session = ?": session, "device = ?": device };
    const sessionFilter = { ...filter, "project = ?": project };
    const found = listChanged<rows.SessionRow>(
      tx,
      `${rows.sessionRows.columns()} FROM sync_sessions`,
      sessionFilter,
      limit,
    );
    const forgotten = from === 0 ? [] : listChanged<ForgottenRow>(tx, forgottenRowsSql, filter, limit);
    const changed = [...found, ...forgotten].toSorted((one, other) => one.revision - other.revision);
    const listed = page(changed, limit, ({ chars }) => chars);
    const isMore = listed.length < changed.length;
    const end = isMore ? (listed.at(-1)?.revision ?? from) : revision;
    const isOn = (row: ChangedRow): boolean => row.revision <= end;
    return ok({
      sessions: found.filter(isOn).map((row) => toMirroredSession(tx, row)),
      forgotten: forgotten.filter(isOn).map((row) => ({ device: row.device, session: row.session })),
      revision: end,
      isMore,
    });
  },

  /** Reads records of one device, and parts of a complete bundle only. */
  "sync.read"(tx, input) {
    const row = findContent(tx, input);
    if (!row) {
      const { session, device } = input;
      const message = `these files of session ${session} of device ${device}: not stored here`;
      return fail("unknown_key", message);
    }
    const { checkpoint, bundle, at, envelope } = row;
    return ok({ checkpoint, bundle, ageMs: ageOf(tx, at), envelope });
  },

  /** Requires the session's lease, so at most one chat continues it. */
  "sync.take": byLiveChat((tx, { self, device, session, token }, caller) => {
    const row = rows.sessionRows.find(tx.sql, { session, device });
    if (!row) return err(unknownSession(device, session));
    const resource = `session:${session}`;
    const { isValid, holder } = leases.check(tx, { resource, token });
    if (!isValid || holder !== self.chat) {
      return fail(
        "stale_token",
        `chat ${self.chat} does not hold ${resource} with token ${token}; ${holder === null ? "acquire it" : `${holder} holds it`}`,
      );
    }
    // A repeat, also of an earlier process of this chat.
    if (row.takenChat === self.chat) return ok({ isTaken: true });
    const { machine } = caller;
    rows.setClaimant(tx, row, { chat: self.chat, machine });
    audit.append(tx, { kind: "session.taken", subject: session, actor: self.chat, detail: { device, machine } });
    return ok({ isTaken: true });
  }),

  /** Allowed to the machine that took it, its origin, and admins. */
  "sync.give-back"(tx, { device, session }, { machine, isAdmin }) {
    const row = rows.sessionRows.find(tx.sql, { session, device });
    if (!row) return err(unknownSession(device, session));
    if (row.takenChat === null) return ok({ wasTaken: false });
    if (!isAdmin && machine !== row.takenMachine && machine !== row.machine) {
      return fail(
        "forbidden",
        `session ${session} was taken on machine ${row.takenMachine}; this token is for ${machine}`,
      );
    }
    rows.setClaimant(tx, row, null);
    audit.append(tx, { kind: "session.given-back", subject: session, actor: machine, detail: { device } });
    return ok({ wasTaken: true });
  },
} satisfies Partial<Handlers>;

type ChangedRow = Pick<rows.SessionRow, "revision" | "chars">;
type ForgottenRow = ChangedRow & Pick<rows.SessionRow, "session" | "device">;

const forgottenRowsSql = `revision, session, device, 0 AS chars FROM
  (SELECT * FROM sync_forgotten AS one WHERE NOT EXISTS
    (SELECT 1 FROM sync_sessions WHERE session = one.session AND device = one.device))`;

function listChanged<Row>(
  { sql }: Tx,
  columns: string,
  wheres: Readonly<Record<string, SqlValue | undefined>>,
  limit: number,
): Row[] {
  const conditions = Object.entries(wheres).flatMap(([where, value]) =>
    value === undefined ? [] : [{ where, value }],
  );
  return sql.all<Row>(
    `SELECT ${columns} WHERE ${conditions.map(({ where }) => where).join(" AND ")} ORDER BY revision LIMIT ?`,
    ...conditions.map(({ value }) => value),
    limit + 1,
  );
}

function toMirroredSession(tx: Tx, row: rows.SessionRow): MirroredSession {
  const { session, device, machine, checkpoint, project, version, revision, takenChat: chat, takenMachine: by } = row;
  const [text] = tx.sql.all<{ envelope: string }>("SELECT envelope FROM sync_sessions WHERE revision = ?", revision);
  return {
    device,
    machine,
    session,
    checkpoint,
    project,
    isEnded: row.isEnded === 1,
    version,
    ageMs: ageOf(tx, row.at),
    revision,
    taken: chat === null || by === null ? null : { chat, machine: by },
    envelope: text?.envelope ?? "",
  };
}

function ageOf({ now }: Tx, at: number): number {
  return Math.max(0, now - at);
}

function findContent(
  { sql }: Tx,
  { session, device, kind, bundle, part }: CheckedInputOf<"sync.read">,
): RowOf<typeof syncContents> | null {
  if (kind !== "part") return syncContents.find(sql, { session, device, kind, item: "" });
  const files = syncContents.find(sql, { session, device, kind: "files", item: "" });
  if (files === null || files.bundle !== bundle) return null;
  return syncContents.find(sql, { session, device, kind, item: partItem({ bundle, part: part ?? 0 }) });
}

function unknownSession(device: string, session: string): Failure {
  return { code: "unknown_key", message: `session ${session} of device ${device} is not stored here` };
}
