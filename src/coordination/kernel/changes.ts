import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import type { Change } from "../../contract/state.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "./meta.ts";
import { numbersPerEpoch, type Tx } from "./tx.ts";
import type { NewRowOf } from "../../shared/table.ts";
import { changes } from "./kernel-tables.ts";

export interface NewChange {
  readonly key: string;
  readonly op: Change["op"];
  readonly value?: string | null;
  readonly by?: string | null;
  readonly group?: number | null;
  /** Growth of the number and size of all keys. */
  readonly keys?: number;
  readonly chars?: number;
}

export interface Totals {
  readonly revision: number;
  readonly keys: number;
  readonly chars: number;
  readonly written: number;
}

export function readTotals(sql: Sql): Totals {
  const [row] = sql.all<Totals>(
    "SELECT revision, totalKeys AS keys, totalChars AS chars, writtenChars AS written FROM changes ORDER BY revision DESC LIMIT 1",
  );
  return row ?? { revision: 0, keys: 0, chars: 0, written: 0 };
}

/** Exceeds every lost revision after a restore, by the raised epoch. */
export function nextRevision(tx: Tx, { revision }: Totals): number {
  return Math.max(revision, meta.epochStart(tx)) + 1;
}

/** Adds changes. Those without a group are updates of their own. @param before what is stored */
export function append(tx: Tx, list: readonly NewChange[], before?: Totals): void {
  if (list.length === 0) return;
  let totals = before ?? readTotals(tx.sql);
  let rows: NewRowOf<typeof changes>[] = [];
  for (const change of list) {
    totals = totalsAfter(tx, totals, change);
    const { key, op, value = null, by: byChat = null, group } = change;
    const { revision, keys: totalKeys, chars: totalChars, written: writtenChars } = totals;
    const sums = { totalKeys, totalChars, writtenChars };
    rows.push({ revision, grp: group ?? revision, key, op, value, byChat, at: tx.now, ...sums });
    tx.tell({ kind: "changes" });
    if (revision % compactEvery > 0) continue;
    changes.insertAll(tx.sql, rows);
    prune(tx, maxCompactedRows);
    rows = [];
  }
  changes.insertAll(tx.sql, rows);
}

export function totalsAfter(tx: Tx, before: Totals, { key, value, keys = 0, chars = 0 }: NewChange): Totals {
  return {
    revision: nextRevision(tx, before),
    keys: before.keys + keys,
    chars: before.chars + chars,
    written: before.written + key.length + (value?.length ?? 0),
  };
}

/** Announces `$chat/<chat>`, `$leader/<name>` or `$file/<project>/<path>`. */
export function announcement(key: string, value: object | null): NewChange {
  return { key, op: value ? "set" : "delete", value: value && JSON.stringify(value) };
}

/** Newest deleted revision: a watch from there on misses nothing. Absent: none was deleted. */
const floorKey = "changes_floor";

interface ChangeRow {
  readonly revision: number;
  readonly grp: number;
  readonly key: string;
  readonly op: Change["op"];
  readonly byChat: string | null;
  /** Bytes of the value; only values that are sent are read. */
  readonly size: number;
}

/** Limit for one answer, so that a prefix without matches stays cheap. */
const maxScannedRows = 2_000;
const maxPageBytes = 1_000_000;

/**
 * No gap or duplicate; an update is never split. Refused as compacted below the
 * floor or for a revision outside this workspace's past (after a restore).
 */
export function pull(
  sql: Sql,
  { prefix, after, limit }: CheckedInputOf<"state.changes">,
): Result<OutputOf<"state.changes">> {
  const lowest = Number(meta.read(sql, floorKey) ?? 0);
  const newest = readTotals(sql).revision;
  const isKnown = after === lowest || changes.has(sql, { revision: after });
  if (!isKnown) {
    return err({
      code: "compacted",
      message: `${describeCompacted(after, lowest, newest)}; list the keys and watch from that list's revision`,
      details: { floor: lowest, revision: newest },
    });
  }
  const found = sql.all<ChangeRow>(
    `SELECT revision, grp, key, op, byChat, coalesce(octet_length(value), 0) AS size FROM changes
     WHERE revision > ? ORDER BY revision LIMIT ?`,
    after,
    maxScannedRows,
  );
  // The last group may continue after the rows that were read.
  const last = found.length === maxScannedRows ? found.findIndex(({ grp }) => grp === found.at(-1)?.grp) : 0;
  const page = wholeGroups(last > 0 ? found.slice(0, last) : found, prefix, limit);
  const revision = page.revision ?? after;
  return ok({ changes: page.rows.map((row) => toChange(sql, row)), revision, isMore: revision < newest });
}

