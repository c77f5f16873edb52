import type { Refusal } from "../contract/errors.ts";
import type { Change, PullChanges } from "../contract/state.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import type { Tx } from "./tx.ts";

/** The ordered record that watches read: each row is a revision, and carries the running totals that quotas are checked against. */

export interface NewChange {
  readonly key: string;
  readonly op: Change["op"];
  /** JSON text. */
  readonly value?: string | null;
  readonly by?: string | null;
  /** Changes of one update have the first one's revision as group. */
  readonly group?: number | null;
  /** By how much the number and the size of all keys change. */
  readonly keys?: number;
  readonly chars?: number;
}

export interface Totals {
  readonly revision: number;
  readonly keys: number;
  readonly chars: number;
}

export function totals(sql: Sql): Totals {
  const [row] = sql.all<Totals>(
    "SELECT revision, total_keys AS keys, total_chars AS chars FROM changes ORDER BY revision DESC LIMIT 1",
  );
  return row ?? { revision: 0, keys: 0, chars: 0 };
}

/** @returns the revision */
export function append(tx: Tx, change: NewChange): number {
  const { revision, keys, chars } = totals(tx.sql);
  const next = revision + 1;
  tx.sql.run(
    `INSERT INTO changes (revision, grp, key, op, value, by_chat, at, total_keys, total_chars)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    next,
    change.group ?? next,
    change.key,
    change.op,
    change.value ?? null,
    change.by ?? null,
    tx.now,
    keys + (change.keys ?? 0),
    chars + (change.chars ?? 0),
  );
  tx.tell({ kind: "changes" });
  return next;
}

/** Something of the coordinator's own that can be watched: `$chat/<chat>`, `$leader/<name>`. */
export function announce(tx: Tx, key: string, value: object | null): void {
  append(tx, { key, op: value ? "set" : "delete", value: value && JSON.stringify(value) });
}

/** The revision below which nothing is kept any more: a watch from there on misses nothing. */
export function floor(sql: Sql): number {
  const [row] = sql.all<{ revision: number }>("SELECT revision FROM changes ORDER BY revision LIMIT 1");
  return row ? row.revision - 1 : 0;
}

interface Row {
  readonly revision: number;
  readonly grp: number;
  readonly key: string;
  readonly op: Change["op"];
  readonly value: string | null;
  readonly by_chat: string | null;
}

/** Looked at for one answer, so that a prefix which nothing fits stays cheap. */
const mostLooked = 2_000;

/**
 * [SV2] Ordered, without gap or duplicate; [SV3] changes of one update stand in one answer. [SV4] Below the floor, and above the newest
 * revision (after a restore), it is refused as compacted.
 */
export function pull(
  sql: Sql,
  { prefix, after, limit }: PullChanges,
): Result<{ changes: Change[]; revision: number; isMore: boolean }, Refusal> {
  const lowest = floor(sql);
  const newest = totals(sql).revision;
  if (after < lowest || after > newest) {
    return err({
      code: "compacted",
      message: `revision ${after} is not known (kept: ${lowest} to ${newest}); list the keys and watch from that list's revision`,
      details: { floor: lowest, revision: newest },
    });
  }
  const rows = sql.all<Row>("SELECT * FROM changes WHERE revision > ? ORDER BY revision LIMIT ?", after, mostLooked);
  const page = wholeGroups(rows, prefix, limit, rows.length === mostLooked);
  return ok({
    changes: page.rows.map(told),
    revision: page.revision ?? after,
    isMore: (page.revision ?? after) < newest,
  });
}

/** As many groups as fit, at least one: a group is never cut. */
function wholeGroups(
  rows: readonly Row[],
  prefix: string,
  limit: number,
  isCut: boolean,
): { rows: Row[]; revision: number | null } {
  const fitting: Row[] = [];
  let revision: number | null = null;
  const groups = Object.values(Object.groupBy(rows, ({ grp }) => grp)) as Row[][];
  // The last group may go on behind the rows that were read.
  for (const group of isCut && groups.length > 1 ? groups.slice(0, -1) : groups) {
    const wanted = group.filter(({ key }) => key.startsWith(prefix));
    if (fitting.length > 0 && fitting.length + wanted.length > limit) break;
    fitting.push(...wanted);
    revision = group.at(-1)?.revision ?? revision;
  }
  return { rows: fitting, revision };
}

function told({ revision, grp, key, op, value, by_chat: by }: Row): Change {
  return { revision, group: grp, key, op, by, value: value === null ? null : (JSON.parse(value) as Change["value"]) };
}

const keepRows = 100_000;

/** When the oldest row has to go, by age or by number; null when nothing has to. */
export function nextDue(sql: Sql, keepMs: number): number | null {
  const [oldest] = sql.all<{ at: number; grp: number }>("SELECT at, grp FROM changes ORDER BY revision LIMIT 1");
  const [newest] = sql.all<{ grp: number }>("SELECT grp FROM changes ORDER BY revision DESC LIMIT 1");
  if (!oldest || !newest || oldest.grp === newest.grp) return null;
  return newest.grp - oldest.grp > keepRows ? oldest.at : oldest.at + keepMs;
}

/** [SV5] Compaction: by age and number, from the oldest on, whole groups only, never the newest. At most about `limit` rows. */
export function prune(sql: Sql, now: number, keepMs: number, limit: number): void {
  const newest = totals(sql).revision;
  const rows = sql.all<{ at: number; grp: number }>("SELECT at, grp FROM changes ORDER BY revision LIMIT ?", limit);
  const firstKept = rows.find(({ at, grp }) => at >= now - keepMs && grp >= newest - keepRows) ?? rows.at(-1);
  if (firstKept) sql.run("DELETE FROM changes WHERE revision < ?", firstKept.grp);
}
