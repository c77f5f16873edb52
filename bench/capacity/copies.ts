/** Copies of rows that the engine has made, for a workspace too large to be filled by its operations in the time of a bench. */
import { chats } from "../../src/coordination/kernel/kernel-tables.ts";
import { messageTables } from "../../src/coordination/messages/inboxes.ts";
import { tasks } from "../../src/coordination/tasks/task-tables.ts";
import { doneShare, doTasks, submitTasks, type Kind } from "./fill.ts";
import type { Self, Workspace } from "./workspace.ts";

interface Table {
  readonly name: string;
  readonly names: readonly string[];
}

const sample = "copied";

export class Copies {
  readonly #workspace: Workspace;
  readonly #done: number;
  readonly #queued: number;

  /** @param self does the task that is copied as done */
  constructor(workspace: Workspace, self: Self) {
    this.#workspace = workspace;
    submitTasks(workspace, 2, { type: sample, tags: [sample] });
    doTasks(workspace, self, 1, sample);
    workspace.addEnded([sample]);
    this.#done = this.#numberOf("done");
    this.#queued = this.#numberOf("queued");
  }

  #numberOf(state: string): number {
    const [row] = this.#workspace.sql.all<{ task: number }>("SELECT task FROM tasks WHERE state = ?", state);
    if (!row) throw new Error(`no task is ${state}`);
    return row.task;
  }

  /** Of a project: most are done. */
  addTasks(count: number, { type, tags }: Kind): void {
    const done = Math.floor(count * doneShare);
    const task = "(SELECT max(task) FROM tasks) + n";
    const values = { task, type: quoted(type), lane: quoted(type), tags: quoted(JSON.stringify(tags)) };
    this.#workspace.event(() => {
      this.#copy({ table: tasks, of: `task = ${this.#done}`, count: done, values });
      this.#copy({ table: tasks, of: `task = ${this.#queued}`, count: count - done, values });
    });
  }

  /** Chats that have ended, which are kept for a day. */
  addEnded(count: number, prefix: string): void {
    const chat = `${quoted(prefix)} || n`;
    const of = `chat = '${sample}'`;
    this.#workspace.event(() => {
      this.#copy({ table: chats, of, count, values: { chat, session: chat, process: chat } });
      const inboxes = messageTables.find(({ name }) => name === "inboxes");
      if (inboxes) this.#copy({ table: inboxes, of, count, values: { chat } });
    });
  }

  #copy({ table, of, count, values }: Copy): void {
    const columns = table.names.map((name) => `"${name}"`).join(", ");
    const copied = table.names.map((name) => values[name] ?? `"${name}"`).join(", ");
    this.#workspace.sql.run(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 WHERE ? > 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
       INSERT INTO ${table.name} (${columns}) SELECT ${copied} FROM numbers, ${table.name} WHERE ${of}`,
      count,
      count,
    );
  }
}

interface Copy {
  readonly table: Table;
  /** Condition of the one row. */
  readonly of: string;
  readonly count: number;
  /** SQL of the values that differ; `n` counts from 1. */
  readonly values: Readonly<Record<string, string>>;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
