import type { Failure } from "../../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { maxValueChars, sessionTtlMs, type Entry, type Guard, type Write } from "../../contract/state.ts";
import type { Json } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as changes from "../kernel/changes.ts";
import { onceEach, type IdempotentRequest } from "../kernel/idempotency.ts";
import * as leases from "../leases/leases.ts";
import { page, type Handlers, type ListHandlers } from "../kernel/handlers.ts";
import type { List, Tx } from "../kernel/tx.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { among, type RowOf, integer, table, text } from "../../shared/table.ts";

/** A version is the revision of the last change, so none recurs, even after a deletion. */
export const state = table("state", {
  key: text().primary(),
  value: text(),
  chars: integer(),
  version: integer(),
  at: integer(),
  expiresAt: integer().nullable(),
});

export const stateIndex = "CREATE INDEX state_expiry ON state (expiresAt) WHERE expiresAt IS NOT NULL";

const stateRows = state.without("value");

export type StateRow = RowOf<typeof stateRows>;

const columns = stateRows.columns();
const values = state.pick("value");

/** An expired key is absent, whether or not a sweep has run. */
function liveRow<Row extends StateRow>(tx: Tx, row: Row | null): Row | null {
  return row && !isExpired(tx, row) ? row : null;
}

function isExpired({ now }: Tx, { expiresAt: at }: StateRow): boolean {
  return at !== null && at <= now;
}

export const lists = {
  "state.get"(tx, inputs) {
    const { text, value } = among(inputs.map(({ key }) => key));
    const rows = new Map(state.select(tx.sql, `WHERE key ${text}`, value).map((row) => [row.key, row]));
    return inputs.map(({ key }) => {
      const row = liveRow(tx, rows.get(key) ?? null);
      return ok({ entry: row && toEntry(tx, row, row.value) });
    });
  },

  /** Two writes under the same condition: one succeeds. */
  "state.set": (tx, inputs) =>
    updateEach(
      tx,
      mapList(inputs, (input) => {
        const { key, value, ifVersion, ttlMs } = input;
        return toUpdate("state.set", input, { op: "set", key, value, ...omitUndefined({ ifVersion, ttlMs }) });
      }),
    ).map((one) => (one.ok ? ok({ version: versionOf(one.value) }) : one)),

  "state.delete": (tx, inputs) =>
    updateEach(
      tx,
      mapList(inputs, (input) => {
        const { key, ifVersion } = input;
        return toUpdate("state.delete", input, { op: "delete", key, ...omitUndefined({ ifVersion }) });
      }),
    ).map((one) => (one.ok ? ok({ isDeleted: versionOf(one.value) > 0, version: versionOf(one.value) }) : one)),

  "state.update": (tx, inputs) =>
    updateEach(
      tx,
      mapList(inputs, (input) => ({ ...input, operation: "state.update", requestId: input.requestId, input })),
    ),
} satisfies Partial<ListHandlers>;

export const handlers = {
  /** Sorted keys of a prefix; limited to one answer. */
  "state.list"(tx, { prefix, limit, cursor }) {
    const { revision } = changes.readTotals(tx.sql);
    const found: StateRow[] = [];
    for (const row of readPrefix(tx, prefix, cursor ?? "", limit + 1)) if (found.push(row) > limit) break;
    const listed = page(found, limit, ({ chars }) => chars);
    const next = listed.length < found.length ? (listed.at(-1)?.key ?? null) : null;
    return ok({
      entries: listed.map((row) => toEntry(tx, row, values.find(tx.sql, { key: row.key })?.value ?? "null")),
      cursor: next,
      revision,
    });
  },

  "state.changes": ({ sql }, input) => changes.pull(sql, input),
} satisfies Partial<Handlers>;

type Updated = OutputOf<"state.update">;
type Update = Omit<CheckedInputOf<"state.update">, "requestId">;
type UpdateRequest = Update & IdempotentRequest;

function mapList<In, Out>([first, ...others]: List<In>, change: (one: In) => Out): List<Out> {
  return [change(first), ...others.map(change)];
}

