import { expect } from "vitest";
import { codeOf, pass, second, successorOf } from "#harness/coordinator/peers.ts";
import { ask, hour, minute } from "#harness/coordinator/state-calls.ts";
import { endsOf, Hand, stateOf, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

/** Rules of what a chat does with a task that it has, or had. */
export function taskHoldRules(it: TaskTest): void {
  it("[TA5] calls with an older claim, of another chat or process are refused", async ({ host, a, b }) => {
    const task = await submitOne(host);
    const old = await a.take();
    expect(codeOf(await b.try("tasks.ack", old, { result: 1 }))).toBe("stale_claim");
    expect((await a.do("tasks.release", old, {})).state).toBe("queued");
    const present = await b.take();
    expect(present.claim).toBeGreaterThan(old.claim);
    expect(codeOf(await a.try("tasks.ack", old, { result: 1 }))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.heartbeat", old, {}))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.extend", old, { ms: 1_000 }))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.start", old, {}))).toBe("stale_claim");
    expect(codeOf(await b.try("tasks.ack", { task, claim: present.claim + 1 }, {}))).toBe("stale_claim");
    expect(codeOf(await b.try("tasks.ack", { task: task + 1, claim: 1 }, {}))).toBe("unknown_task");
    expect(await b.ack(present, "b")).toBe("done");
    expect(await taskOf(host, task)).toMatchObject({ state: "done", result: "b" });
  });

  it("[TA40] late reports are counted with their attempt, and by its chat only", async ({ host, a, b }) => {
    const task = await submitOne(host);
    const held = await a.take();
    await a.do("tasks.release", held, {});
    const late = async (): Promise<number[]> =>
      (await ask(host, "tasks.history", { task })).attempts.map(({ lateCalls }) => lateCalls);
    await a.do("tasks.release", held, {});
    expect(await late()).toEqual([0]);
    expect(codeOf(await a.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.heartbeat", held, {}))).toBe("stale_claim");
    expect(codeOf(await b.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.ack", { task, claim: held.claim + 1 }, {}))).toBe("stale_claim");
    expect(await late()).toEqual([2]);
  });

  it("[TA5] the claims of a process that was replaced are over", async ({ host, a }) => {
    const task = await submitOne(host);
    const held = await a.take();
    await a.leave();
    const next = new Hand(host, "a", successorOf(a).registration);
    await next.back();
    expect(codeOf(await a.try("tasks.ack", held, {}))).toBe("chat_replaced");
    expect(codeOf(await next.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect((await next.take()).task).toBe(task);
  });

  it("[TA6] a repeated release or failure under one claim is counted once", async ({ host, a }) => {
    const task = await submitOne(host);
    const first = await a.take();
    for (let times = 0; times < 3; times++) expect(await a.nack(first, { delayMs: 5 * second })).toBe("scheduled");
    await pass(host, 5 * second);
    const next = await a.take();
    expect(next.attempt).toBe(2);
    expect(await a.nack(first)).toBe("scheduled");
    for (let times = 0; times < 3; times++) expect((await a.do("tasks.release", next, {})).state).toBe("queued");
    expect((await a.take()).attempt).toBe(2);
    expect(await endsOf(host, task)).toEqual(["failed", "released"]);
    expect(await stateOf(host, task)).toBe("running");
  });

  it("[TA16] an assigned task begins by a start or any work, or is queued at its deadline", async ({ host, a }) => {
    const task = await submitOne(host, { startToCloseMs: hour });
    const assigned = await a.take({ isStarted: false });
    expect(assigned).toMatchObject({ isStarted: false, startInMs: 30 * second, remainingMs: hour });
    expect(await stateOf(host, task)).toBe("assigned");
    await pass(host, 30 * second - 1);
    expect(await stateOf(host, task)).toBe("assigned");
    await pass(host, 1);
    expect(await taskOf(host, task)).toMatchObject({ state: "queued", failures: 0, lostChats: 0, stalls: 0 });
    expect(codeOf(await a.try("tasks.start", assigned, {}))).toBe("stale_claim");
    const again = await a.take({ isStarted: false });
    host.wait(10 * second);
    expect(await a.do("tasks.start", again, {})).toEqual({ remainingMs: hour });
    host.wait(10 * second);
    expect(await a.do("tasks.start", again, {})).toEqual({ remainingMs: hour - 10 * second });
    expect(await endsOf(host, task)).toEqual(["not_started"]);
  });

  it("[TA17] a heartbeat stores progress and checkpoint; an extension is a minimum", async ({ host, a }) => {
    const task = await submitOne(host, { startToCloseMs: 10 * minute });
    const held = await a.take();
    host.wait(minute / 2);
    const progress = { percent: 40, note: "half", data: { files: ["a"] } };
    const beat = await a.do("tasks.heartbeat", held, { progress, checkpoint: { at: 7 } });
    expect(beat).toEqual({ isCancelled: false, isOverBudget: false, reason: null, remainingMs: 9.5 * minute });
    expect(await taskOf(host, task)).toMatchObject({ progress, checkpoint: { at: 7 } });
    expect(await a.do("tasks.extend", held, { ms: minute })).toEqual({ remainingMs: 9.5 * minute });
    for (let times = 0; times < 2; times++) {
      expect(await a.do("tasks.extend", held, { ms: hour })).toEqual({ remainingMs: hour });
    }
    await a.do("tasks.heartbeat", held, {});
    expect(await taskOf(host, task)).toMatchObject({ progress, checkpoint: { at: 7 } });
  });
}