/** @returns the keys that have changed since a revision; null: too many to compare */
export function keysAfter(sql: Sql, after: number): { readonly keys: string[] | null; readonly revision: number } {
  const { revision } = readTotals(sql);
  const rows = sql.all<{ key: string }>("SELECT key FROM changes WHERE revision > ? LIMIT ?", after, maxScannedRows);
  return { keys: rows.length < maxScannedRows ? rows.map(({ key }) => key) : null, revision };
}

function toChange(sql: Sql, { revision, grp, key, op, byChat: by }: ChangeRow): Change {
  const [row] = sql.all<{ value: string | null }>("SELECT value FROM changes WHERE revision = ?", revision);
  return { revision, group: grp, key, op, by, value: JSON.parse(row?.value ?? "null") as Change["value"] };
}

function describeCompacted(after: number, lowest: number, newest: number): string {
  if (after < lowest)
    return `changes up to revision ${lowest} are no longer kept, so the changes since ${after} are incomplete`;
  return `revision ${after} was never issued here, or was lost in a restore (the newest is ${newest})`;
}

/** Whole groups, at least one. */
function wholeGroups(
  rows: readonly ChangeRow[],
  prefix: string,
  limit: number,
): { readonly rows: readonly ChangeRow[]; readonly revision: number | null } {
  const pageRows: ChangeRow[] = [];
  let revision: number | null = null;
  let bytes = 0;
  for (const group of Object.values(Object.groupBy(rows, ({ grp }) => grp)) as ChangeRow[][]) {
    const matching = group.filter(({ key }) => key.startsWith(prefix));
    bytes += matching.reduce((sum, { size }) => sum + size, 0);
    if (pageRows.length > 0 && (pageRows.length + matching.length > limit || bytes > maxPageBytes)) break;
    pageRows.push(...matching);
    revision = group.at(-1)?.revision ?? revision;
  }
  return { rows: pageRows, revision };
}

const keepRows = 100_000;

/** Due time of the oldest group, by age (`keepMs`: ?) or number; never of the newest. */
export const dueAt = `
  SELECT min(at + keep, ifnull(
    (SELECT at FROM changes
     WHERE revision > oldest.grp + ${keepRows} AND oldest.grp / ${numbersPerEpoch} = newest.grp / ${numbersPerEpoch}
     ORDER BY revision LIMIT 1), at + keep))
  FROM (SELECT at, grp FROM changes ORDER BY revision LIMIT 1) AS oldest,
    (SELECT grp FROM changes ORDER BY revision DESC LIMIT 1) AS newest,
    (SELECT ? AS keep)
  WHERE oldest.grp < newest.grp`;

/** Excess is deleted by the write that causes it; mostly only age waits for the alarm. */
const compactEvery = 256;
const maxCompactedRows = 10_000;

/** Oldest first, whole groups, never the newest; about `limit` rows. */
export function prune({ sql, now, settings }: Tx, limit: number): void {
  const newest = readTotals(sql);
  const oldest = "SELECT revision, at, grp, writtenChars AS written FROM changes ORDER BY revision LIMIT ?";
  // Few of the rows are read: SQLite stops at the first that is kept.
  const [kept] = sql.all<{ grp: number }>(
    `SELECT grp FROM (${oldest}) WHERE at > ? AND written > ? AND (grp >= ? OR grp < ?) LIMIT 1`,
    limit,
    now - settings.keepChangesMs,
    newest.written - settings.maxChangeChars,
    newest.revision - keepRows,
    Math.floor(newest.revision / numbersPerEpoch) * numbersPerEpoch,
  );
  const before = kept?.grp ?? groupAfter(sql, limit);
  const query = "SELECT revision FROM changes WHERE revision < ? ORDER BY revision DESC LIMIT 1";
  const [last] = sql.all<{ revision: number }>(query, before);
  if (!last) return;
  sql.run("DELETE FROM changes WHERE revision < ?", before);
  meta.write(sql, floorKey, String(last.revision));
}

/** @returns the group behind that of the oldest rows, or theirs, where it is the newest */
function groupAfter(sql: Sql, rows: number): number {
  const oldest = "SELECT revision, grp FROM changes ORDER BY revision LIMIT ?";
  const [last] = sql.all<{ grp: number }>(`SELECT grp FROM (${oldest}) ORDER BY revision DESC LIMIT 1`, rows);
  const behind = "SELECT grp FROM changes WHERE revision > ? AND grp > ? ORDER BY revision LIMIT 1";
  const group = last?.grp ?? 0;
  return sql.all<{ grp: number }>(behind, group, group)[0]?.grp ?? group;
}
