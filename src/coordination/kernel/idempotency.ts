import type { Failure } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { List, Tx } from "./tx.ts";
import { among, type NewRowOf, type RowOf } from "../../shared/table.ts";
import { idempotency } from "./kernel-tables.ts";

/** Results by request id, so that a repeat changes nothing. Only successes are stored. */

const keepMs = 86_400_000;

export interface IdempotentRequest {
  readonly operation: string;
  readonly by?: string | undefined;
  readonly requestId: string | undefined;
  readonly input: object;
}

/**
 * Returns the first result; refuses another request. Ids are the machine's.
 * @param hasChanged whether to store the result: requests without effect run again
 * @returns `throttled` when the machine has the maximum number of stored ids
 */
export function once<T extends object>(
  tx: Tx,
  request: IdempotentRequest,
  work: () => Result<T>,
  hasChanged: (value: T) => boolean = () => true,
): { result: Result<T>; isRepeat: boolean } {
  let isRepeat = true;
  const runs = (): Result<T>[] => {
    isRepeat = false;
    return [work()];
  };
  const [result = work()] = onceEach<IdempotentRequest, T>(tx, [request], runs, hasChanged);
  return { result, isRepeat };
}

/**
 * The same for the first requests of a list.
 * @param work gets the leading requests that are new, and answers some of them, at least one
 */
export function onceEach<Request extends IdempotentRequest, T extends object>(
  tx: Tx,
  requests: List<Request>,
  work: (requests: List<Request>) => readonly Result<T>[],
  hasChanged: (value: T, request: Request) => boolean = () => true,
): readonly Result<T>[] {
  const [first, ...others] = requests;
  if (requests.every(({ requestId }) => requestId === undefined)) return work(requests);
  const machine = machineOf(tx, first);
  const keys = requests.map((request) => keyOf(request, machine));
  const stored = findStored(
    tx,
    keys.filter((key) => key !== null),
  );
  const before = stored.get(keys[0] ?? "");
  if (before) return [before.request === digestOf(first) ? ok(JSON.parse(before.result) as T) : err(keyReused(first))];
  const ends = endsOf(tx, machine);
  const limitProblem = checkLimits(tx, machine, ends);
  if (keys[0] !== null && limitProblem) return [err(limitProblem)];
  const count = countFresh(keys, stored);
  const results = work([first, ...(isFarFromLimits(tx, ends, count) ? others.slice(0, count - 1) : [])]);
  let { last } = ends;
  const rows: NewRowOf<typeof idempotency>[] = [];
  for (const [at, result] of results.entries()) {
    const [request = first, key = null] = [requests[at], keys[at]];
    if (key === null || !result.ok || !hasChanged(result.value, request)) continue;
    const text = JSON.stringify(result.value);
    last = after(tx, last, text);
    const { nth, chars: writtenChars, until: expiresAt } = last;
    rows.push({ key, request: digestOf(request), result: text, expiresAt, machine, nth, writtenChars });
  }
  idempotency.putAll(tx.sql, rows);
  return results;
}

/** Number of leading requests whose ids are neither stored nor repeated. */
function countFresh(keys: readonly (string | null)[], stored: ReadonlyMap<string, StoredResult>): number {
  const known = keys.findIndex((key, at) => key !== null && (stored.has(key) || keys.indexOf(key) < at));
  return known < 0 ? keys.length : known;
}

function machineOf({ actor }: Tx, { operation }: IdempotentRequest): string {
  if (!actor) throw new Error(`${operation} has no caller, so its request id has no owner`);
  return actor.machine;
}

function after({ now }: Tx, last: StoredEntry | null, result: string): StoredEntry {
  return { nth: (last?.nth ?? 0) + 1, chars: (last?.chars ?? 0) + result.length, until: now + keepMs };
}

/** Names of machines and chats have no line break, so keys are unique. Null: without an id. */
function keyOf({ operation, by = "", requestId }: IdempotentRequest, machine: string): string | null {
  return requestId === undefined ? null : `${operation} ${machine}\n${by} ${requestId}`;
}

