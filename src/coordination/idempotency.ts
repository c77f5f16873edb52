import type { Refusal } from "../contract/errors.ts";
import { err, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import type { Tx } from "./tx.ts";

/** Results of requests that were given an id, so that the same request again changes nothing more. Only successes are kept. */

const keepMs = 86_400_000;

/**
 * [RQ1] The same id with the same request returns the first result; [RQ2] with another request it is refused.
 *
 * @param by who asks: ids of two chats do not meet
 */
export function once<T extends object>(
  tx: Tx,
  { operation, by, requestId, input }: { operation: string; by: string; requestId: string | undefined; input: object },
  work: () => Result<T, Refusal>,
): { result: Result<T, Refusal>; isRepeat: boolean } {
  if (requestId === undefined) return { result: work(), isRepeat: false };
  const key = `${operation} ${by} ${requestId}`;
  const request = JSON.stringify(input);
  const [known] = tx.sql.all<{ request: string; result: string; expires_at: number }>(
    "SELECT request, result, expires_at FROM idempotency WHERE key = ?",
    key,
  );
  if (known && known.expires_at > tx.now) {
    if (known.request !== digest(request)) return { result: err(reused(requestId)), isRepeat: true };
    return { result: { ok: true, value: JSON.parse(known.result) as T }, isRepeat: true };
  }
  const result = work();
  if (result.ok) {
    tx.sql.run(
      `INSERT INTO idempotency (key, request, result, expires_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET request = excluded.request, result = excluded.result, expires_at = excluded.expires_at`,
      key,
      digest(request),
      JSON.stringify(result.value),
      tx.now + keepMs,
    );
  }
  return { result, isRepeat: false };
}

function reused(requestId: string): Refusal {
  return { code: "key_reused", message: `request id ${requestId} was used for another request; take a new one` };
}

/** Tells two requests apart; no protection against anybody who wants them to look alike: they are the same chat's. FNV-1a twice, with other constants, and the length. */
function digest(text: string): string {
  let [high, low] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    high = Math.imul(high ^ code, 0x01000193) >>> 0;
    low = Math.imul(low ^ (code + at), 0x85ebca6b) >>> 0;
  }
  return `${text.length}:${high.toString(36)}:${low.toString(36)}`;
}

export const dueAt = "SELECT min(expires_at) FROM idempotency";

export function prune(sql: Sql, now: number, limit: number): void {
  sql.run(
    "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE expires_at <= ? LIMIT ?)",
    now,
    limit,
  );
}
