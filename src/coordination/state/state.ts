import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { maxValueChars, sessionTtlMs, type Entry, type Guard, type Write } from "../../contract/state.ts";
import type { Json } from "../../contract/json.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as changes from "../kernel/changes.ts";
import { once } from "../kernel/idempotency.ts";
import * as leases from "../leases/leases.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { RowOf } from "../../shared/table.ts";
import { state } from "./state-table.ts";

const stateRows = state.without("value");

export type StateRow = RowOf<typeof stateRows>;

const columns = stateRows.columns();

function findStored({ sql }: Tx, key: string): StateRow | null {
  return stateRows.find(sql, { key });
}

/** [SV6] An expired key is absent, whether or not a sweep has run. */
function findRow(tx: Tx, key: string): StateRow | null {
  return unlessExpired(tx, findStored(tx, key));
}

export function unlessExpired(tx: Tx, row: StateRow | null): StateRow | null {
  return row && !isExpired(tx, row) ? row : null;
}

function isExpired({ now: totals }: Tx, { expiresAt: at }: StateRow): boolean {
  return at !== null && at <= totals;
}

export const handlers = {
  "state.get"(tx, { key }) {
    const row = findRow(tx, key);
    return ok({ entry: row && readEntry(tx, row) });
  },

  /** [SV13] Sorted keys of a prefix; [SV17] limited to one answer. */
  "state.list"(tx, { prefix, limit, cursor }) {
    const { revision } = changes.currentTotals(tx);
    const entries: Entry[] = [];
    let chars = 0;
    for (const row of readPrefix(tx, prefix, cursor ?? "", limit + 1)) {
      chars += row.chars;
      const last = entries.at(-1)?.key;
      if (last !== undefined && (entries.length === limit || chars > maxPageChars))
        return ok({ entries, cursor: last, revision });
      entries.push(readEntry(tx, row));
    }
    return ok({ entries, cursor: null, revision });
  },

  /** [SV1] Two writes under the same condition: one succeeds. */
  "state.set"(tx, input) {
    const done = update(tx, toUpdate(input), "state.set");
    return done.ok ? ok({ version: done.value.versions[0]?.version ?? 0 }) : done;
  },

  "state.delete"(tx, input) {
    const { key, ifVersion, guard, by, requestId } = input;
    const work = (): Result<OutputOf<"state.delete">, Refusal> => {
      const write = { op: "delete", key, ...omitUndefined({ ifVersion }) } as const;
      const isThere = findRow(tx, key) !== null;
      const done = applyUpdate(tx, { writes: [write], guards: guard ? [guard] : [], ...omitUndefined({ by }) });
      return done.ok ? ok({ isDeleted: isThere, version: done.value.versions[0]?.version ?? 0 }) : done;
    };
    const request = { operation: "state.delete", by, requestId, input };
    return once(tx, request, work, ({ isDeleted }) => isDeleted).result;
  },

  "state.update": (tx, input) => update(tx, input, "state.update"),

  "state.changes": ({ sql }, input) => changes.pull(sql, input),
} satisfies Partial<Handlers>;

export function toUpdate(input: CheckedInputOf<"state.set">): CheckedInputOf<"state.update"> {
  const { key, value, ifVersion, ttlMs, guard, by, requestId } = input;
  const write = { op: "set", key, value, ...omitUndefined({ ifVersion, ttlMs }) } as const;
  return { writes: [write], guards: guard ? [guard] : [], ...omitUndefined({ by, requestId }) };
}

function readEntry(tx: Tx, row: StateRow): Entry {
  const [read] = tx.sql.all<{ value: string }>("SELECT value FROM state WHERE key = ?", row.key);
  return toEntry(tx, row, read?.value ?? "null");
}

export function toEntry({ now }: Tx, { key, version, at, expiresAt: until }: StateRow, text: string): Entry {
  return {
    key,
    value: JSON.parse(text) as Json,
    version,
    ageMs: Math.max(0, now - at),
    ttlMs: until === null ? null : until - now,
  };
}

const maxPageChars = 1_000_000;

/** Keys with a prefix are contiguous, but no text is above all of them. */
function* readPrefix(tx: Tx, prefix: string, after: string, page: number): Generator<StateRow, void> {
  const query = `SELECT ${columns} FROM state WHERE key >= max(?, ?) AND key <> ? ORDER BY key LIMIT ?`;
  for (let last = after; ;) {
    const rows = tx.sql.all<StateRow>(query, prefix, last, last, page);
    for (const row of rows) {
      if (!row.key.startsWith(prefix)) return;
      if (!isExpired(tx, row)) yield row;
    }
    if (rows.length < page) return;
    last = rows.at(-1)?.key ?? last;
  }
}

function update(
  tx: Tx,
  input: CheckedInputOf<"state.update">,
  operation: string,
): Result<OutputOf<"state.update">, Refusal> {
  const { requestId, by, writes } = input;
  const hasChanged = ({ versions }: OutputOf<"state.update">): boolean =>
    writes.some(({ op }, at) => op === "set" || (op === "delete" && versions[at]?.version !== 0));
  return once(tx, { operation, by, requestId, input }, () => applyUpdate(tx, input), hasChanged).result;
}

export interface PlannedWrite {
  readonly write: Write;
  readonly text: string;
  readonly row: StateRow | null;
}

