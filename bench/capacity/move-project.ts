/** A project goes from one object to another between two events: its tasks and its keys, row by row, none twice and none lost. */
import type { Workspace } from "./workspace.ts";

const rowsPerPage = 1_000;

export interface Move {
  readonly tasks: number;
  /** Ms of the processor, in which the project is frozen. */
  readonly busy: number;
}

const types = 40;

export function kindOf(project: number): { type: string; tags: string[] } {
  return { type: `type-${project % types}`, tags: [`project-${project}`] };
}

export function keyOf(project: number, key: number): string {
  return `project/${project}/${key}`;
}

/** The new epoch is above those of all objects where the time is, by a minute, after the last move: no number comes twice. */
export function moveProject(from: Workspace, to: Workspace, project: number): Move {
  const before = from.busy + to.busy;
  to.call("epoch.raise", { reason: `project ${project} moves here`, quietMs: 0 });
  const tasks = moveTasks(from, to, JSON.stringify(kindOf(project).tags));
  moveKeys(from, to, `project/${project}/`);
  return { tasks, busy: from.busy + to.busy - before };
}

type Row = Readonly<Record<string, string | number | null>>;

/** Tasks have no index by their project: one walk over all of the object's reads those of the project. */
function moveTasks(from: Workspace, to: Workspace, tags: string): number {
  let count = 0;
  for (let last = 0; ;) {
    const text = from.event(() => JSON.stringify(pageOf(from, tags, last)));
    const rows = JSON.parse(text) as readonly Row[];
    to.event(() => insert(to, rows));
    count += rows.length;
    last = Number(rows.at(-1)?.["task"] ?? last);
    from.event(() =>
      remove(
        from,
        rows.map(({ task }) => Number(task)),
      ),
    );
    if (rows.length < rowsPerPage) return count;
  }
}

function pageOf({ sql }: Workspace, tags: string, after: number): Row[] {
  const query = "SELECT * FROM tasks WHERE task > ? AND tags = ? ORDER BY task LIMIT ?";
  return sql.all<Row>(query, after, tags, rowsPerPage);
}

function insert({ sql }: Workspace, rows: readonly Row[]): void {
  for (const row of rows) {
    const names = Object.keys(row);
    const query = `INSERT INTO tasks (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
    sql.run(query, ...Object.values(row));
  }
}

/** Without the floor the object would give the numbers of its newest tasks again. */
function remove({ sql }: Workspace, numbers: readonly number[]): void {
  sql.run("DELETE FROM tasks WHERE task IN (SELECT value FROM json_each(?))", JSON.stringify(numbers));
  const query = `INSERT INTO meta (key, value) VALUES ('task_floor', ?)
    ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))`;
  sql.run(query, String(Math.max(0, ...numbers)));
}

/** A project of the bench has at most fifty. */
function moveKeys(from: Workspace, to: Workspace, prefix: string): void {
  const { entries } = from.call("state.list", { prefix, limit: 100 });
  if (entries.length === 0) return;
  to.call("state.update", { writes: entries.map(({ key, value }) => ({ op: "set" as const, key, value })) });
  from.call("state.update", { writes: entries.map(({ key }) => ({ op: "delete" as const, key })) });
}
