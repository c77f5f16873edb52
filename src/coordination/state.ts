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
import type { Sql } from "../shared/sql.ts";
import * as changes from "./changes.ts";
import { once } from "./idempotency.ts";
import * as leases from "./leases.ts";
import type { Tx } from "./tx.ts";

/** Versioned keys. A version is the revision of the last change, so none comes twice, also over a deletion. */

interface Row {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly at: number;
  readonly expires_at: number | null;
}

/** [SV6] What has expired is not there, whether or not a sweep has seen it. */
function rowOf(tx: Tx, key: string): Row | null {
  const [row] = tx.sql.all<Row>("SELECT * FROM state WHERE key = ?", key);
  return row && !isOver(tx, row) ? row : null;
}

function isOver({ now }: Tx, { expires_at: at }: Row): boolean {
  return at !== null && at <= now;
}

export function get(tx: Tx, key: string): { entry: Entry | null } {
  const row = rowOf(tx, key);
  return { entry: row && told(tx, row) };
}

function told({ now }: Tx, row: Row): Entry {
  return {
    key: row.key,
    value: JSON.parse(row.value) as Json,
    version: row.version,
    ageMs: Math.max(0, now - row.at),
    ttlMs: row.expires_at === null ? null : row.expires_at - now,
  };
}

export function list(tx: Tx, { prefix, limit, cursor }: ListState): OutputOf<"state.list"> {
  const entries: Entry[] = [];
  let last = cursor ?? "";
  const { revision } = changes.totals(tx.sql);
  for (;;) {
    const rows = tx.sql.all<Row>(
      "SELECT * FROM state WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?",
      prefix,
      last,
      // Above every text that begins with the prefix: U+10FFFF is the last sign there is, and is no part of a key's end in practice.
      `${prefix}\u{10FFFF}`,
      limit + 1,
    );
    for (const row of rows) {
      if (entries.length === limit) return { entries, cursor: last, revision };
      last = row.key;
      if (!isOver(tx, row)) entries.push(told(tx, row));
    }
    if (rows.length <= limit) return { entries, cursor: null, revision };
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
  const refused = guarded(tx, guards) ?? conditions(tx, writes) ?? sizes(tx, writes);
  if (refused) return err(refused);
  let group: number | null = null;
  const versions: { key: string; version: number }[] = [];
  for (const write of writes) {
    const version: number = one(tx, write, by ?? null, group);
    if (write.op !== "check") group ??= version;
    versions.push({ key: write.key, version });
  }
  return ok({ versions });
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
  const keys = new Set<string>();
  for (const { key, ifVersion } of writes) {
    if (keys.has(key)) return { code: "bad_input", message: `key ${key} stands twice in one update` };
    keys.add(key);
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

function sizes(tx: Tx, writes: readonly Write[]): Refusal | null {
  const sets = writes.flatMap((write) => (write.op === "set" ? [{ key: write.key, size: sizeOf(write.value) }] : []));
  const large = sets.find(({ size }) => size > MAX_VALUE_CHARS);
  if (large) {
    const message = `the value of ${large.key} has ${large.size} characters as JSON; at most ${MAX_VALUE_CHARS}`;
    return { code: "bad_input", message };
  }
  return sets.length === 0 ? null : overQuota(tx, sets);
}

function sizeOf(value: Json): number {
  return JSON.stringify(value).length;
}

function overQuota(tx: Tx, sets: readonly { readonly key: string; readonly size: number }[]): Refusal | null {
  const { maxKeys, maxStateChars } = tx.settings;
  let { keys, chars } = changes.totals(tx.sql);
  for (const { key, size } of sets) {
    const old = rawSize(tx.sql, key);
    keys += old === null ? 1 : 0;
    chars += size - (old ?? 0);
  }
  if (keys <= maxKeys && chars <= maxStateChars) return null;
  return {
    code: "quota_exceeded",
    message: `the workspace would hold ${keys} keys with ${chars} characters; its limits are ${maxKeys} and ${maxStateChars}. Delete keys, or raise maxKeys or maxStateChars`,
  };
}

/** Of the stored row, expired or not: that is what totals count. */
function rawSize(sql: Sql, key: string): number | null {
  return sql.all<{ size: number }>("SELECT chars AS size FROM state WHERE key = ?", key)[0]?.size ?? null;
}

/** @returns the version that the key has now; 0: it is not there */
function one(tx: Tx, write: Write, by: string | null, group: number | null): number {
  if (write.op === "check") return write.ifVersion;
  const old = rawSize(tx.sql, write.key);
  if (write.op === "delete") {
    if (old === null) return 0;
    return drop(tx, write.key, old, "delete", by, group);
  }
  const value = JSON.stringify(write.value);
  const ttlMs = write.ttlMs ?? (write.key.startsWith("session/") ? sessionTtlMs : null);
  const version = changes.append(tx, {
    key: write.key,
    op: "set",
    value,
    by,
    group,
    keys: old === null ? 1 : 0,
    chars: value.length - (old ?? 0),
  });
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