function toUpdate(
  operation: "state.set" | "state.delete",
  input: CheckedInputOf<"state.set"> | CheckedInputOf<"state.delete">,
  write: Write,
): UpdateRequest {
  const { guard, by, requestId } = input;
  return { operation, requestId, input, writes: [write], guards: guard ? [guard] : [], ...omitUndefined({ by }) };
}

/** Version after an update of one key; 0: there was nothing to delete. */
function versionOf({ versions }: Updated): number {
  return versions[0]?.version ?? 0;
}

function toEntry({ now }: Tx, { key, version, at, expiresAt: until }: StateRow, text: string): Entry {
  return {
    key,
    value: JSON.parse(text) as Json,
    version,
    ageMs: Math.max(0, now - at),
    ttlMs: until === null ? null : until - now,
  };
}

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

function updateEach(tx: Tx, requests: List<UpdateRequest>): readonly Result<Updated>[] {
  const hasChanged = ({ versions }: Updated, { writes }: Update): boolean =>
    writes.some(({ op }, at) => op === "set" || (op === "delete" && versions[at]?.version !== 0));
  return onceEach(tx, requests, (fresh) => applyEach(tx, fresh), hasChanged);
}

/** More are left to the next transaction. */
const maxCharsTogether = 500_000;

/** All or nothing of each update: every condition is checked before its first write. */
function applyEach(tx: Tx, updates: List<Update>, hasSwept = false): readonly Result<Updated>[] {
  const plan = new WritePlan(tx, updates);
  const results: Result<Updated>[] = [];
  for (const update of updates) {
    const planned = plan.add(update);
    if (!planned.ok && results.length > 0) break;
    results.push(planned);
    if (!planned.ok || plan.chars > maxCharsTogether) break;
  }
  const [first] = results;
  if (first?.ok === false && first.error.code === "quota_exceeded" && !hasSwept) {
    // Expired keys use no quota.
    sweep(tx, maxSweptForRoom);
    return applyEach(tx, updates, true);
  }
  plan.write();
  return results;
}

interface PlannedWrite {
  readonly write: Write;
  readonly text: string;
  readonly row: StateRow | null;
}

type NewRow = RowOf<typeof state>;

/** Plans each update as if those before it were stored. */
class WritePlan {
  readonly #tx: Tx;
  readonly #stored: ReadonlyMap<string, StateRow>;
  readonly #checked = new Set<string>();
  readonly #before: changes.Totals;
  #totals: changes.Totals;
  readonly #changes: changes.NewChange[] = [];
  /** By key; null: it is deleted. */
  readonly #rows = new Map<string, NewRow | null>();
  chars = 0;

  constructor(tx: Tx, updates: readonly Update[]) {
    this.#tx = tx;
    const { text, value } = among(updates.flatMap(({ writes }) => writes.map(({ key }) => key)));
    const stored = stateRows.select(tx.sql, `WHERE key ${text}`, value);
    this.#stored = new Map(stored.map((row) => [row.key, row]));
    this.#before = changes.readTotals(tx.sql);
    this.#totals = this.#before;
  }

