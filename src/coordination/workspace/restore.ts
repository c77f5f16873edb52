import type { OutputOf } from "../../contract/operations.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";
import { raiseEpoch } from "./settings.ts";
import { tokens } from "./tokens.ts";

/**
 * A restore of the workspace's storage to an earlier time. The mark is kept outside of that
 * storage.
 */
export interface RestoreMark {
  readonly id: string;
  /** Epoch ms. */
  readonly to: number;
  readonly reason: string;
  readonly quietMs: number;
  /** Machine whose token asked for it. */
  readonly by: string;
  /** Tokens that were revoked since then: they must not open anything again. */
  readonly revoked: readonly string[];
}

export interface RestorePlan {
  readonly by: string;
  readonly lost: OutputOf<"workspace.restore">["lost"];
  readonly revoked: readonly string[];
}

const announcedKey = "restore_announced";
const settledKey = "restore_settled";
/** Keys of `meta` that are of this storage, and no part of an export. */
export const ownKeys: readonly string[] = [announcedKey, settledKey];

/**
 * Entries of the audit log that a restore would lose, by kind, and tokens revoked since then.
 * Refused for a time before the workspace.
 */
export function plan({ sql }: Pick<Tx, "sql">, to: number, by: string): Result<RestorePlan> {
  const [first] = sql.all<{ at: number | null }>("SELECT min(at) AS at FROM tokens");
  if (to < (first?.at ?? 0)) return fail("bad_input", "the workspace was made later than that");
  const revoked = sql.all<{ id: string }>("SELECT id FROM tokens WHERE revokedAt > ?", to).map(({ id }) => id);
  return ok({ by, lost: audit.countSince(sql, to), revoked });
}

/** Written into the storage that is to go: where it is still there, the restore did not happen. */
export function announce({ sql }: Pick<Tx, "sql">, id: string): void {
  meta.write(sql, announcedKey, id);
}

/**
 * At each start, before any request: begins a new epoch where the storage was put back since the
 * last start, so that no token or number of the lost time counts or comes again.
 */
export function settle(tx: Tx, { id, to, reason, quietMs, by, revoked }: RestoreMark): void {
  if (meta.read(tx.sql, settledKey) === id) return;
  meta.write(tx.sql, settledKey, id);
  const subject = new Date(to).toISOString();
  const detail = { reason };
  if (meta.read(tx.sql, announcedKey) === id) {
    meta.remove(tx.sql, announcedKey);
    audit.append(tx, { kind: "workspace.not_restored", subject, actor: by, detail });
    return;
  }
  audit.append(tx, { kind: "workspace.restored", subject, actor: by, detail });
  raiseEpoch(tx, { reason: `restore to ${subject}`, quietMs }, by);
  for (const token of revoked) tokens.update(tx.sql, { id: token, revokedAt: null }, { revokedAt: tx.now });
}

/** @returns the epoch; null: the restore did not happen, or was not settled */
export function epochAfter(tx: Tx, id: string): number | null {
  const { kind } = audit.newestOf(tx.sql, ["workspace.restored", "workspace.not_restored"]) ?? {};
  return meta.read(tx.sql, settledKey) === id && kind === "workspace.restored" ? tx.epoch : null;
}
