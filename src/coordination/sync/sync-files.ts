import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf } from "../../contract/operations.ts";
import { err, ok } from "../../shared/result.ts";
import * as devices from "./sync-devices.ts";
import * as rows from "./sync-rows.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncFiles } from "./sync-tables.ts";

const parts = syncFiles.pick("bundle", "checkpoint", "part", "parts", "epoch", "at");

type PartRow = RowOf<typeof parts>;

const ofSession = "session = ? AND device = ?";

export const handlers = {
  /**
   * [SY98] The last part replaces the previous bundle in one transaction; stored parts are skipped.
   * [SY10] Content of another epoch is replaced only by content that is not older.
   */
  "sync.put-files"(tx, input, actor) {
    const { device, epoch, session, bundle, part, parts } = input;
    const own = devices.own(tx, actor, device, epoch);
    if (!own.ok) return own;
    const stored = storedParts(tx, input);
    if (stored.length > part) return ok({ stored: stored.length });
    const at = Math.max(0, tx.now - input.ageMs);
    const refused = whyNot(tx, { ...input, at }, stored);
    if (refused) return err(refused);
    const sums = rows.totals(tx.sql);
    const others = `${ofSession} AND bundle <> ?`;
    if (part === parts - 1) rows.removeFiles(tx, sums, others, session, device, bundle);
    else if (part === 0) rows.removeFiles(tx, sums, `${others} AND ${incomplete}`, session, device, bundle);
    insert(tx, { ...input, at });
    sums.chars += input.envelope.length;
    const full = noRoom(tx, sums);
    if (full) return err(full);
    rows.saveTotals(tx.sql, sums);
    return ok({ stored: part + 1 });
  },

  /** [SY33] Parts of a complete bundle only. */
  "sync.files"(tx, { session, device, bundle, part }) {
    const found = complete(tx, { session, device });
    const [text] =
      found && (bundle ?? found.bundle) === found.bundle
        ? tx.sql.all<{ envelope: string }>(
            `SELECT envelope FROM sync_files WHERE ${ofSession} AND bundle = ? AND part = ?`,
            session,
            device,
            found.bundle,
            part ?? found.part,
          )
        : [];
    if (!found || !text)
      return err({
        code: "unknown_key",
        message: `these files of session ${session} of device ${device} are not stored here`,
      });
    const { checkpoint, parts, at } = found;
    return ok({ bundle: found.bundle, checkpoint, parts, ageMs: Math.max(0, tx.now - at), envelope: text.envelope });
  },
} satisfies Partial<Handlers>;

const incomplete = `NOT EXISTS (SELECT 1 FROM sync_files AS last WHERE last.session = sync_files.session AND last.device = sync_files.device
  AND last.bundle = sync_files.bundle AND last.part = last.parts - 1)`;

type Of = Pick<CheckedInputOf<"sync.put-files">, "session" | "device">;

function storedParts(
  { sql }: Tx,
  { session, device, bundle }: Of & Pick<CheckedInputOf<"sync.put-files">, "bundle">,
): PartRow[] {
  return sql.all<PartRow>(
    `SELECT bundle, checkpoint, part, parts, epoch, at FROM sync_files WHERE ${ofSession} AND bundle = ?`,
    session,
    device,
    bundle,
  );
}

function complete({ sql }: Tx, { session, device }: Of): PartRow | null {
  const [row] = sql.all<PartRow>(
    `SELECT bundle, checkpoint, part, parts, epoch, at FROM sync_files WHERE ${ofSession} AND part = parts - 1`,
    session,
    device,
  );
  return row ?? null;
}

type Dated = CheckedInputOf<"sync.put-files"> & { readonly at: number };

function whyNot(tx: Tx, input: Dated, stored: readonly PartRow[]): Refusal | null {
  const { session, device } = input;
  const row = rows.findSession(tx, device, session);
  if (!row || row.isEnded === 1)
    return { code: "unknown_key", message: `session ${session} of device ${device} is not stored here, or has ended` };
  if (!isNext(input, stored)) return gap(input, stored);
  const before = complete(tx, input);
  if (!before || !rows.isOlder(input, before)) return null;
  return {
    code: "device_forked",
    message: `newer files of session ${session} were stored under another epoch of the device`,
  };
}

function isNext({ part, parts, checkpoint }: CheckedInputOf<"sync.put-files">, stored: readonly PartRow[]): boolean {
  const isSame = stored.every((one) => one.parts === parts && one.checkpoint === checkpoint);
  return isSame && part === stored.length && part < parts;
}

function gap({ bundle }: CheckedInputOf<"sync.put-files">, { length: stored }: readonly PartRow[]): Refusal {
  return {
    code: "gap",
    message: `bundle ${bundle} has ${stored} stored parts; send the next one, or another bundle from its part 0`,
    details: { stored },
  };
}

function insert({ sql }: Tx, input: Dated): void {
  syncFiles.insert(sql, { ...input, chars: input.envelope.length });
}

/** [SY35] Files use at most half of the quota, so that they never keep out a checkpoint. */
function noRoom(tx: Tx, sums: rows.Totals): Refusal | null {
  const most = Math.floor(tx.settings.maxSyncChars / 2);
  if (sums.chars <= most) return null;
  return {
    code: "quota_exceeded",
    message: `files are stored only while sessions, checkpoints and files together have at most ${most} characters, half of maxSyncChars; forget some, or raise the limit`,
  };
}
