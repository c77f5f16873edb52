import type { Failure } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as audit from "../kernel/audit.ts";
import type { Handlers } from "../kernel/handlers.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";

/** A frozen workspace is read only, so that all pages of an export have one state. */

/** Refuses what has written while it is frozen; of a half import nothing is read either. */
export function withoutChange<T>(tx: Tx, work: (tx: Tx) => Result<T>): Result<T> {
  if (tx.frozenUntil === meta.untilImported) return err(isImporting);
  const before = countChanges(tx.sql);
  const result = work(tx);
  return result.ok && countChanges(tx.sql) > before ? err(refusal(tx)) : result;
}

/** 0: it is not frozen; null: it is until its import is complete. */
export function remainingMs({ frozenUntil, now }: Tx): number | null {
  return frozenUntil === meta.untilImported ? null : Math.max(0, frozenUntil - now);
}

/** Rows changed over this connection since it was opened. */
function countChanges(sql: Sql): number {
  return sql.all<{ n: number }>("SELECT total_changes() AS n")[0]?.n ?? 0;
}

const longestPauseMs = 60_000;

function refusal({ frozenUntil, now }: Tx): Failure {
  const until = new Date(frozenUntil).toISOString();
  return {
    code: "frozen",
    message: `the workspace is read only until ${until}: it is exported, or moved`,
    retryAfterMs: Math.min(frozenUntil - now, longestPauseMs),
  };
}

const numberKey = "freeze";

/** Number of the last freeze; 0: there was none. */
export function numberOf({ sql }: Pick<Tx, "sql">): number {
  return Number(meta.read(sql, numberKey));
}

export function set({ sql }: Pick<Tx, "sql">, until: number): void {
  meta.write(sql, meta.frozenKey, String(until));
}

/** Keys of `meta` that are of this storage, and no part of an export. */
export const ownKeys: readonly string[] = [meta.frozenKey, numberKey];

export const handlers = {
  "workspace.freeze"(tx, { ms }, { machine: actor }) {
    if (tx.frozenUntil === meta.untilImported) return err(isImporting);
    const wasFrozen = meta.isFrozen(tx);
    const until = ms === 0 ? tx.now : Math.max(tx.frozenUntil, tx.now + ms);
    if (wasFrozen || ms > 0) set(tx, until);
    if (wasFrozen ? ms === 0 : ms > 0) {
      const kind = ms > 0 ? "workspace.frozen" : "workspace.unfrozen";
      const seq = audit.append(tx, { kind, subject: "workspace", actor, detail: { ms } });
      if (ms > 0) meta.write(tx.sql, numberKey, String(seq));
    }
    return ok({ freeze: numberOf(tx), remainingMs: until - tx.now });
  },
} satisfies Partial<Handlers>;

const isImporting: Failure = {
  code: "frozen",
  message: "an import is not complete: continue it with the same file, import another one, or delete the workspace",
  retryAfterMs: longestPauseMs,
};
