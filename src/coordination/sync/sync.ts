import type { Refusal } from "../../contract/errors.ts";
import type { MirroredSession } from "../../contract/sync.ts";
import { err, ok } from "../../shared/result.ts";
import type { SqlValue } from "../../shared/sql.ts";
import * as audit from "../kernel/audit.ts";
import * as leases from "../leases/leases.ts";
import * as rows from "./sync-rows.ts";
import { byLiveChat, type Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";

const maxPageChars = 1_000_000;

export const handlers = {
  /**
   * [SY20] Ordered by change, so pulls miss none. [SY22] Limited. [SY18] With forgotten ones.
   */
  "sync.list"(tx, { project, session, device, after, limit }) {
    const { revision } = rows.totals(tx.sql);
    // A revision that is not in this workspace's past (after a restore): everything is listed.
    const from = after > revision ? 0 : after;
    const filter = { "revision > ?": from, "session = ?": session, "device = ?": device };
    const sessionFilter = { ...filter, "chars > ?": 0, "project = ?": project };
    const found = listChanged<rows.SessionRow>(tx, `${rows.sessionColumns} FROM sync_sessions`, sessionFilter, limit);
    const forgotten = from === 0 ? [] : listChanged<ForgottenRow>(tx, forgottenRowsSql, filter, limit);
    const end = endOfPage([...found, ...forgotten], limit);
    const isOn = (row: ChangedRow): boolean => end === null || row.revision <= end;
    return ok({
      sessions: found.filter(isOn).map((row) => toMirroredSession(tx, row)),
      forgotten: forgotten.filter(isOn).map((row) => ({ device: row.device, session: row.session })),
      revision: end ?? revision,
      isMore: end !== null,
    });
  },

  "sync.checkpoints"(tx, { session, device, limit, cursor }) {
    const before = cursor === undefined ? [Number.MAX_SAFE_INTEGER, 0, 0] : parseCursor(cursor);
    if (!before) return err({ code: "bad_input", message: "cursor: not from an answer of sync.checkpoints" });
    const wheres = ["session = ?", "(at, epoch, seq) < (?, ?, ?)", ...(device === undefined ? [] : ["device = ?"])];
    const values = [session, ...before, ...(device === undefined ? [] : [device])];
    const found = newestFirst(tx, wheres.join(" AND "), values, limit + 1);
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return ok({
      checkpoints: page.map((row) => toStoredCheckpoint(tx, row)),
      cursor: last && found.length > limit ? [last.at, last.epoch, last.seq].join(".") : null,
    });
  },

  /** [SY12] Prefers the named device, else the newest. */
  "sync.checkpoint"(tx, { checkpoint: id, device }) {
    const where = "checkpoint = ? AND (? IS NULL OR device = ?)";
    const [row] = newestFirst(tx, where, [id, device ?? null, device ?? null], 1);
    const [text] = row
      ? tx.sql.all<{ envelope: string }>(
          "SELECT envelope FROM sync_checkpoints WHERE checkpoint = ? AND device = ?",
          id,
          row.device,
        )
      : [];
    if (!row || !text) return err({ code: "unknown_key", message: `checkpoint ${id} is not stored here` });
    return ok({ ...toStoredCheckpoint(tx, row), envelope: text.envelope });
  },

  /** [SY30] Requires the session's lease, so at most one chat continues it. */
  "sync.take": byLiveChat((tx, { self, device, session, token }, caller) => {
    const row = rows.findSession(tx, device, session);
    if (!row) return err(unknownSession(device, session));
    const resource = `session:${session}`;
    const { isValid, holder } = leases.check(tx, { resource, token });
    if (!isValid || holder !== self.chat) {
      return err({
        code: "stale_token",
        message: `chat ${self.chat} does not hold ${resource} with token ${token}; ${holder === null ? "acquire it" : `${holder} holds it`}`,
      });
    }
    // A repeat, also of an earlier process of this chat.
    if (row.takenChat === self.chat) return ok({ isTaken: true });
    const { machine } = caller;
    updateClaimant(tx, row, { chat: self.chat, machine });
    audit.append(tx, { kind: "session.taken", subject: session, actor: self.chat, detail: { device, machine } });
    return ok({ isTaken: true });
  }),

  /** [SY31] Allowed to the machine that took it, its origin, and admins. */
  "sync.give-back"(tx, { device, session }, { machine, isAdmin }) {
    const row = rows.findSession(tx, device, session);
    if (!row) return err(unknownSession(device, session));
    if (row.takenChat === null) return ok({ wasTaken: false });
    if (!isAdmin && machine !== row.takenMachine && machine !== row.machine) {
      return err({
        code: "forbidden",
        message: `session ${session} was taken on machine ${row.takenMachine}; this token is for ${machine}`,
      });
    }
    updateClaimant(tx, row, null);
    audit.append(tx, { kind: "session.given-back", subject: session, actor: machine, detail: { device } });
    return ok({ wasTaken: true });
  },
} satisfies Partial<Handlers>;

type ChangedRow = Pick<rows.SessionRow, "revision" | "chars">;
type ForgottenRow = ChangedRow & Pick<rows.SessionRow, "session" | "device">;

const forgottenRowsSql = `revision, session, device, 0 AS chars FROM
  (SELECT * FROM sync_forgotten AS one WHERE NOT EXISTS
    (SELECT 1 FROM sync_sessions WHERE session = one.session AND device = one.device))`;

/** Returns the revision of the last row that fits; null: all fit. */
function endOfPage(all: readonly ChangedRow[], limit: number): number | null {
  let chars = 0;
  let last: number | null = null;
  for (const [at, row] of all.toSorted((one, other) => one.revision - other.revision).entries()) {
    chars += row.chars;
    if (at === limit || (at > 0 && chars > maxPageChars)) return last;
    last = row.revision;
  }
  return null;
}

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
  const { session, device, machine, project, epoch, seq, revision } = row;
  const [text] = tx.sql.all<{ envelope: string }>("SELECT envelope FROM sync_sessions WHERE revision = ?", revision);
  const [count] = tx.sql.all<{ n: number }>(
    "SELECT count(*) AS n FROM sync_checkpoints WHERE session = ? AND device = ?",
    session,
    device,
  );
  const [newest] = newestFirst(tx, "session = ? AND device = ?", [session, device], 1);
  return {
    device,
    machine,
    session,
    project,
    isEnded: row.isEnded === 1,
    epoch,
    seq,
    ageMs: ageOf(tx, row.at),
    revision,
    checkpoints: count?.n ?? 0,
    newest: newest ? { checkpoint: newest.checkpoint, ageMs: ageOf(tx, newest.at) } : null,
    taken: toTaken(tx, row),
    envelope: text?.envelope ?? "",
  };
}