/** [SV7] All or nothing: every condition is checked before the first write. */
export function applyUpdate(
  tx: Tx,
  { writes, guards, by }: Omit<CheckedInputOf<"state.update">, "requestId">,
): Result<OutputOf<"state.update">, Refusal> {
  const refused = checkKeys(writes) ?? checkGuards(tx, guards);
  if (refused) return err(refused);
  const plan = planWrites(tx, writes);
  const unmet = checkConditions(tx, plan);
  if (unmet) return err(unmet);
  const before = changes.currentTotals(tx);
  if (!checkQuota(tx, plan, before)) return ok(executeWrites(tx, plan, by ?? null, before));
  // [SV11] Expired keys use no quota.
  sweep(tx, maxSweptForRoom);
  const [again, totals] = [planWrites(tx, writes), changes.currentTotals(tx)];
  const quotaProblem = checkQuota(tx, again, totals);
  return quotaProblem ? err(quotaProblem) : ok(executeWrites(tx, again, by ?? null, totals));
}

function planWrites(tx: Tx, writes: readonly Write[]): PlannedWrite[] {
  return writes.map((write) => planWrite(write, findStored(tx, write.key)));
}

export function planWrite(write: Write, row: StateRow | null): PlannedWrite {
  return { write, text: write.op === "set" ? JSON.stringify(write.value) : "", row };
}

function checkKeys(writes: readonly Write[]): Refusal | null {
  const keys = new Set<string>();
  for (const { key } of writes) {
    if (keys.has(key)) return { code: "bad_input", message: `key ${key} appears twice in one update` };
    keys.add(key);
  }
  return null;
}

/** [SV8] A guarded write fails with a stale token. */
export function checkGuards(tx: Tx, guards: readonly Guard[]): Refusal | null {
  const stale = guards.find((guard) => !leases.check(tx, guard).isValid);
  if (!stale) return null;
  return {
    code: "stale_token",
    message: `the lease on ${stale.resource} is no longer held with token ${stale.token}; nothing was written`,
    details: { resource: stale.resource },
  };
}

export function checkConditions(tx: Tx, plan: readonly PlannedWrite[]): Refusal | null {
  for (const { write, text, row } of plan) {
    const { key, ifVersion } = write;
    if (text.length > maxValueChars) {
      const message = `the value of ${key} has ${text.length} characters as JSON; at most ${maxValueChars}`;
      return { code: "too_large", message };
    }
    const version = unlessExpired(tx, row)?.version ?? 0;
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

const maxSweptForRoom = 100;

/** [SV11] A write that frees room is never refused, even after a limit was lowered. */
export function checkQuota(tx: Tx, plan: readonly PlannedWrite[], totals: changes.Totals): Refusal | null {
  const { maxKeys, maxStateChars } = tx.settings;
  let { keys, chars } = totals;
  for (const one of plan) {
    const grown = growthOf(tx, one);
    keys += grown.keys;
    chars += grown.chars;
  }
  if (keys <= Math.max(maxKeys, totals.keys) && chars <= Math.max(maxStateChars, totals.chars)) return null;
  return {
    code: "quota_exceeded",
    message: `the workspace would hold ${keys} keys with ${chars} characters; its limits are ${maxKeys} and ${maxStateChars}. Delete keys, or raise maxKeys or maxStateChars`,
  };
}

export function growthOf(tx: Tx, { write, text, row }: PlannedWrite): { keys: number; chars: number } {
  if (write.op === "set") return { keys: row ? 0 : 1, chars: text.length - (row?.chars ?? 0) };
  // Expired keys are left to the sweep, which announces their end.
  if (write.op === "check" || !unlessExpired(tx, row)) return { keys: 0, chars: 0 };
  return { keys: -1, chars: -(row?.chars ?? 0) };
}

function executeWrites(
  tx: Tx,
  plan: readonly PlannedWrite[],
  by: string | null,
  before: changes.Totals,
): OutputOf<"state.update"> {
  const group = changes.nextRevision(tx, before);
  let totals = before;
  const versions = plan.map((one) => {
    const { write, row } = one;
    const { key, op } = write;
    if (op === "check") return { key, version: write.ifVersion };
    if (op === "delete" && !unlessExpired(tx, row)) return { key, version: 0 };
    const value = op === "set" ? one.text : null;
    totals = changes.append(tx, { key, op, value, by, group, ...growthOf(tx, one) }, totals);
    if (op === "set") upsert(tx, write, one.text, totals.revision);
    else state.delete(tx.sql, { key });
    return { key, version: totals.revision };
  });
  return { versions };
}

function upsert(tx: Tx, write: Extract<Write, { op: "set" }>, text: string, version: number): void {
  const { key } = write;
  const expiresAt = expiryOf(tx, write);
  state.put(tx.sql, { key, value: text, chars: text.length, version, at: tx.now, expiresAt });
}

export const replaceSql = `ON CONFLICT (key) DO UPDATE SET value = excluded.value, chars = excluded.chars,
  version = excluded.version, at = excluded.at, expiresAt = excluded.expiresAt`;

export function expiryOf({ now }: Tx, { key, ttlMs }: Extract<Write, { op: "set" }>): number | null {
  const lifeMs = ttlMs ?? (key.startsWith("session/") ? sessionTtlMs : null);
  return lifeMs === null ? null : now + lifeMs;
}

export const dueAt = "SELECT min(expiresAt) FROM state WHERE expiresAt IS NOT NULL";

export function sweep(tx: Tx, limit: number): void {
  const rows = tx.sql.all<{ key: string; size: number }>(
    "SELECT key, chars AS size FROM state WHERE expiresAt <= ? ORDER BY expiresAt LIMIT ?",
    tx.now,
    limit,
  );
  for (const { key, size } of rows) {
    tx.sql.run("DELETE FROM state WHERE key = ?", key);
    changes.append(tx, { key, op: "expire", keys: -1, chars: -size });
  }
}
