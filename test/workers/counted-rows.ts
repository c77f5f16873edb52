import type { TestWorkspace } from "./support.ts";

/** Rows, index entries among them: what is billed. */
export interface Counted {
  readonly read: number;
  /** Setting the alarm counts as one. */
  readonly written: number;
}

/** What the work makes the object read and write. */
export async function counted(workspace: TestWorkspace, work: () => Promise<unknown>): Promise<Counted> {
  const cursors: { rowsRead: number; rowsWritten: number }[] = [];
  let alarms = 0;
  await workspace.inside(({ storage }) => {
    const { sql } = storage;
    const [exec, setAlarm] = [sql.exec.bind(sql), storage.setAlarm.bind(storage)];
    sql.exec = ((...given: Parameters<typeof exec>) => {
      const cursor = exec(...given);
      cursors.push(cursor);
      return cursor;
    }) as typeof sql.exec;
    storage.setAlarm = (...given) => {
      alarms += 1;
      return setAlarm(...given);
    };
  });
  await work();
  return workspace.inside(({ storage }) => {
    Reflect.deleteProperty(storage.sql, "exec");
    Reflect.deleteProperty(storage, "setAlarm");
    const read = cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    return { read, written: cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, alarms) };
  });
}