function ageOf({ now }: Tx, at: number): number {
  return Math.max(0, now - at);
}

function toTaken(tx: Tx, row: rows.SessionRow): MirroredSession["taken"] {
  const { takenChat: chat, takenMachine: machine, takenAt: at } = row;
  return chat === null || machine === null || at === null ? null : { chat, machine, ageMs: ageOf(tx, at) };
}

function newestFirst(tx: Tx, where: string, values: readonly SqlValue[], limit: number): rows.CheckpointRow[] {
  return tx.sql.all<rows.CheckpointRow>(
    `SELECT ${rows.checkpointColumns} FROM sync_checkpoints WHERE ${where} ORDER BY at DESC, epoch DESC, seq DESC LIMIT ?`,
    ...values,
    limit,
  );
}

function parseCursor(cursor: string): number[] | null {
  const numbers = cursor.split(".").map(Number);
  return numbers.length === 3 && numbers.every(Number.isSafeInteger) ? numbers : null;
}

function toStoredCheckpoint(tx: Tx, { checkpoint, device, session, epoch, seq, at, chars }: rows.CheckpointRow) {
  return { checkpoint, device, session, epoch, seq, ageMs: ageOf(tx, at), chars };
}

function updateClaimant(tx: Tx, row: rows.SessionRow, by: rows.Claimant | null): void {
  const sums = rows.totals(tx.sql);
  rows.setClaimant(tx, sums, row, by);
  rows.saveTotals(tx.sql, sums);
}

function unknownSession(device: string, session: string): Refusal {
  return { code: "unknown_key", message: `session ${session} of device ${device} is not stored here` };
}
