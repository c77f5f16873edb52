import type { OutputOf } from "../../contract/operations.ts";
import type { TaskProgress } from "../../contract/task-views.ts";
import type { Tx } from "../kernel/tx.ts";

/** Counted one by one: done tasks have no index, and the object does nothing else meanwhile. */
const maxCounted = 100_000;

/** [TA25] Covers kept tasks; cancelled and dead ones only count into the total. */
export function progress(tx: Tx, { parent }: TaskProgress): OutputOf<"tasks.progress"> {
  const counts = countNewest(tx, parent);
  const isAll = sum(counts) < maxCounted;
  const held = countHeld(tx, parent);
  if (!isAll && parent === undefined) {
    counts.set("queued", countQueued(tx)).set("running", held.n).delete("assigned");
  }
  return {
    totalTasks: sum(counts),
    completedTasks: sum(counts, "done"),
    inProgressTasks: sum(counts, "assigned", "running"),
    queuedTasks: sum(counts, "blocked", "scheduled", "queued"),
    activeChats: held.chats,
    isAll,
  };
}

type Counts = Map<string, number>;

function sum(counts: Counts, ...states: string[]): number {
  const selected = states.length === 0 ? [...counts.keys()] : states;
  return selected.reduce((total, state) => total + (counts.get(state) ?? 0), 0);
}

function countNewest({ sql }: Tx, parent: number | undefined): Counts {
  const where = parent === undefined ? "" : "WHERE parent = ?";
  const rows = sql.all<{ state: string; n: number }>(
    `SELECT state, count(*) AS n FROM (SELECT state FROM tasks ${where} ORDER BY task DESC LIMIT ?) GROUP BY state`,
    ...(parent === undefined ? [] : [parent]),
    maxCounted,
  );
  return new Map(rows.map(({ state, n }) => [state, n]));
}

function countQueued({ sql }: Tx): number {
  return sql.all<{ n: number }>("SELECT count(*) AS n FROM tasks WHERE state = 'queued'")[0]?.n ?? 0;
}

function countHeld({ sql }: Tx, parent: number | undefined): { readonly n: number; readonly chats: number } {
  const [row] = sql.all<{ n: number; chats: number }>(
    "SELECT count(*) AS n, count(DISTINCT chat) AS chats FROM tasks WHERE chat IS NOT NULL AND (? IS NULL OR parent = ?)",
    parent ?? null,
    parent ?? null,
  );
  return row ?? { n: 0, chats: 0 };
}
