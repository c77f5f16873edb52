import { neededSql } from "./task-schema.ts";
import type { Tx } from "./tx.ts";

/**
 * What can be claimed, by lane: all tasks of one lane can be done by the same chats. A claim that names no type looks at lanes without their types:
 * at the sets of capabilities that tasks need. So a claim costs the same however many tasks wait, and of how many types.
 */

export interface Head {
  readonly task: number;
  readonly lane: string;
  readonly priority: number;
  readonly affinity: string | null;
  /** Of what its last attempt has told. */
  readonly told_bytes: number;
}

/** SQL of what an index has queued tasks by. */
type Key = "lane" | typeof neededSql;

/** Lanes, or, for a claim of any type, lanes without their types. */
export interface Keyed {
  readonly key: Key;
  readonly values: readonly string[];
}

/** Above a type's own lane and all that begin with it and a line break. */
const behindLines = "\v";

/** Above every lane. */
const last = "\u{10FFFF}";

/** Above a lane, and below all that begin with it: no lane has this sign. */
const justAbove = "\u0001";

/** In which something is queued for who has these capabilities. */
export function fitting(tx: Tx, able: ReadonlySet<string>, types?: readonly string[]): Keyed {
  if (!types) return { key: neededSql, values: fittingFrom(tx, neededSql, "", able) };
  return { key: "lane", values: [...new Set(types)].flatMap((type) => fittingFrom(tx, "lane", type, able)) };
}

/** Most chats have few capabilities. */
const fewAtOnce = 10;

/** [TA28] From one that needs more than these capabilities the index leads to the next that may not: those between cost nothing. */
function fittingFrom(tx: Tx, key: Key, type: string, able: ReadonlySet<string>): string[] {
  const fit: string[] = [];
  for (let start: string | null = type; start !== null;) {
    const found = next(tx, key, start, type + behindLines, fewAtOnce);
    const other = found.find((value) => capabilitiesIn(value).some((one) => !able.has(one)));
    fit.push(...found.slice(0, other === undefined ? found.length : found.indexOf(other)));
    const end = found.length < fewAtOnce ? undefined : found.at(-1);
    if (other === undefined) start = end === undefined ? null : end + justAbove;
    else start = behindOther(tx, type, capabilitiesIn(other), able);
  }
  return fit;
}

/** The first that is possible behind one that needs, at some place, what a chat has not. */
function behindOther({ sql }: Tx, type: string, needed: readonly string[], able: ReadonlySet<string>): string | null {
  if (able.size === 0) return null;
  // SQLite compares: its order of texts is another one than that of JavaScript.
  const query = "SELECT min(value) AS next FROM json_each(?) WHERE value > ?";
  const all = JSON.stringify([...able]);
  for (let at = needed.findIndex((one) => !able.has(one)); at >= 0; at--) {
    const following = sql.all<{ next: string | null }>(query, all, needed[at] ?? "")[0]?.next ?? null;
    if (following !== null) return [type, ...needed.slice(0, at), following].join("\n");
  }
  return null;
}

const manyAtOnce = 100;

/** Every lane in which something is queued; as many are read as are asked for. */
export function queued(tx: Tx): Generator<string, void> {
  return between(tx, "lane", "", last);
}

/** The lanes of these types in which something is queued; for `*` lanes of any type, told without it. */
export function* queuedOf(tx: Tx, types: ReadonlySet<string>): Generator<string, void> {
  for (const type of types) {
    if (type === "*") yield* between(tx, neededSql, "", last);
    else yield* between(tx, "lane", type, type + behindLines);
  }
}

function* between(tx: Tx, key: Key, from: string, to: string): Generator<string, void> {
  for (let start = from; ;) {
    const found = next(tx, key, start, to, manyAtOnce);
    yield* found;
    const end = found.at(-1);
    if (end === undefined || found.length < manyAtOnce) return;
    start = end + justAbove;
  }
}

