import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { readTaskEnds } from "#src/coordinator-client/local/task-ends.ts";
import { migrations } from "#src/coordination/schema.ts";
import { createPrivateFile } from "#src/platform/private-files.ts";
import { migrate } from "#src/shared/migrate.ts";
import { connect } from "#src/store/connect.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Connection } from "#src/store/driver.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { pass } from "#harness/coordinator/peers.ts";
import { ask, day, hour, minute } from "#harness/coordinator/state-calls.ts";
import { calm, Hand } from "#harness/coordinator/task-calls.ts";
import { tempHome, T0 } from "#harness/store/temp-store.ts";

/** A workspace with tasks in every state, as a program with schema 8 stored them. */
function storeOldTasks(sql: Connection): void {
  migrate(sql, T0, migrations.slice(0, 8));
  const task = (number: number, columns: Record<string, string | number | null>, dependsOn = "[]"): void => {
    const defaults = {
      type: "x",
      lane: "x",
      priority: 5,
      depth: 0,
      tags: "[]",
      on_death: "fail",
      max_attempts: 3,
      base_ms: 0,
    };
    const times = { cap_ms: 0, has_jitter: 0, close_ms: hour, heartbeat_ms: 10 * minute, at: T0, not_before: T0 };
    const row = { task: number, ...defaults, ...times, ...columns };
    const names = Object.keys(row);
    sql.run(`INSERT INTO tasks (${names.join()}) VALUES (${names.map(() => "?").join()})`, ...Object.values(row));
    const payload = JSON.stringify({ number, text: "x".repeat(number === 3 ? 5_000 : 5) });
    sql.run("INSERT INTO task_texts (task, payload, depends_on) VALUES (?, ?, ?)", number, payload, dependsOn);
  };
  sql.run(
    `INSERT INTO chats (chat, session, process, incarnation, machine, client, role, is_interactive, status, status_at, last_seen_at,
       is_connected, capabilities, capacity, metadata, due_at)
     VALUES ('a', 's', 'p', 1, 'm1', 'test', 'worker', 0, 'active', ?, ?, 0, '[]', 10, '{}', ?)`,
    T0,
    T0,
    T0 + 9 * minute,
  );
  const held = { chat: "a", incarnation: 1, queued_at: T0, assigned_at: T0, claim: 1 };
  task(1, {
    state: "done",
    claim: 1,
    queued_at: T0,
    assigned_at: T0,
    started_at: T0,
    ended_at: T0,
    due_at: T0 + 2 * day,
  });
  sql.run(
    `INSERT INTO attempts (task, claim, attempt, chat, incarnation, queued_at, assigned_at, started_at, ended_at, ended, became, result)
     VALUES (1, 1, 1, 'a', 1, ?, ?, ?, ?, 'done', 'done', '{"old":true}')`,
    T0,
    T0,
    T0,
    T0,
  );
  task(2, {
    ...held,
    state: "running",
    request_id: "r",
    started_at: T0,
    seen_at: T0,
    close_at: T0 + 5 * minute,
    due_at: T0 + 5 * minute,
  });
  task(3, { state: "queued", queued_at: T0 }, "[1]");
  task(4, { state: "scheduled", due_at: T0 + 20 * minute });
  task(5, { state: "blocked", depth: 1 }, "[2]");
  sql.run("INSERT INTO task_dependents (needs, task) VALUES (1, 3), (2, 5)");
  task(6, { state: "dead", reason: "failed", failures: 3, ended_at: T0, due_at: T0 + 3 * day });
}

const open = (): Promise<LocalHost> => calm(async () => new LocalHost(openBetterSqlite3, storeOldTasks));

it("[TA44] tasks of an older program keep their payload, result and attempts", async () => {
  const host = await open();
  const a = await Hand.join(host, "b", { capacity: 5 });
  expect(await ask(host, "tasks.get", { task: 1 })).toMatchObject({ result: { old: true }, payload: { number: 1 } });
  expect((await ask(host, "tasks.history", { task: 1 })).attempts).toMatchObject([
    { chat: "a", end: "done", lateCalls: 0 },
  ]);
  const again = { self: { chat: "a", incarnation: 1 }, task: 1, claim: 1, result: null };
  expect(await ask(host, "tasks.ack", again)).toEqual({ state: "done", next: [] });
  const [claimed] = await a.claim({ limit: 5 });
  expect(claimed).toMatchObject({
    task: 3,
    payload: { number: 3, text: "x".repeat(5_000) },
    inputs: [{ task: 1, result: { old: true } }],
  });
});

it("[TA44] [TA16] a task that a chat held at the change times out when it would have", async () => {
  const host = await open();
  await ask(host, "chats.heartbeat", { self: { chat: "a", incarnation: 1 } });
  host.wait(5 * minute);
  await host.ring();
  expect(await ask(host, "tasks.history", { task: 2 })).toMatchObject({
    attempts: [{ end: "timeout", state: "queued" }],
  });
  host.wait(15 * minute);
  await host.ring();
  expect((await ask(host, "tasks.get", { task: 4 })).state).toBe("queued");
});

it("[TA44] [TA42] the ended ones are pruned in their time, and no row of them is left", async () => {
  const host = await open();
  await pass(host, day);
  const b = await Hand.join(host, "b", { capacity: 5 });
  for (const held of await b.claim({ limit: 5 })) await b.ack(held, { long: "y".repeat(5_000) });
  for (const held of await b.claim({ limit: 5 })) await b.ack(held);
  expect((await ask(host, "tasks.get", { task: 3 })).result).toMatchObject({ long: "y".repeat(5_000) });
  await pass(host, 60 * day);
  for (const table of ["tasks", "task_texts", "attempts", "task_dependents", "task_prunes"]) {
    expect([table, await host.rows(`SELECT * FROM ${table}`)]).toEqual([table, []]);
  }
});

it("[RE70] [TA44] a hook reads who has done a task from a file of either schema", () => {
  const { home } = tempHome();
  mkdirSync(join(home, "coordination"), { recursive: true });
  const path = join(home, "coordination", "coordination.db");
  createPrivateFile(path);
  const sql = connect(openBetterSqlite3, path, 0);
  onTestFinished(() => sql.close());
  storeOldTasks(sql);
  const read = (): unknown => [...readTaskEnds({ home, driver: openBetterSqlite3, busyMs: 0 }, [1, 2])];
  const ends = [[1, { state: "done", by: "a" }]];
  expect(read()).toEqual(ends);
  migrate(sql, T0, migrations);
  expect(read()).toEqual(ends);
});
