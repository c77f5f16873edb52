import type { Refusal } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { insertRows } from "./insert-rows.ts";
import type { Tx } from "./tx.ts";

/** Results by request id, so that a repeat changes nothing. Only successes are stored. */

const keepMs = 86_400_000;

export interface IdempotentRequest {
  readonly operation: string;
  readonly by?: string | undefined;
  readonly requestId: string | undefined;
  readonly input: object;
}

/**
 * [RQ1] Returns the first result; [RQ2] refuses another request. [RQ5] Ids are the machine's.
 * @param hasChanged whether to store the result: requests without effect run again [RQ3]
 * @returns `throttled` when the machine has the maximum number of stored ids [RQ7]
 */
export function once<T extends object>(
  tx: Tx,
  request: IdempotentRequest,
  work: () => Result<T, Refusal>,
  hasChanged: (value: T) => boolean = () => true,
): { result: Result<T, Refusal>; isRepeat: boolean } {
  const { requestId } = request;
  if (requestId === undefined) return { result: work(), isRepeat: false };
  const machine = machineOf(tx, request);
  const requestDigest = digest(JSON.stringify(request.input));
  const key = keyOf(request, machine, requestId);
  const stored = findStored(tx, key);
  if (stored) {
    const value = JSON.parse(stored.result) as T;
    return { result: stored.request === requestDigest ? ok(value) : err(keyReused(requestId)), isRepeat: true };
  }
  const { first, last } = endsOf(tx, machine);
  const limitProblem = checkLimits(tx, machine, first, last);
  const result: Result<T, Refusal> = limitProblem ? err(limitProblem) : work();
  if (result.ok && hasChanged(result.value)) store(tx, last, { key, machine, requestDigest, value: result.value });
  return { result, isRepeat: false };
}

/**
 * Prepares what `once` would store of several requests one by one, all of them new.
 * @param resultOf the result by request and position; null: nothing changed [RQ3]
 * @returns stores them; null: an id was used before, or there is no room for all
 */
export function prepareAll<Request extends IdempotentRequest>(
  tx: Tx,
  requests: readonly Request[],
  resultOf: (request: Request, at: number) => object | null,
): (() => void) | null {
  const repeatable = requests.flatMap((request, at) =>
    request.requestId === undefined ? [] : [{ request, id: request.requestId, value: resultOf(request, at) }],
  );
  const [one] = repeatable;
  if (!one) return () => undefined;
  const machine = machineOf(tx, one.request);
  const keys = repeatable.map(({ request, id }) => keyOf(request, machine, id));
  if (new Set(keys).size < keys.length || hasStored(tx, keys)) return null;
  let { first, last } = endsOf(tx, machine);
  const rows: NewRow[] = [];
  for (const [at, { request, value }] of repeatable.entries()) {
    if (!isWithinLimits(tx, first, last)) return null;
    if (!value) continue;
    const result = JSON.stringify(value);
    last = after(tx, last, result);
    first ??= last;
    rows.push({ key: keys[at] ?? "", request: digest(JSON.stringify(request.input)), result, ...last });
  }
  return () => storeAll(tx.sql, machine, rows);
}

interface NewRow extends StoredEntry, StoredResult {
  readonly key: string;
}

function storeAll(sql: Sql, machine: string, rows: readonly NewRow[]): void {
  if (rows.length === 0) return;
  const columns = {
    key: rows.map(({ key }) => key),
    request: rows.map(({ request }) => request),
    result: rows.map(({ result }) => result),
    expires_at: rows.map(({ until }) => until),
    machine,
    nth: rows.map(({ nth }) => nth),
    written_chars: rows.map(({ chars }) => chars),
  };
  insertRows(sql, "idempotency", columns, `WHERE true ${replaceSql}`);
}

function hasStored({ sql, now }: Tx, keys: readonly string[]): boolean {
  const query = "SELECT 1 FROM idempotency WHERE key IN (SELECT value FROM json_each(?)) AND expires_at > ? LIMIT 1";
  return sql.all(query, JSON.stringify(keys), now).length > 0;
}

function machineOf({ actor }: Tx, { operation }: IdempotentRequest): string {
  if (!actor) throw new Error(`${operation} has no caller, so its request id has no owner`);
  return actor.machine;
}

interface NewResult {
  readonly key: string;
  readonly machine: string;
  readonly requestDigest: string;
  readonly value: object;
}

const replaceSql = `ON CONFLICT (key) DO UPDATE SET request = excluded.request, result = excluded.result, expires_at = excluded.expires_at,
  machine = excluded.machine, nth = excluded.nth, written_chars = excluded.written_chars`;

