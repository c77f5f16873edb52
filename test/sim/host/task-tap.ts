import type Database from "better-sqlite3";
import type { DeathReason, TaskState } from "#src/contract/tasks.ts";

/** What of a task's row tells who has it and how it stands. */
export interface TaskFact {
  readonly task: number;
  readonly state: TaskState;
  readonly reason: DeathReason | null;
  readonly claim: number;
  readonly chat: string | null;
  readonly incarnation: number | null;
  readonly failures: number;
  readonly stalls: number;
  readonly lostChats: number;
  readonly notBefore: number;
}

export type OnTask = (before: TaskFact | null, after: TaskFact | null) => void;

const columns = [
  "task",
  "state",
  "reason",
  "claim",
  "chat",
  "incarnation",
  "failures",
  "stalls",
  "lost_chats",
  "not_before",
] as const;

type Values = readonly (string | number | null)[];

/**
 * Tells each change of a task as it is stored, by triggers of this connection alone: whatever statement made it, and whatever a planted bug
 * made of that.
 */
export function watchTasks(db: Database.Database, onTask: OnTask): void {
  const width = columns.length;
  db.function("sim_task", { varargs: true }, (...values: unknown[]) => {
    const all = values as Values;
    onTask(factOf(all.slice(0, width)), factOf(all.slice(width)));
    return null;
  });
  const none = columns.map(() => "NULL");
  const old = columns.map((name) => `OLD.${name}`);
  const fresh = columns.map((name) => `NEW.${name}`);
  const triggers = [
    ["INSERT", none, fresh],
    [`UPDATE OF ${columns.filter((name) => name !== "task").join(", ")}`, old, fresh],
    ["DELETE", old, none],
  ] as const;
  for (const [place, [event, before, after]] of triggers.entries()) {
    db.exec(
      `CREATE TEMP TRIGGER sim_task_${place} AFTER ${event} ON main.tasks
       BEGIN SELECT sim_task(${[...before, ...after].join(", ")}); END`,
    );
  }
}

function factOf([
  task,
  state,
  reason,
  claim,
  chat,
  incarnation,
  failures,
  stalls,
  lostChats,
  notBefore,
]: Values): TaskFact | null {
  if (task === null) return null;
  return {
    task: Number(task),
    state: state as TaskState,
    reason: reason as DeathReason | null,
    claim: Number(claim),
    chat: chat as string | null,
    incarnation: incarnation as number | null,
    failures: Number(failures),
    stalls: Number(stalls),
    lostChats: Number(lostChats),
    notBefore: Number(notBefore),
  };
}
