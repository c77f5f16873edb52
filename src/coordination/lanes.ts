import type { Tx } from "./tx.ts";

/** What can be claimed, by lane: all tasks of one lane can be done by the same chats. So a claim costs the same however many wait. */

export interface Head {
  readonly task: number;
  readonly lane: string;
  readonly priority: number;
  readonly affinity: string | null;
  /** Of what its last attempt has told. */
  readonly told_bytes: number;
}

/** Above a type's own lane and all that begin with it and a line break. */
const behindLines = "\v";

/** Above every lane. */
const last = "\u{10FFFF}";

/** Lanes in which something is queued for who has these capabilities. */
export function fitting(tx: Tx, able: ReadonlySet<string>, types?: readonly string[]): string[] {
  const found = types ? [...new Set(types)].flatMap((type) => between(tx, type, type + behindLines)) : all(tx);
  return found.filter((lane) => capabilitiesIn(lane).every((one) => able.has(one)));
}

/** Every lane in which something is queued. */
export function all(tx: Tx): string[] {
  return between(tx, "", last);
}

/** From each lane the index leads to the next. */
function between({ sql }: Tx, from: string, to: string): string[] {
  const rows = sql.all<{ lane: string }>(
    `WITH RECURSIVE lanes (lane) AS (
       SELECT min(lane) FROM tasks WHERE state = 'queued' AND lane >= ? AND lane < ?
       UNION ALL SELECT (SELECT min(lane) FROM tasks WHERE state = 'queued' AND lane > lanes.lane AND lane < ?) FROM lanes
       WHERE lanes.lane IS NOT NULL)
     SELECT lane FROM lanes WHERE lane IS NOT NULL`,
    from,
    to,
    to,
  );
  return rows.map(({ lane }) => lane);
}

export function typeIn(lane: string): string {
  return lane.split("\n", 1)[0] ?? "";
}

export function capabilitiesIn(lane: string): string[] {
  return lane.split("\n").slice(1);
}

/** Those whose turn is first. [TA15] What has expired is nobody's, though no sweep has seen it. */
export function heads({ sql, now }: Tx, lane: string, limit: number): Head[] {
  return sql.all<Head>(
    `SELECT ${columns} FROM tasks WHERE state = 'queued' AND lane = ? AND ${isOpen} ORDER BY priority DESC, task LIMIT ?`,
    lane,
    now,
    limit,
  );
}

const columns =
  "task, lane, priority, affinity, coalesce(octet_length(progress), 0) + coalesce(octet_length(checkpoint), 0) AS told_bytes";
const isOpen = "(due_at IS NULL OR due_at > ?)";

/** The same, and those that wish for a chat: of its equals the first, however many were queued before. */
export function headsFor(tx: Tx, lane: string, chat: string, limit: number): Head[] {
  const own = tx.sql.all<Head>(
    `SELECT ${columns} FROM tasks WHERE state = 'queued' AND affinity = ? AND lane = ? AND ${isOpen} ORDER BY priority DESC, task LIMIT ?`,
    chat,
    lane,
    tx.now,
    limit,
  );
  return [...heads(tx, lane, limit).filter(({ affinity }) => affinity !== chat), ...own];
}