  add({ writes, guards, by }: Update): Result<Updated> {
    const refused = checkKeys(writes) ?? this.#checkGuards(guards);
    if (refused) return err(refused);
    const planned = writes.map((write): PlannedWrite => {
      const text = write.op === "set" ? JSON.stringify(write.value) : "";
      const before = this.#rows.get(write.key);
      return { write, text, row: before === undefined ? (this.#stored.get(write.key) ?? null) : before };
    });
    const problem = checkConditions(this.#tx, planned) ?? checkQuota(this.#tx, planned, this.#totals);
    if (problem) return err(problem);
    const group = changes.nextRevision(this.#tx, this.#totals);
    return ok({
      versions: planned.map((one) => ({ key: one.write.key, version: this.#change(one, by ?? null, group) })),
    });
  }

  /** A guarded write fails with a stale token. */
  #checkGuards(guards: readonly Guard[]): Failure | null {
    for (const guard of guards) {
      const { resource, token } = guard;
      const name = `${token} ${resource}`;
      if (!this.#checked.has(name) && !leases.check(this.#tx, guard).isValid) {
        return {
          code: "stale_token",
          message: `the lease on ${resource} is no longer held with token ${token}; nothing was written`,
          details: { resource },
        };
      }
      this.#checked.add(name);
    }
    return null;
  }

  /** Returns the version; 0: there is nothing to delete. */
  #change(planned: PlannedWrite, by: string | null, group: number): number {
    const { write, text, row } = planned;
    const { key, op } = write;
    if (op === "check") return write.ifVersion;
    if (op === "delete" && !liveRow(this.#tx, row)) return 0;
    this.chars += text.length;
    const change = { key, op, value: op === "set" ? text : null, by, group, ...growthOf(this.#tx, planned) };
    this.#changes.push(change);
    this.#totals = changes.totalsAfter(this.#tx, this.#totals, change);
    const { revision } = this.#totals;
    this.#rows.set(key, op === "set" ? toRow(this.#tx, write, text, revision) : null);
    return revision;
  }

  write(): void {
    const { sql } = this.#tx;
    changes.append(this.#tx, this.#changes, this.#before);
    remove(
      sql,
      [...this.#rows].flatMap(([key, row]) => (row ? [] : [key])),
    );
    state.putAll(
      sql,
      [...this.#rows.values()].filter((row) => row !== null),
    );
  }
}

function toRow({ now }: Tx, { key, ttlMs }: Extract<Write, { op: "set" }>, value: string, version: number): NewRow {
  const lifeMs = ttlMs ?? (key.startsWith("session/") ? sessionTtlMs : null);
  return { key, value, chars: value.length, version, at: now, expiresAt: lifeMs === null ? null : now + lifeMs };
}

function remove(sql: Sql, keys: readonly string[]): void {
  if (keys.length === 0) return;
  const { text, value } = among(keys);
  sql.run(`DELETE FROM state WHERE key ${text}`, value);
}

function checkKeys(writes: readonly Write[]): Failure | null {
  if (writes.length === 1) return null;
  const keys = new Set<string>();
  for (const { key } of writes) {
    if (keys.has(key)) return { code: "bad_input", message: `key ${key} appears twice in one update` };
    keys.add(key);
  }
  return null;
}

function checkConditions(tx: Tx, plan: readonly PlannedWrite[]): Failure | null {
  for (const { write, text, row } of plan) {
    const { key, ifVersion } = write;
    if (text.length > maxValueChars) {
      const message = `the value of ${key} has ${text.length} characters as JSON; at most ${maxValueChars}`;
      return { code: "too_large", message };
    }
    const version = liveRow(tx, row)?.version ?? 0;
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

/** A write that frees room is never refused, even after a limit was lowered. */
function checkQuota(tx: Tx, plan: readonly PlannedWrite[], totals: changes.Totals): Failure | null {
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

function growthOf(tx: Tx, { write, text, row }: PlannedWrite): { keys: number; chars: number } {
  if (write.op === "set") return { keys: row ? 0 : 1, chars: text.length - (row?.chars ?? 0) };
  // Expired keys are left to the sweep, which announces their end.
  if (write.op === "check" || !liveRow(tx, row)) return { keys: 0, chars: 0 };
  return { keys: -1, chars: -(row?.chars ?? 0) };
}

export const dueAt = "SELECT min(expiresAt) FROM state WHERE expiresAt IS NOT NULL";

export function sweep(tx: Tx, limit: number): void {
  const rows = tx.sql.all<{ key: string; size: number }>(
    "SELECT key, chars AS size FROM state WHERE expiresAt <= ? ORDER BY expiresAt LIMIT ?",
    tx.now,
    limit,
  );
  remove(
    tx.sql,
    rows.map(({ key }) => key),
  );
  changes.append(
    tx,
    rows.map(({ key, size }) => ({ key, op: "expire", keys: -1, chars: -size })),
  );
}
