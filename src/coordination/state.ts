import type { Refusal } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import {
  MAX_VALUE_CHARS,
  sessionTtlMs,
  type DeleteState,
  type Entry,
  type Guard,
  type ListState,
  type SetState,
  type UpdateState,
  type Write,
} from "../contract/state.ts";
import type { Json } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";
import * as changes from "./changes.ts";
import { once } from "./idempotency.ts";
import * as leases from "./leases.ts";
import type { Tx } from "./tx.ts";
import { given } from "../shared/given.ts";

/** Versioned keys. A version is the revision of the last change, so none comes twice, also over a deletion. */

/** Without the value, which can be large: only values that are told are read. */
interface Row {
  readonly key: string;
  readonly chars: number;
  readonly version: number;
  readonly at: number;
  readonly expires_at: number | null;
}

const columns = "key, chars, version, at, expires_at";

/** Expired or not. */
function stored({ sql }: Tx, key: string): Row | null {
  return sql.all<Row>(`SELECT ${columns} FROM state WHERE key = ?`, key)[0] ?? null;
}

/** [SV6] What has expired is not there, whether or not a sweep has seen it. */
function rowOf(tx: Tx, key: string): Row | null {
  return living(tx, stored(tx, key));
}

function living(tx: Tx, row: Row | null): Row | null {
  return row && !isOver(tx, row) ? row : null;
}

function isOver({ now }: Tx, { expires_at: at }: Row): boolean {
  return at !== null && at <= now;
}

export function get(tx: Tx, key: string): { entry: Entry | null } {
  const row = rowOf(tx, key);
  return { entry: row && told(tx, row) };
}

function told(tx: Tx, { key, version, at, expires_at: until }: Row): Entry {
  const [row] = tx.sql.all<{ value: string }>("SELECT value FROM state WHERE key = ?", key);
  return {
    key,
    value: JSON.parse(row?.value ?? "null") as Json,
    version,
    ageMs: Math.max(0, tx.now - at),
    ttlMs: until === null ? null : until - tx.now,
  };
}

/** Of the values in one answer that has more than one key. */
const mostChars = 1_000_000;

/** [SV13] By prefix, in order; [SV17] as many as fit. */
export function list(tx: Tx, { prefix, limit, cursor }: ListState): OutputOf<"state.list"> {
  const { revision } = changes.totalsIn(tx);
  const entries: Entry[] = [];
  let chars = 0;
  for (const row of below(tx, prefix, cursor ?? "", limit + 1)) {
    chars += row.chars;
    const last = entries.at(-1)?.key;
    if (last !== undefined && (entries.length === limit || chars > mostChars))
      return { entries, cursor: last, revision };
    entries.push(told(tx, row));
  }
  return { entries, cursor: null, revision };
}

/** What is there with a prefix and after a key. What begins with a prefix stands together; there is no text that is above all of it. */
function* below(tx: Tx, prefix: string, after: string, page: number): Generator<Row, void> {
  // One lower bound: of two, SQLite looks for either and reads all from there on.
  const query = `SELECT ${columns} FROM state WHERE key >= max(?, ?) AND key <> ? ORDER BY key LIMIT ?`;
  for (let last = after; ;) {
    const rows = tx.sql.all<Row>(query, prefix, last, last, page);
    for (const row of rows) {
      if (!row.key.startsWith(prefix)) return;
      if (!isOver(tx, row)) yield row;
    }
    if (rows.length < page) return;
    last = rows.at(-1)?.key ?? last;
  }
}

/** [SV1] A write under a condition happens only where it still holds; of two with the same one only one succeeds. */
export function set(tx: Tx, input: SetState): Result<OutputOf<"state.set">, Refusal> {
  const { key, value, ifVersion, ttlMs, guard, by, requestId } = input;
  const write = { op: "set", key, value, ...given({ ifVersion, ttlMs }) } as const;
  const done = update(tx, { writes: [write], guards: guard ? [guard] : [], ...given({ by, requestId }) }, "state.set");
  return done.ok ? ok({ version: done.value.versions[0]?.version ?? 0 }) : done;
}

export function remove(tx: Tx, input: DeleteState): Result<OutputOf<"state.delete">, Refusal> {
  const { key, ifVersion, guard, by, requestId } = input;
  const work = (): Result<OutputOf<"state.delete">, Refusal> => {
    const write = { op: "delete", key, ...given({ ifVersion }) } as const;
    const isThere = rowOf(tx, key) !== null;
    const done = apply(tx, { writes: [write], guards: guard ? [guard] : [], ...given({ by }) });
    return done.ok ? ok({ isDeleted: isThere, version: done.value.versions[0]?.version ?? 0 }) : done;
  };
  const request = { operation: "state.delete", by, requestId, input };
  return once(tx, request, work, ({ isDeleted }) => isDeleted).result;
}

export function update(
  tx: Tx,
  input: UpdateState,
  operation = "state.update",
): Result<OutputOf<"state.update">, Refusal> {
  const { requestId, by, writes } = input;
  const hasChanged = ({ versions }: OutputOf<"state.update">): boolean =>
    writes.some(({ op }, at) => op === "set" || (op === "delete" && versions[at]?.version !== 0));
  return once(tx, { operation, by, requestId, input }, () => apply(tx, input), hasChanged).result;
}

/** A write, and what is read once for it. */
interface Planned {
  readonly write: Write;
  /** Of a value to be set, as JSON. */
  readonly text: string;
  /** Expired or not. */
  readonly row: Row | null;
}

