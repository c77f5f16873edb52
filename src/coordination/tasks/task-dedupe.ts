import type { Refusal } from "../../contract/errors.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";
import { taskDedupe } from "./task-tables.ts";

/** A second task under a key is the first one, even if that is no longer kept. */

export function find({ sql, now }: Tx, key: string): number | undefined {
  const [row] = sql.all<{ task: number; until: number; is_kept: number }>(
    "SELECT task, until, EXISTS (SELECT 1 FROM tasks WHERE tasks.task = task_dedupe.task) AS is_kept FROM task_dedupe WHERE key = ?",
    key,
  );
  return row && (row.until > now || row.is_kept === 1) ? row.task : undefined;
}

export function store({ sql, now, settings }: Tx, key: string, task: number): void {
  taskDedupe.put(sql, { key, task, until: now + settings.keepDedupeMs });
}

/** Answers whether new keys exceed the limit; expired ones make room. */
export function tooMany(tx: Tx, fresh: number): Refusal | null {
  const { maxDedupeKeys: most } = tx.settings;
  if (fresh === 0 || count(tx) + fresh <= most) return null;
  prune(tx, prunedAtOnce);
  if (count(tx) + fresh <= most) return null;
  return {
    code: "quota_exceeded",
    message: `more than ${most} keys of tasks would be kept (maxDedupeKeys); a key is deleted when its task is no longer kept and keepDedupeMs have passed: submit without a dedupeKey, or later`,
  };
}

const prunedAtOnce = 2_000;

function count({ sql }: Tx): number {
  return Number(meta.read(sql, "dedupe_keys"));
}

export const dueAt = "SELECT min(until) FROM task_dedupe";

export function prune({ sql, now, settings }: Tx, limit: number): void {
  const expiredKeysSql = "SELECT key FROM task_dedupe WHERE until <= ? ORDER BY until LIMIT ?";
  sql.run(
    `UPDATE task_dedupe SET until = ? WHERE key IN (${expiredKeysSql}) AND task IN (SELECT task FROM tasks)`,
    now + settings.keepDedupeMs,
    now,
    limit,
  );
  sql.run(
    `DELETE FROM task_dedupe WHERE key IN (${expiredKeysSql}) AND task NOT IN (SELECT task FROM tasks)`,
    now,
    limit,
  );
}
