import type { Tx } from "../kernel/tx.ts";

/** Tasks of one partition key suit the same chats: a claim's cost is independent of the queue. */

export interface Head {
  readonly task: number;
  readonly lane: string;
  readonly priority: number;
  readonly affinity: string | null;
  /** Size of the texts that a claim returns. */
  readonly bytes: number;
}

/** Upper bound of a type's own partition key and all that begin with it and a line break. */
const afterTypeLanes = "\v";

const endOfLanes = "\u{10FFFF}";

export function listMatching(tx: Tx, capabilities: ReadonlySet<string>, types?: readonly string[]): string[] {
  const found = types
    ? [...new Set(types)].flatMap((type) => Array.from(lanesBetween(tx, type, type + afterTypeLanes)))
    : Array.from(listQueued(tx));
  return found.filter(
    (lane) => (types?.includes(typeIn(lane)) ?? true) && capabilitiesIn(lane).every((one) => capabilities.has(one)),
  );
}

export function listQueued(tx: Tx, pageSize = maxLanesPerQuery): Generator<string, void> {
  return lanesBetween(tx, "", endOfLanes, pageSize);
}

/** Whether more than `count` partition keys have something queued; reads one more at most. */
export function hasMoreThan(tx: Tx, count: number): boolean {
  let found = 0;
  for (const _ of listQueued(tx, count + 1)) if ((found += 1) > count) return true;
  return false;
}

/** Upper bound of a partition key and all that begin with it: none has this character. */
const afterLane = "\u0001";
const maxLanesPerQuery = 100;

function* lanesBetween({ sql }: Tx, from: string, to: string, pageSize = maxLanesPerQuery): Generator<string, void> {
  const firstTwo = readFirstTwo(sql, from, to);
  yield* firstTwo;
  const [, two] = firstTwo;
  if (two === undefined) return;
  for (let start = two + afterLane; ;) {
    const rows = sql.all<{ lane: string }>(
      `WITH RECURSIVE lanes (lane) AS (
         SELECT min(lane) FROM tasks WHERE state = 'queued' AND lane >= ? AND lane < ?
         UNION ALL SELECT (SELECT min(lane) FROM tasks WHERE state = 'queued' AND lane > lanes.lane AND lane < ?) FROM lanes
         WHERE lanes.lane IS NOT NULL)
       SELECT lane FROM lanes WHERE lane IS NOT NULL LIMIT ?`,
      start,
      to,
      to,
      pageSize,
    );
    for (const { lane } of rows) yield lane;
    const end = rows.at(-1);
    if (!end || rows.length < pageSize) return;
    start = end.lane + afterLane;
  }
}

/** Mostly there are no more, and a recursion takes many times as long. */
function readFirstTwo(sql: Tx["sql"], from: string, to: string): string[] {
  const [row] = sql.all<{ one: string | null; two: string | null }>(
    `SELECT one, (SELECT min(lane) FROM tasks WHERE state = 'queued' AND lane > one AND lane < ?) AS two
     FROM (SELECT min(lane) AS one FROM tasks WHERE state = 'queued' AND lane >= ? AND lane < ?)`,
    to,
    from,
    to,
  );
  return [row?.one ?? null, row?.two ?? null].filter((lane) => lane !== null);
}

/** Answers whether the workspace would have too many partition keys. */
export function exceedsLimit(tx: Tx, newLanes: ReadonlySet<string>): boolean {
  const isQueued = "EXISTS (SELECT 1 FROM tasks WHERE state = 'queued' AND lane = wanted.value)";
  const [row] = tx.sql.all<{ n: number }>(
    `SELECT count(*) AS n FROM json_each(?) AS wanted WHERE NOT ${isQueued}`,
    JSON.stringify([...newLanes]),
  );
  const fresh = row?.n ?? 0;
  if (fresh === 0) return false;
  const { maxLanes } = tx.settings;
  let count = fresh;
  for (const _ of listQueued(tx)) if ((count += 1) > maxLanes) break;
  return count > maxLanes;
}

export type Front = Omit<Head, "bytes">;

export function fronts({ sql, now }: Tx, lanes: readonly string[], chat: string | null = null): Front[] {
  return sql.all<Front>(
    `SELECT wanted.value AS lane, task, priority, affinity FROM json_each(?) AS wanted JOIN tasks ON task =
       (SELECT task FROM tasks WHERE state = 'queued' ${chat === null ? "" : "AND affinity = ?"} AND lane = wanted.value AND ${isOpenSql}
        ORDER BY priority DESC, task LIMIT 1)`,
    JSON.stringify(lanes),
    ...(chat === null ? [] : [chat]),
    now,
  );
}

/** Later partition keys cannot supply any of the first `limit` tasks. */
export function selectFirst(tx: Tx, lanes: readonly string[], chat: string, limit: number): readonly string[] {
  if (lanes.length <= limit) return lanes;
  const all = [...fronts(tx, lanes), ...fronts(tx, lanes, chat)];
  return [...new Set(all.toSorted(compareFor(chat)).map(({ lane }) => lane))].slice(0, limit);
}

/** Sorts by priority, then affinity to this chat, then number. @param chat "": none */
export function compareFor(chat: string): (a: Front, b: Front) => number {
  const affinityRank = ({ affinity }: Front): number => (affinity === chat ? 0 : 1);
  return (a, b) => b.priority - a.priority || affinityRank(a) - affinityRank(b) || a.task - b.task;
}

export function typeIn(lane: string): string {
  return lane.split("\n", 1)[0] ?? "";
}

export function capabilitiesIn(lane: string): string[] {
  return lane.split("\n").slice(1);
}

const columns = `task, lane, priority, affinity, ifnull(octet_length(progress), 0) + ifnull(octet_length(checkpoint), 0)
  + coalesce(octet_length(payload), (SELECT octet_length(payload) FROM task_texts WHERE task_texts.task = tasks.task), 0) AS bytes`;
const isOpenSql = "(dueAt IS NULL OR dueAt > ?)";

/** Excludes expired tasks, whether or not a sweep has run. */
export function headsFor({ sql, now }: Tx, lane: string, chat: string, limit: number): Head[] {
  const read = (isMine: string, ...values: string[]): Head[] =>
    sql.all<Head>(
      `SELECT ${columns} FROM tasks WHERE state = 'queued' ${isMine} AND lane = ? AND ${isOpenSql} ORDER BY priority DESC, task LIMIT ?`,
      ...values,
      lane,
      now,
      limit,
    );
  return [...read("").filter(({ affinity }) => affinity !== chat), ...read("AND affinity = ?", chat)];
}