/** [SV7] All or nothing: every condition is looked at before the first write. */
function apply(
  tx: Tx,
  { writes, guards, by }: Omit<UpdateState, "requestId">,
): Result<OutputOf<"state.update">, Refusal> {
  const refused = malformed(writes) ?? guarded(tx, guards);
  if (refused) return err(refused);
  const plan = planned(tx, writes);
  const unmet = conditions(tx, plan);
  if (unmet) return err(unmet);
  const found = changes.totalsIn(tx);
  if (!tooMuch(tx, plan, found)) return ok(carryOut(tx, plan, by ?? null, found));
  // [SV11] What has expired takes no room.
  sweep(tx, sweptForRoom);
  const [again, now] = [planned(tx, writes), changes.totalsIn(tx)];
  const left = tooMuch(tx, again, now);
  return left ? err(left) : ok(carryOut(tx, again, by ?? null, now));
}

function planned(tx: Tx, writes: readonly Write[]): Planned[] {
  return writes.map((write) => ({
    write,
    text: write.op === "set" ? JSON.stringify(write.value) : "",
    row: stored(tx, write.key),
  }));
}

function malformed(writes: readonly Write[]): Refusal | null {
  const keys = new Set<string>();
  for (const { key } of writes) {
    if (keys.has(key)) return { code: "bad_input", message: `key ${key} stands twice in one update` };
    keys.add(key);
  }
  return null;
}

/** [SV8] A write that a lease guards fails with an old token. */
function guarded(tx: Tx, guards: readonly Guard[]): Refusal | null {
  const stale = guards.find((guard) => !leases.check(tx, guard).isValid);
  if (!stale) return null;
  return {
    code: "stale_token",
    message: `the lease on ${stale.resource} is not held with token ${stale.token} any more; nothing was written`,
    details: { resource: stale.resource },
  };
}

function conditions(tx: Tx, plan: readonly Planned[]): Refusal | null {
  for (const { write, text, row } of plan) {
    const { key, ifVersion } = write;
    if (text.length > MAX_VALUE_CHARS) {
      const message = `the value of ${key} has ${text.length} characters as JSON; at most ${MAX_VALUE_CHARS}`;
      return { code: "too_large", message };
    }
    const version = living(tx, row)?.version ?? 0;
    if (ifVersion !== undefined && version !== ifVersion) {
      return {
        code: "version_mismatch",
        message: `key ${key} has version ${version}, not ${ifVersion}; read it again`,
        details: { key, version },
      };
    }
  }
  return null;
}

/** Keys that have expired and that no sweep has seen: so many make room for a write that finds none. */
const sweptForRoom = 100;

/** [SV11] What frees room is never refused, also where a limit was lowered. */
function tooMuch(tx: Tx, plan: readonly Planned[], now: changes.Totals): Refusal | null {
  const { maxKeys, maxStateChars } = tx.settings;
  let { keys, chars } = now;
  for (const one of plan) {
    const grown = growth(tx, one);
    keys += grown.keys;
    chars += grown.chars;
  }
  if (keys <= Math.max(maxKeys, now.keys) && chars <= Math.max(maxStateChars, now.chars)) return null;
  return {
    code: "quota_exceeded",
    message: `the workspace would hold ${keys} keys with ${chars} characters; its limits are ${maxKeys} and ${maxStateChars}. Delete keys, or raise maxKeys or maxStateChars`,
  };
}

/** By how much a write changes the totals: of stored rows, expired or not. */
function growth(tx: Tx, { write, text, row }: Planned): { keys: number; chars: number } {
  if (write.op === "set") return { keys: row ? 0 : 1, chars: text.length - (row?.chars ?? 0) };
  // What has expired is left to the sweep, which tells its end.
  if (write.op === "check" || !living(tx, row)) return { keys: 0, chars: 0 };
  return { keys: -1, chars: -(row?.chars ?? 0) };
}

function carryOut(
  tx: Tx,
  plan: readonly Planned[],
  by: string | null,
  found: changes.Totals,
): OutputOf<"state.update"> {
  const group = changes.nextRevision(tx, found);
  let now = found;
  const versions = plan.map((one) => {
    const { write, row } = one;
    const { key, op } = write;
    if (op === "check") return { key, version: write.ifVersion };
    if (op === "delete" && !living(tx, row)) return { key, version: 0 };
    const value = op === "set" ? one.text : null;
    now = changes.append(tx, { key, op, value, by, group, ...growth(tx, one) }, now);
    if (op === "set") put(tx, write, one.text, now.revision);
    else tx.sql.run("DELETE FROM state WHERE key = ?", key);
    return { key, version: now.revision };
  });
  return { versions };
}

function put(tx: Tx, write: Extract<Write, { op: "set" }>, text: string, version: number): void {
  const ttlMs = write.ttlMs ?? (write.key.startsWith("session/") ? sessionTtlMs : null);
  tx.sql.run(
    `INSERT INTO state (key, value, chars, version, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, chars = excluded.chars, version = excluded.version, at = excluded.at, expires_at = excluded.expires_at`,
    write.key,
    text,
    text.length,
    version,
    tx.now,
    ttlMs === null ? null : tx.now + ttlMs,
  );
}

export const dueAt = "SELECT min(expires_at) FROM state WHERE expires_at IS NOT NULL";

/** Keys whose time is over go, and watches are told. */
export function sweep(tx: Tx, limit: number): void {
  const rows = tx.sql.all<{ key: string; size: number }>(
    "SELECT key, chars AS size FROM state WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    tx.now,
    limit,
  );
  for (const { key, size } of rows) {
    tx.sql.run("DELETE FROM state WHERE key = ?", key);
    changes.append(tx, { key, op: "expire", keys: -1, chars: -size });
  }
}