/** From each the index leads to the next. */
function next({ sql }: Tx, key: Key, start: string, to: string, limit: number): string[] {
  return sql
    .all<{ lane: string }>(
      `WITH RECURSIVE lanes (lane) AS (
         SELECT min(${key}) FROM tasks WHERE state = 'queued' AND ${key} >= ? AND ${key} < ?
         UNION ALL SELECT (SELECT min(${key}) FROM tasks WHERE state = 'queued' AND ${key} > lanes.lane AND ${key} < ?) FROM lanes
         WHERE lanes.lane IS NOT NULL)
       SELECT lane FROM lanes WHERE lane IS NOT NULL LIMIT ?`,
      start,
      to,
      to,
      limit,
    )
    .map(({ lane }) => lane);
}

/** [TA28] Whether these would be more lanes than a workspace has at a time. */
export function tooMany(tx: Tx, wanted: ReadonlySet<string>): boolean {
  const isQueued = "EXISTS (SELECT 1 FROM tasks WHERE state = 'queued' AND lane = wanted.value)";
  const [row] = tx.sql.all<{ n: number }>(
    `SELECT count(*) AS n FROM json_each(?) AS wanted WHERE NOT ${isQueued}`,
    JSON.stringify([...wanted]),
  );
  const fresh = row?.n ?? 0;
  if (fresh === 0) return false;
  const { maxLanes } = tx.settings;
  let count = fresh;
  for (const _ of queued(tx)) if ((count += 1) > maxLanes) break;
  return count > maxLanes;
}

export type Front = Omit<Head, "told_bytes">;

/** What has its turn first in each of these; of what a chat is wished for, or of all. */
export function fronts({ sql, now }: Tx, { key, values }: Keyed, chat: string | null = null): Front[] {
  return sql.all<Front>(
    `SELECT wanted.value AS lane, task, priority, affinity FROM json_each(?) AS wanted JOIN tasks ON task =
       (SELECT task FROM tasks WHERE state = 'queued' ${chat === null ? "" : "AND affinity = ?"} AND ${key} = wanted.value AND ${isOpen}
        ORDER BY priority DESC, task LIMIT 1)`,
    JSON.stringify(values),
    ...(chat === null ? [] : [chat]),
    now,
  );
}

/** By what is first in each, for this chat: in those behind them nothing has its turn before `limit` tasks. [TA7] */
function firstOf(tx: Tx, { key, values }: Keyed, chat: string, limit: number): readonly string[] {
  if (values.length <= limit) return values;
  const all = [...fronts(tx, { key, values }), ...fronts(tx, { key, values }, chat)];
  return [...new Set(all.toSorted(byTurn(chat)).map(({ lane }) => lane))].slice(0, limit);
}

/** Instead of a chat: no task wishes for it. */
export const nobody = "";

/** [TA7] By priority, then those that are meant for this chat, then by number. */
export function byTurn(chat: string): (a: Front, b: Front) => number {
  const isOther = ({ affinity }: Front): number => (affinity === chat ? 0 : 1);
  return (a, b) => b.priority - a.priority || isOther(a) - isOther(b) || a.task - b.task;
}

export function typeIn(lane: string): string {
  return lane.split("\n", 1)[0] ?? "";
}

export function capabilitiesIn(lane: string): string[] {
  return lane.split("\n").slice(1);
}

const columns =
  "task, lane, priority, affinity, coalesce(octet_length(progress), 0) + coalesce(octet_length(checkpoint), 0) AS told_bytes";
/** [TA15] What has expired is nobody's, though no sweep has seen it. */
const isOpen = "(due_at IS NULL OR due_at > ?)";

/** The first `limit` for a chat, in their turn: of its equals those that wish for it, however many were queued before. [TA7] */
export function headsFor(tx: Tx, keyed: Keyed, chat: string, limit: number): Head[] {
  const tail = `AND ${keyed.key} = ? AND ${isOpen} ORDER BY priority DESC, task LIMIT ?`;
  const [all, wished] = ["", "AND affinity = ?"].map(
    (condition) => `SELECT ${columns} FROM tasks WHERE state = 'queued' ${condition} ${tail}`,
  ) as [string, string];
  const heads = firstOf(tx, keyed, chat, limit).flatMap((value) =>
    tx.sql.all<Head>(all, value, tx.now, limit).concat(tx.sql.all<Head>(wished, chat, value, tx.now, limit)),
  );
  const known = new Map(heads.map((head) => [head.task, head]));
  return [...known.values()].toSorted(byTurn(chat)).slice(0, limit);
}
