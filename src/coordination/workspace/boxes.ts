import type { CheckedInputOf } from "../../contract/operations.ts";
import { maxPairingChars, pairedMs } from "../../contract/phones.ts";
import { pairingMs, type BoxKind } from "../../contract/sealed-boxes.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { integer, table, text, type RowOf } from "../../shared/table.ts";
import * as audit from "../kernel/audit.ts";
import { checkMachine } from "../kernel/chat-rows.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as tokens from "./tokens.ts";

/**
 * Objects beside the workspace that hold its hand-overs and relay its phones. Each has a row here
 * and ends with it; a row outlives its object, which the host clears.
 */
export const boxes = table("boxes", {
  id: text().primary(),
  kind: text<BoxKind>(),
  /** Token that made it, and alone uses it. */
  token: text(),
  machine: text(),
  /** A newer box of the machine replaces that of the same subject; null: it replaces none. */
  subject: text().nullable(),
  at: integer(),
  /** Epoch ms; of an ended one, when the host is to try again to clear it. */
  until: integer(),
  isEnded: integer().default(0),
  /** Reserved in the storage. */
  chars: integer(),
});

type Box = RowOf<typeof boxes>;
export type NamedBox = Pick<Box, "id" | "kind">;
type Totals = Readonly<Record<"count" | "chars", number>>;

/** An introduction and a grant. */
const phoneChars = 2 * maxPairingChars;
const longestMs = { handover: Infinity, phone: pairingMs.max } as const satisfies Record<BoxKind, number>;

/** @returns its end, epoch ms: at the latest that of its token */
export function add(
  tx: Tx,
  { id, token: tokenId }: Pick<Box, "id" | "token">,
  { kind, subject, forMs, chars: sealed }: CheckedInputOf<"boxes.create">,
): Result<{ readonly id: string; readonly until: number }> {
  const token = tokens.find(tx, tokenId);
  if (forMs > longestMs[kind]) return fail("bad_input", `a link pairs for at most ${longestMs[kind]} ms`);
  const [machine, expiresAt] = [token?.machine ?? "", token?.expiresAt ?? Infinity];
  if (subject !== undefined) end(tx, { machine, kind, subject });
  const chars = kind === "phone" ? phoneChars : sealed;
  const refused = findLimit(tx, tokenId, chars);
  if (refused !== null) return fail("quota_exceeded", `${refused}; end some (boxes.end), or raise the setting`);
  const until = Math.min(tx.now + forMs, expiresAt);
  boxes.insert(tx.sql, { id, kind, token: tokenId, machine, subject: subject ?? null, at: tx.now, until, chars });
  return ok({ id, until });
}

/** @returns the limit that one more box would pass, or null */
function findLimit({ sql, settings }: Tx, token: string, chars: number): string | null {
  const { maxBoxes, maxBoxChars, maxBoxesPerToken, maxBoxCharsPerToken } = settings;
  const [all, own] = [totals(sql), totals(sql, "WHERE token = ?", token)];
  if (own.count >= maxBoxesPerToken) return `a token has at most ${maxBoxesPerToken} boxes (maxBoxesPerToken)`;
  if (own.chars + chars > maxBoxCharsPerToken)
    return `the boxes of a token have at most ${maxBoxCharsPerToken} characters (maxBoxCharsPerToken)`;
  if (all.count >= maxBoxes) return `a workspace has at most ${maxBoxes} boxes (maxBoxes)`;
  if (all.chars + chars > maxBoxChars) return `all boxes have at most ${maxBoxChars} characters (maxBoxChars)`;
  return null;
}

/** Stored, also for one that has ended and is not cleared yet. */
export function totals(sql: Tx["sql"], where = "", ...values: string[]): Totals {
  const query = `SELECT count(*) AS count, ifnull(sum(chars), 0) AS chars FROM boxes ${where}`;
  return sql.all<Totals>(query, ...values)[0] ?? { count: 0, chars: 0 };
}

/**
 * Whether the token may use the box.
 * @param forMs the phone is paired for so long from now; absent: its end stays
 */
export function use(
  tx: Tx,
  { token, ...named }: Pick<Box, "id" | "kind" | "token">,
  forMs?: number,
): Result<{ readonly until: number }> {
  const box = boxes.find(tx.sql, { ...named, token, isEnded: 0 });
  if (box === null || box.until <= tx.now)
    return fail(`unknown_${named.kind}`, "this coordinator has no such box of this machine, or its time is over");
  if (forMs === undefined) return ok({ until: box.until });
  const until = Math.min(tx.now + Math.min(forMs, pairedMs.max), tokens.find(tx, token)?.expiresAt ?? Infinity);
  boxes.update(tx.sql, { id: box.id }, { until });
  return ok({ until });
}

/** Ends boxes at once: the host clears their objects. @returns how many */
export function end(tx: Tx, which: Parameters<typeof boxes.count>[1]): number {
  const where = { ...which, isEnded: 0 };
  const count = boxes.count(tx.sql, where);
  if (count === 0) return 0;
  boxes.update(tx.sql, where, { isEnded: 1, until: tx.now + retryMs });
  tx.tell({ kind: "boxes" });
  return count;
}

/** Ends all, and has the host clear those that had ended before. */
export function endAll(tx: Tx): void {
  if (end(tx, {}) === 0) tx.tell({ kind: "boxes" });
}

/** Pause before the host tries again to clear an object. */
const retryMs = 60_000;

export const dueAt = "SELECT min(until) FROM boxes";

/** Ends those whose time is over; objects that were not cleared are tried again. */
export function sweep(tx: Tx): void {
  tx.sql.run("UPDATE boxes SET isEnded = 1, until = ? WHERE until <= ?", tx.now + retryMs, tx.now);
  tx.tell({ kind: "boxes" });
}

export function listEnded(sql: Tx["sql"]): NamedBox[] {
  return boxes.pick("id", "kind").select(sql, "WHERE isEnded = 1");
}

export const handlers = {
  "boxes.list"({ sql, now }) {
    const rows = boxes.without("isEnded").select(sql, "WHERE isEnded = 0 ORDER BY at, id");
    const view = ({ at, until, ...box }: Omit<Box, "isEnded">) => {
      return {
        ...box,
        ageMs: Math.max(0, now - at),
        endsInMs: Math.max(0, until - now),
      };
    };
    return ok({ boxes: rows.map(view) });
  },

  "boxes.end"(tx, { id, kind, subject }, actor) {
    const box = id === undefined ? null : boxes.find(tx.sql, { id });
    if (box !== null && checkMachine(actor, box.machine) !== null) return ok({ ended: 0 });
    const ended = end(tx, id === undefined ? { kind, subject, machine: actor.machine } : { id });
    if (ended > 0) audit.append(tx, { kind: "boxes.ended", subject: id ?? subject ?? "all", actor: actor.machine });
    return ok({ ended });
  },
} satisfies Partial<Handlers>;
