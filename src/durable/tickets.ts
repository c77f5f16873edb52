import type { Refusal } from "../contract/errors.ts";
import * as meta from "../coordination/kernel/meta.ts";
import type { Sql } from "../shared/sql.ts";

/** Name of a ticket, which the worker has signed. */
export interface Ticket {
  readonly id: string;
  readonly expiresAt: number;
}

const key = "used_tickets";

export const refusal: Refusal<"unauthenticated"> = {
  code: "unauthenticated",
  message: "the ticket was used, or is too old",
};

/**
 * [WP17] Stored, because the object may be evicted while the ticket is still valid.
 * @returns false: it was used before, or is too old
 */
export function use(sql: Sql, now: number, { id, expiresAt }: Ticket): boolean {
  if (expiresAt <= now) return false;
  const used = JSON.parse(meta.read(sql, key) ?? "{}") as Record<string, number>;
  if (Object.hasOwn(used, id)) return false;
  const valid = Object.entries(used).filter(([, until]) => until > now);
  meta.write(sql, key, JSON.stringify(Object.fromEntries([...valid, [id, expiresAt]])));
  return true;
}
