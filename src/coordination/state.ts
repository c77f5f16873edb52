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

/** [SV6] What has expired is not there, whether or not a sweep has seen it. */
function rowOf(tx: Tx, key: string): Row | null {
  const [row] = tx.sql.all<Row>(`SELECT ${columns} FROM state WHERE key = ?`, key);
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
  const { revision } = changes.totals(tx.sql);
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
  const query = `SELECT ${columns} FROM state WHERE key >= ? AND key > ? ORDER BY key LIMIT ?`;
  for (let last = after; ;) {
    const rows = tx.sql.all<Row>(query, prefix, last, page);
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

function given<T extends object>(values: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

export function remove(tx: Tx, input: DeleteState): Result<OutputOf<"state.delete">, Refusal> {
  const { key, ifVersion, guard, by, requestId } = input;
  const work = (): Result<OutputOf<"state.delete">, Refusal> => {
    const write = { op: "delete", key, ...given({ ifVersion }) } as const;
    const isThere = rowOf(tx, key) !== null;
    const done = apply(tx, { writes: [write], guards: guard ? [guard] : [], ...given({ by }) });
    return done.ok ? ok({ isDeleted: isThere, version: done.value.versions[0]?.version ?? 0 }) : done;
  };
  return once(tx, { operation: "state.delete", by: by ?? "", requestId, input }, work).result;
}

export function update(
  tx: Tx,
  input: UpdateState,
  operation = "state.update",
): Result<OutputOf<"state.update">, Refusal> {
  const { requestId, by } = input;
  return once(tx, { operation, by: by ?? "", requestId, input }, () => apply(tx, input)).result;
}

/** [SV7] All or nothing: every condition is looked at before the first write. */
function apply(
  tx: Tx,
  { writes, guards, by }: Omit<UpdateState, "requestId">,
): Result<OutputOf<"state.update">, Refusal> {
  const refused = malformed(writes) ?? guarded(tx, guards) ?? conditions(tx, writes) ?? overQuota(tx, writes);
  if (refused) return err(refused);
  const group = changes.nextRevision(tx);
  return ok({
    versions: writes.map((write) => ({ key: write.key, version: one(tx, write, by ?? null, group) })),
  });
}

function malformed(writes: readonly Write[]): Refusal | null {
  const keys = new Set<string>();
  for (const write of writes) {
    const { key } = write;
    if (keys.has(key)) return { code: "bad_input", message: `key ${key} stands twice in one update` };
    keys.add(key);
    const size = write.op === "set" ? sizeOf(write.value) : 0;
    if (size <= MAX_VALUE_CHARS) continue;
    const message = `the value of ${key} has ${size} characters as JSON; at most ${MAX_VALUE_CHARS}`;
    return { code: "bad_input", message };
  }
  return null;
}

function sizeOf(value: Json): number {
  return JSON.stringify(value).length;
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

function conditions(tx: Tx, writes: readonly Write[]): Refusal | null {
  for (const { key, ifVersion } of writes) {
    if (ifVersion === undefined) continue;
    const version = rowOf(tx, key)?.version ?? 0;
    if (version !== ifVersion) {
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

/** [SV11] What has expired takes no room, and what frees room is never refused, also where a limit was lowered. */
function overQuota(tx: Tx, writes: readonly Write[]): Refusal | null {
  if (!tooMuch(tx, writes)) return null;
  sweep(tx, sweptForRoom);
  return tooMuch(tx, writes);
}

function tooMuch(tx: Tx, writes: readonly Write[]): Refusal | null {
  const { maxKeys, maxStateChars } = tx.settings;
  const now = changes.totals(tx.sql);
  let { keys, chars } = now;
  for (const write of writes) {
    const grown = growth(tx, write);
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
function growth(tx: Tx, write: Write): { keys: number; chars: number } {
  if (write.op === "check" || (write.op === "delete" && !rowOf(tx, write.key))) return { keys: 0, chars: 0 };
  const [old] = tx.sql.all<{ chars: number }>("SELECT chars FROM state WHERE key = ?", write.key);
  const size = write.op === "set" ? sizeOf(write.value) : null;
  return { keys: Number(size !== null) - Number(old !== undefined), chars: (size ?? 0) - (old?.chars ?? 0) };
}

/** @returns the version that the key has now; 0: it is not there */
function one(tx: Tx, write: Write, by: string | null, group: number): number {
  if (write.op === "check") return write.ifVersion;
  if (write.op === "delete") {
    // What has expired is left to the sweep, which tells its end.
    const row = rowOf(tx, write.key);
    return row ? drop(tx, row.key, row.chars, "delete", by, group) : 0;
  }
  const value = JSON.stringify(write.value);
  const ttlMs = write.ttlMs ?? (write.key.startsWith("session/") ? sessionTtlMs : null);
  const version = changes.append(tx, { key: write.key, op: "set", value, by, group, ...growth(tx, write) });
  tx.sql.run(
    `INSERT INTO state (key, value, chars, version, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, chars = excluded.chars, version = excluded.version, at = excluded.at, expires_at = excluded.expires_at`,
    write.key,
    value,
    value.length,
    version,
    tx.now,
    ttlMs === null ? null : tx.now + ttlMs,
  );
  return version;
}

function drop(
  tx: Tx,
  key: string,
  chars: number,
  op: "delete" | "expire",
  by: string | null,
  group: number | null,
): number {
  tx.sql.run("DELETE FROM state WHERE key = ?", key);
  return changes.append(tx, { key, op, by, group, keys: -1, chars: -chars });
}

export function nextDue({ sql }: Pick<Tx, "sql">): number | null {
  const query = "SELECT min(expires_at) AS at FROM state WHERE expires_at IS NOT NULL";
  return sql.all<{ at: number | null }>(query)[0]?.at ?? null;
}

/** Keys whose time is over go, and watches are told. */
export function sweep(tx: Tx, limit: number): void {
  const rows = tx.sql.all<{ key: string; size: number }>(
    "SELECT key, chars AS size FROM state WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    tx.now,
    limit,
  );
  for (const { key, size } of rows) drop(tx, key, size, "expire", null, null);
}
