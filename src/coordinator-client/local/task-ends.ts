import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Driver } from "../../store/driver.ts";

export interface TaskEnd {
  readonly state: "done" | "cancelled";
  /** Chat whose result counted; null: none. */
  readonly by: string | null;
}

interface TaskRow {
  readonly state: string;
  readonly chat: string | null;
}

/** Works without the engine, which a hook has no time to load. */
export function readTaskEnds(
  { home, driver, busyMs }: { readonly home: string; readonly driver: Driver; readonly busyMs: number },
  tasks: readonly number[],
): Map<number, TaskEnd> {
  const path = join(home, "coordination", "coordination.db");
  const ends = new Map<number, TaskEnd>();
  if (tasks.length === 0 || !existsSync(path)) return ends;
  const connection = driver({ path, readOnly: true, busyMs });
  try {
    for (const task of tasks) {
      const [row] = connection.all<TaskRow>(
        `SELECT state, (SELECT chat FROM all_attempts WHERE task = tasks.task AND ended = 'done' ORDER BY claim DESC LIMIT 1) AS chat
         FROM tasks WHERE task = ?`,
        task,
      );
      if (row?.state === "done" || row?.state === "cancelled") ends.set(task, { state: row.state, by: row.chat });
    }
    return ends;
  } finally {
    connection.close();
  }
}
