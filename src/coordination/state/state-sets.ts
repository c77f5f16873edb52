import type { OutputOf } from "../../contract/operations.ts";
import type { Guard, Write } from "../../contract/state.ts";
import * as changes from "../kernel/changes.ts";
import type { SetHandlers } from "../kernel/handlers.ts";
import { prepareAll, type IdempotentRequest } from "../kernel/idempotency.ts";
import { insertRows } from "../kernel/insert-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import * as state from "./state.ts";

export const setHandlers = {
  /** Short values only. */
  "state.get"(tx, inputs) {
    const keys = inputs.map(({ key }) => key);
    // A lone surrogate is another character in JSON than as a bound value.
    if (!keys.every((key) => key.isWellFormed())) return null;
    const rows = listByKeys<ReadRow>(tx, keys, `, CASE WHEN chars <= ${maxReadChars} THEN state.value END AS text`);
    if ([...rows.values()].some(({ text }) => text === null)) return null;
    return keys.map((key) => {
      const stored = rows.get(key) ?? null;
      const row = state.unlessExpired(tx, stored);
      return { entry: row && state.toEntry(tx, row, stored?.text ?? "null") };
    });
  },

  /** New requests within all conditions and limits. */
  "state.set"(tx, inputs) {
    const requests = inputs.map((one): StateRequest => {
      const { key, value, ifVersion, ttlMs, guard, by, requestId } = one;
      // Only a request id needs the whole input.
      const input = requestId === undefined ? one : state.toUpdate(one);
      return {
        operation: "state.set",
        by,
        requestId,
        input,
        guard,
        write: { op: "set", key, value, ifVersion, ttlMs },
      };
    });
    const versions = runWrites(tx, requests, (version, { write: { key } }) => ({ versions: [{ key, version }] }));
    return versions && versions.map((version) => ({ version }));
  },

  /** New requests within all conditions. */
  "state.delete"(tx, inputs) {
    const requests = inputs.map((input): StateRequest => {
      const { key, ifVersion, guard, by, requestId } = input;
      return { operation: "state.delete", by, requestId, input, guard, write: { op: "delete", key, ifVersion } };
    });
    const versions = runWrites(tx, requests, (version) => (version > 0 ? deleted(version) : null));
    return versions && versions.map((version) => deleted(version));
  },
} satisfies SetHandlers;

function deleted(version: number): OutputOf<"state.delete"> {
  return { isDeleted: version > 0, version };
}

const maxReadChars = 5_000;

interface ReadRow extends state.StateRow {
  readonly text: string | null;
}

interface StateRequest extends IdempotentRequest {
  readonly write: Extract<Write, { op: "set" | "delete" }>;
  readonly guard: Guard | undefined;
}

/** Returns the version of each, 0 where there was nothing to delete; null: as in `SetHandlers`. */
function runWrites(
  tx: Tx,
  requests: readonly StateRequest[],
  toStored: (version: number, request: StateRequest) => object | null,
): readonly number[] | null {
  const plan = new WritePlan(tx, requests);
  if (!requests.every((request) => plan.add(request)) || !areGuarded(tx, requests)) return null;
  const { versions } = plan;
  const store = prepareAll(tx, requests, (request, at) => toStored(versions[at] ?? 0, request));
  if (!store) return null;
  changes.appendAll(tx, plan.changes);
  replaceAll(tx, plan.rows);
  store();
  return versions;
}

interface NewRow extends state.StateRow {
  readonly text: string;
}

/** All texts become one value of a statement, which has at most 2 MB on the edge. */
const maxSetChars = 500_000;

/** Plans each write as if those before it were stored. */
class WritePlan {
  readonly #tx: Tx;
  readonly #stored: ReadonlyMap<string, state.StateRow>;
  #totals: changes.Totals;
  #chars = 0;
  readonly versions: number[] = [];
  readonly changes: changes.NewChange[] = [];
  /** By key; null: it is deleted. */
  readonly rows = new Map<string, NewRow | null>();

  constructor(tx: Tx, requests: readonly StateRequest[]) {
    const keys = requests.map(({ write }) => write.key);
    this.#tx = tx;
    this.#stored = listByKeys<state.StateRow>(tx, keys);
    this.#totals = changes.currentTotals(tx);
  }

  /** Returns false where the write is refused, or the texts are too long for one statement. */
  add({ write, by }: StateRequest): boolean {
    const planned = this.rows.get(write.key);
    const one = state.planWrite(write, planned === undefined ? (this.#stored.get(write.key) ?? null) : planned);
    this.#chars += one.text.length;
    if (this.#chars > maxSetChars) return false;
    if (state.checkConditions(this.#tx, [one]) ?? state.checkQuota(this.#tx, [one], this.#totals)) return false;
    const isAbsent = write.op === "delete" && !state.unlessExpired(this.#tx, one.row);
    this.versions.push(isAbsent ? 0 : this.#change(write, one, by));
    return true;
  }

  #change(write: StateRequest["write"], one: state.PlannedWrite, by: string | null = null): number {
    const { key, op } = write;
    const change = { key, op, value: op === "set" ? one.text : null, by, ...state.growthOf(this.#tx, one) };
    this.changes.push(change);
    this.#totals = changes.totalsAfter(this.#tx, this.#totals, change);
    const { revision } = this.#totals;
    this.rows.set(key, op === "set" ? toRow(this.#tx, write, one.text, revision) : null);
    return revision;
  }
}

function toRow(tx: Tx, write: Extract<Write, { op: "set" }>, text: string, version: number): NewRow {
  return { key: write.key, text, chars: text.length, version, at: tx.now, expiresAt: state.expiryOf(tx, write) };
}

function replaceAll({ sql, now }: Tx, rows: ReadonlyMap<string, NewRow | null>): void {
  const written = [...rows.values()].filter((row) => row !== null);
  const keys = [...rows].flatMap(([key, row]) => (row === null ? [key] : []));
  if (keys.length > 0) sql.run("DELETE FROM state WHERE key IN (SELECT value FROM json_each(?))", JSON.stringify(keys));
  if (written.length === 0) return;
  const columns = {
    key: written.map(({ key }) => key),
    value: written.map(({ text }) => text),
    chars: written.map(({ chars }) => chars),
    version: written.map(({ version }) => version),
    at: now,
    expiresAt: written.map((row) => row.expiresAt),
  };
  insertRows(sql, "state", columns, `WHERE true ${state.replaceSql}`);
}

function areGuarded(tx: Tx, requests: readonly StateRequest[]): boolean {
  const guards = new Map(
    requests.flatMap(({ guard }) => (guard ? [[`${guard.token} ${guard.resource}`, guard] as const] : [])),
  );
  return state.checkGuards(tx, [...guards.values()]) === null;
}

function listByKeys<Row extends state.StateRow>({ sql }: Tx, keys: readonly string[], more = ""): Map<string, Row> {
  const query = `SELECT state.key, chars, version, at, expiresAt ${more}
    FROM json_each(?) AS name CROSS JOIN state ON state.key = name.value`;
  return new Map(sql.all<Row>(query, JSON.stringify(keys)).map((row) => [row.key, row]));
}