interface StoredEntry {
  readonly nth: number;
  readonly chars: number;
  readonly until: number;
}

const endsQuery = ["ASC", "DESC"]
  .map(
    (order) =>
      `SELECT * FROM (SELECT nth, writtenChars AS chars, expiresAt AS until FROM idempotency WHERE machine = ? ORDER BY nth ${order} LIMIT 1)`,
  )
  .join(" UNION ALL ");

interface Ends {
  readonly first: StoredEntry | null;
  readonly last: StoredEntry | null;
}

function endsOf({ sql }: Tx, machine: string): Ends {
  const [first = null, last = first] = sql.all<StoredEntry>(`${endsQuery} ORDER BY nth`, machine, machine);
  return { first, last };
}

const results = idempotency.pick("key", "request", "result");

type StoredResult = Omit<RowOf<typeof results>, "key">;

function findStored({ sql, now }: Tx, keys: readonly string[]): Map<string, StoredResult> {
  const { text, value } = among(keys);
  return new Map(results.select(sql, `WHERE key ${text} AND expiresAt > ?`, value, now).map((row) => [row.key, row]));
}

/** Entries are deleted in their order, so the first and last row give the count. */
function checkLimits(tx: Tx, machine: string, { first, last }: Ends): Failure | null {
  if (!first || !last) return null;
  const { maxRequestIdsPerMachine: maxIds, maxRequestCharsPerMachine: maxChars } = tx.settings;
  if (last.nth - first.nth + 1 < maxIds && last.chars - first.chars < maxChars) return null;
  if (first.until <= tx.now) {
    prune(tx, maxPrunedRows);
    return null;
  }
  return {
    code: "throttled",
    message: `machine ${machine} has ${last.nth - first.nth + 1} request ids of the last day, as many as are kept for one machine (maxRequestIdsPerMachine, maxRequestCharsPerMachine); try again later, or without a request id`,
    retryAfterMs: Math.max(1_000, first.until - tx.now),
  };
}

/** More than the result of an operation that takes lists may have. */
const maxResultChars = 65_536;

/** Whether none of so many more results may be one too many. */
function isFarFromLimits({ settings }: Tx, { first, last }: Ends, count: number): boolean {
  const { maxRequestIdsPerMachine: maxIds, maxRequestCharsPerMachine: maxChars } = settings;
  const [ids, chars] = first && last ? [last.nth - first.nth + 1, last.chars - first.chars] : [0, 0];
  return ids + count < maxIds && chars + count * maxResultChars < maxChars;
}

const maxPrunedRows = 100;

function keyReused({ requestId }: IdempotentRequest): Failure {
  return { code: "key_reused", message: `request id ${requestId} was used for another request; use a new one` };
}

/** FNV-1a twice and the length; no protection against collisions made on purpose. */
function digestOf({ input }: IdempotentRequest): string {
  const text = JSON.stringify(input);
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
  SELECT min((SELECT expiresAt FROM idempotency WHERE machine = machines.machine ORDER BY nth LIMIT 1)) FROM machines`;

export function prune({ sql, now }: Pick<Tx, "sql" | "now">, limit: number): void {
  const machineRows = sql.all<{ machine: string }>(
    `WITH RECURSIVE ${machinesSql} SELECT machine FROM machines WHERE machine IS NOT NULL`,
  );
  for (const { machine } of machineRows) {
    const rows = sql.all<{ nth: number; expiresAt: number }>(
      "SELECT nth, expiresAt FROM idempotency WHERE machine = ? ORDER BY nth LIMIT ?",
      machine,
      limit,
    );
    const firstKept = rows.findIndex(({ expiresAt: at }) => at > now);
    const lastExpired = rows.at(firstKept < 0 ? rows.length - 1 : firstKept - 1);
    if (lastExpired && firstKept !== 0)
      sql.run(
        "DELETE FROM idempotency WHERE machine = ? AND nth <= ? AND expiresAt <= ?",
        machine,
        lastExpired.nth,
        now,
      );
  }
}
