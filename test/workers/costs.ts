import { expect } from "vitest";
import type { InputOf, OperationName } from "#src/contract/operations.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { Connection } from "./connection.ts";
import { type Self, stopClock, TestWorkspace } from "./support.ts";

/** What one participant stores makes no operation of another one dearer: rows that are read, so not by the clock. */

export interface Place {
  readonly workspace: TestWorkspace;
  readonly connection: Connection;
  readonly self: Self;
}

async function place(settings: Partial<Settings> = {}): Promise<Place> {
  stopClock();
  const workspace = await TestWorkspace.create();
  await workspace.ask("settings.set", {
    settings: { chatTtlMs: 600_000, maxOperationsPerSecond: 1_000_000, ...settings },
  });
  return { workspace, ...(await workspace.join("own", { capacity: 100 })) };
}

type Call<Name extends OperationName = OperationName> = { readonly method: Name; readonly params: InputOf<Name> };

/** Many requests, a frame for each hundred. */
export async function all({ connection }: Place, calls: readonly Call[]): Promise<void> {
  for (let from = 0; from < calls.length; from += 100) {
    const frame = calls
      .slice(from, from + 100)
      .map((call, at) => Object.assign({ jsonrpc: "2.0", id: from + at }, call));
    connection.send(frame);
    const answers = await answersOf(connection);
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
  }
}

/** Of the next frame with many; what is told of itself comes between. */
async function answersOf(connection: Connection): Promise<{ error?: unknown }[]> {
  for (;;) {
    const frame = JSON.parse(await connection.text()) as unknown;
    if (Array.isArray(frame)) return frame as { error?: unknown }[];
  }
}

export function times<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at));
}

/** Rows that each of the works reads, where there is so much of something. */
export async function reads(
  fill: (at: Place, count: number) => Promise<void>,
  works: Record<string, (at: Place) => Promise<unknown>>,
  counts: readonly number[],
  settings: Partial<Settings> = {},
): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const count of counts) {
    const at = await place(settings);
    await fill(at, count);
    for (const [name, work] of Object.entries(works)) {
      const { read } = await counted(at.workspace, () => work(at));
      (found[name] ??= []).push(read);
    }
  }
  return found;
}

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