function store(tx: Tx, last: StoredEntry | null, { key, machine, requestDigest, value }: NewResult): void {
  const result = JSON.stringify(value);
  const { nth, chars, until } = after(tx, last, result);
  tx.sql.run(
    `INSERT INTO idempotency (key, request, result, expires_at, machine, nth, written_chars) VALUES (?, ?, ?, ?, ?, ?, ?)
     ${replaceSql}`,
    key,
    requestDigest,
    result,
    until,
    machine,
    nth,
    chars,
  );
}

function after({ now }: Tx, last: StoredEntry | null, result: string): StoredEntry {
  return { nth: (last?.nth ?? 0) + 1, chars: (last?.chars ?? 0) + result.length, until: now + keepMs };
}

/** Names of machines and chats have no line break, so keys are unique. */
function keyOf({ operation, by = "" }: IdempotentRequest, machine: string, requestId: string): string {
  return `${operation} ${machine}\n${by} ${requestId}`;
}

interface StoredEntry {
  readonly nth: number;
  readonly chars: number;
  readonly until: number;
}

const endsQuery = ["ASC", "DESC"]
  .map(
    (order) =>
      `SELECT * FROM (SELECT nth, written_chars AS chars, expires_at AS until FROM idempotency WHERE machine = ? ORDER BY nth ${order} LIMIT 1)`,
  )
  .join(" UNION ALL ");

function endsOf(
  { sql }: Tx,
  machine: string,
): { readonly first: StoredEntry | null; readonly last: StoredEntry | null } {
  const [first = null, last = first] = sql.all<StoredEntry>(`${endsQuery} ORDER BY nth`, machine, machine);
  return { first, last };
}

interface StoredResult {
  readonly request: string;
  readonly result: string;
}

function findStored({ sql, now }: Tx, key: string): StoredResult | null {
  const query = "SELECT request, result FROM idempotency WHERE key = ? AND expires_at > ?";
  return sql.all<StoredResult>(query, key, now)[0] ?? null;
}

/** [RQ7] Entries are deleted in their order, so the first and last row give the count. */
function checkLimits(tx: Tx, machine: string, first: StoredEntry | null, last: StoredEntry | null): Refusal | null {
  if (!first || !last || isWithinLimits(tx, first, last)) return null;
  if (first.until <= tx.now) {
    prune(tx.sql, tx.now, maxPrunedRows);
    return null;
  }
  return {
    code: "throttled",
    message: `machine ${machine} has ${last.nth - first.nth + 1} request ids of the last day, as many as are kept for one machine (maxRequestIdsPerMachine, maxRequestCharsPerMachine); try again later, or without a request id`,
    retryAfterMs: Math.max(1_000, first.until - tx.now),
  };
}

function isWithinLimits({ settings }: Tx, first: StoredEntry | null, last: StoredEntry | null): boolean {
  if (!first || !last) return true;
  const { maxRequestIdsPerMachine: maxIds, maxRequestCharsPerMachine: maxChars } = settings;
  return last.nth - first.nth + 1 < maxIds && last.chars - first.chars < maxChars;
}

const maxPrunedRows = 100;

function keyReused(requestId: string): Refusal {
  return { code: "key_reused", message: `request id ${requestId} was used for another request; use a new one` };
}

/** FNV-1a twice and the length; no protection against collisions made on purpose. */
function digest(text: string): string {
  let [high, low] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    high = Math.imul(high ^ code, 0x01000193) >>> 0;
    low = Math.imul(low ^ (code + at), 0x85ebca6b) >>> 0;
  }
  return `${text.length}:${high.toString(36)}:${low.toString(36)}`;
}

const machinesSql = `machines (machine) AS (
    SELECT min(machine) FROM idempotency
    UNION ALL SELECT (SELECT min(machine) FROM idempotency WHERE machine > machines.machine) FROM machines
    WHERE machines.machine IS NOT NULL)`;

export const dueAt = `
  WITH RECURSIVE ${machinesSql}
  SELECT min((SELECT expires_at FROM idempotency WHERE machine = machines.machine ORDER BY nth LIMIT 1)) FROM machines`;

export function prune(sql: Sql, now: number, limit: number): void {
  const machineRows = sql.all<{ machine: string }>(
    `WITH RECURSIVE ${machinesSql} SELECT machine FROM machines WHERE machine IS NOT NULL`,
  );
  for (const { machine } of machineRows) {
    const rows = sql.all<{ nth: number; expires_at: number }>(
      "SELECT nth, expires_at FROM idempotency WHERE machine = ? ORDER BY nth LIMIT ?",
      machine,
      limit,
    );
    const firstKept = rows.findIndex(({ expires_at: at }) => at > now);
    const lastExpired = rows.at(firstKept < 0 ? rows.length - 1 : firstKept - 1);
    if (lastExpired && firstKept !== 0)
      sql.run(
        "DELETE FROM idempotency WHERE machine = ? AND nth <= ? AND expires_at <= ?",
        machine,
        lastExpired.nth,
        now,
      );
  }
}
