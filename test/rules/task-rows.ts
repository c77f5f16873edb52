import { expect } from "vitest";
import type { Hint } from "#src/coordination/kernel/tx.ts";
import { pass } from "#harness/coordinator/peers.ts";
import { type RuleHost, type OpenHost } from "#harness/coordinator/engine-host.ts";
import { ask, day, hour, minute, refusal, rowsWritten } from "#harness/coordinator/state-calls.ts";
import { cancel, Hand, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import { taskTest, type TaskRowTest } from "./rule-test.ts";

/** Rules of tasks that can only be seen in rows. */
export function taskRowRules(it: TaskRowTest): void {
  it("of more tasks than a workspace keeps the oldest that have ended go at the full hour", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxTasks: 10 } });
    const a = await Hand.join(host, "a", { capacity: 50 });
    const kept = await submit(host, { type: "old", ref: "old" }, { type: "x", dependsOn: ["old"] });
    await submit(host, ...Array.from({ length: 12 }, () => ({ type: "y" })));
    for (const held of await a.claim({ types: ["y"], limit: 20 })) await a.ack(held);
    const count = async (): Promise<number> => (await host.rows("SELECT 1 FROM tasks")).length;
    expect(await count()).toBe(14);
    await pass(host, hour);
    expect(await count()).toBe(10);
    for (const task of kept) expect(await stateOf(host, task)).not.toContain("done");
    const refused = (length: number) =>
      refusal(host, "tasks.submit", { tasks: Array.from({ length }, () => ({ type: "z" })) });
    expect(await refused(11)).toMatchObject({ code: "quota_exceeded" });
    await submit(host, ...Array.from({ length: 10 }, () => ({ type: "z" })));
    for (let times = 0; times < 2; times++) expect(await refused(1)).toMatchObject({ code: "quota_exceeded" });
    await pass(host, hour);
    // What has not ended stays.
    expect(await count()).toBe(12);
    await submit(host, ...Array.from({ length: 8 }, () => ({ type: "z" })));
  });

  it("needed tasks keep their time and place among older ones", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxTasks: 110 } });
    const a = await Hand.join(host, "a", { capacity: 50 });
    const old = await submit(host, ...Array.from({ length: 101 }, () => ({ type: "old", maxAttempts: 1 })));
    for (const _ of old) await a.nack(await a.take());
    const shared = { type: "later", onDependencyDeath: "ignore" as const, delayMs: day };
    const needing = old.map((task) => Object.assign({ dependsOn: [task] }, shared));
    const later = await submit(host, ...needing.slice(0, 60));
    const more = await submit(host, ...needing.slice(60));
    const [young] = await submit(host, { type: "young" });
    await a.ack(await a.take({ types: ["young"] }));
    await pass(host, hour);
    expect(await host.call("tasks.get", { task: young })).toMatchObject({ ok: false });
    for (const task of [...later, ...more]) await ask(host, "tasks.cancel", { task, reason: "not wanted" });
    await pass(host, 3 * day);
    // Dead letters are kept longer than that.
    expect(await stateOf(host, old[0] ?? 0)).toBe("dead failed");
  });

  it("a heartbeat without news writes a row in each third of the allowed silence", async ({ host, a }) => {
    await submitOne(host, { heartbeatMs: minute, startToCloseMs: hour });
    const held = await a.take();
    const rows = await rowsWritten(host, async () => {
      for (let n = 0; n < 60; n++) {
        host.wait(2_000);
        await a.do("tasks.heartbeat", held, {});
      }
    });
    expect(rows).toBe(6);
    await ask(host, "tasks.cancel", { task: held.task, reason: "not wanted" });
    expect(await rowsWritten(host, () => a.do("tasks.heartbeat", held, {}))).toBe(0);
  });

  it("of a task that is pruned no row is left, in whatever table", async ({ host, a }) => {
    const after = { type: "y", dependsOn: ["r"], parent: "r" };
    const [first] = await submit(host, { type: "x", ref: "r", dedupeKey: "k" }, after);
    await a.nack(await a.take(), { delayMs: 0 });
    await a.ack(await a.take(), "result");
    await a.ack(await a.take());
    await submitOne(host, { dependsOn: [first], onDependencyDeath: "ignore" });
    await a.ack(await a.take());
    await pass(host, 40 * day);
    for (const table of ["tasks", "task_texts", "attempts", "task_dependents", "task_dedupe"]) {
      expect([table, await host.rows(`SELECT * FROM ${table}`)]).toEqual([table, []]);
    }
    expect(await host.rows("SELECT value FROM meta WHERE key = 'task_floor'")).toEqual([{ value: String(first + 2) }]);
  });

  it("progress counts the newest hundred thousand", async ({ host, a }) => {
    const [parent] = await submit(host, { type: "x", ref: "p" }, { type: "x" }, { type: "x", delayMs: day });
    await a.take();
    await host.run(
      `INSERT INTO tasks (task, type, lane, priority, state, parent, depth, tags, onDeath, maxAttempts, baseMs, capMs, hasJitter, closeMs,
         heartbeatMs, at, notBefore)
       WITH RECURSIVE n (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM n WHERE n < 100009)
       SELECT ? + n, 'x', 'x', 5, 'done', ?, 0, '[]', 'fail', 3, 0, 0, 0, 1000, 1000, 0, 0 FROM n`,
      parent,
      parent,
    );
    await host.run("UPDATE tasks SET parent = NULL WHERE task = ?", parent + 11);
    const all = { completedTasks: 99_999, inProgressTasks: 0, queuedTasks: 0, activeChats: 0, isAll: true };
    expect(await ask(host, "tasks.progress", { parent })).toEqual({ ...all, totalTasks: 99_999 });
    expect(await ask(host, "tasks.progress", {})).toEqual({
      totalTasks: 100_000,
      completedTasks: 100_000,
      inProgressTasks: 0,
      queuedTasks: 0,
      activeChats: 1,
      isAll: false,
    });
    const [plan] = await host.rows<{ detail: string }>(
      "EXPLAIN QUERY PLAN SELECT count(DISTINCT chat) FROM tasks WHERE chat IS NOT NULL",
    );
    expect(plan?.detail).toMatch(/USING (COVERING )?INDEX tasks_chat/);
  });

  it("a claim looks at the heads of lanes only, however many wait", async ({ host }) => {
    const plans = await Promise.all(
      [
        "SELECT min(lane) FROM tasks WHERE state = 'queued' AND lane > ? AND lane < ?",
        "SELECT task FROM tasks WHERE state = 'queued' AND lane = ? ORDER BY priority DESC, task LIMIT 1",
        "SELECT min(dueAt) FROM tasks WHERE state IN ('scheduled', 'queued') AND dueAt IS NOT NULL",
        "SELECT task FROM tasks WHERE state IN ('scheduled', 'queued') AND dueAt <= ? ORDER BY dueAt, task LIMIT 1",
        "SELECT * FROM tasks WHERE chat = ? ORDER BY task",
      ].map((query) => host.rows<{ detail: string }>(`EXPLAIN QUERY PLAN ${query.replaceAll("?", "''")}`)),
    );
    for (const plan of plans) {
      expect(plan.map(({ detail }) => detail).join()).toMatch(
        /^SEARCH tasks USING (COVERING )?INDEX tasks_\w+ \(\w+[^)]*\)$/,
      );
    }
  });

  it("a task whose turn fails is put off for a minute, and keeps no other from its turn", async ({ host }) => {
    const [bad, good] = await submit(host, { type: "x", delayMs: minute }, { type: "x", delayMs: minute });
    await host.run("UPDATE tasks SET joinRule = 'collect', dependsOn = 'no JSON' WHERE task = ?", bad);
    host.wait(minute);
    expect(await host.sweep(100)).toEqual([expect.stringMatching(new RegExp(`^task ${bad}: `))]);
    const rows = await host.rows("SELECT state, dueAt FROM tasks ORDER BY task");
    expect(rows).toEqual([
      { state: "scheduled", dueAt: host.now() + minute },
      { state: "queued", dueAt: null },
    ]);
    expect(await host.sweep(100)).toEqual([]);
    expect((await taskOf(host, good)).state).toBe("queued");
  });

  it("an alarm checks a running task when due, and writes one row", async ({ host, a }) => {
    await submitOne(host, { heartbeatMs: minute, startToCloseMs: hour });
    const held = await a.take();
    host.wait(50_000);
    await a.do("tasks.heartbeat", held, {});
    host.wait(10_000);
    expect(await rowsWritten(host, () => host.ring())).toBe(1);
    expect(await host.ring()).toBe(host.now() + 50_000);
  });
}

/** What a host of this process is told to hand on. */
export function taskHintRules(open: OpenHost<RuleHost & { readonly hints: Hint[] }>): void {
  const it = taskTest(open);
  it("a hint tells the host of whose task was cancelled", async ({ host, a }) => {
    const hinted = (): Hint[] => host.hints.splice(0).filter(({ kind }) => kind === "task");
    hinted();
    const task = await submitOne(host);
    expect(hinted()).toEqual([]);
    await submitOne(host, { delayMs: minute });
    const held = await a.take();
    await a.do("tasks.heartbeat", held, {});
    expect(hinted()).toEqual([]);
    await cancel(host, task);
    expect(hinted()).toEqual([{ kind: "task", chat: "a" }]);
    await a.ack(held);
    await pass(host, minute);
    expect(hinted()).toEqual([]);
  });
}
