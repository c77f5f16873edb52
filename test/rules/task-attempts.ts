import { expect } from "vitest";
import { codeOf, pass, second } from "#harness/coordinator/peers.ts";
import { ask, hour, minute } from "#harness/coordinator/state-calls.ts";
import { cancel, endsOf, Hand, stateOf, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

/** Rules of how attempts end, and what follows. */
export function taskAttemptRules(it: TaskTest): void {
  it("failures wait for the doubled base up to the cap, then the task is dead", async ({ host, a }) => {
    const task = await submitOne(host, { backoff: plain, maxAttempts: 4 });
    for (const [at, waitMs] of [2_000, 4_000, 5_000].entries()) {
      const held = await a.take();
      expect(held.attempt).toBe(at + 1);
      expect(await a.nack(held, { reason: `no ${at}` })).toBe("scheduled");
      expect(await taskOf(host, task)).toMatchObject({ dueInMs: waitMs, failures: at + 1, detail: `no ${at}` });
      await pass(host, waitMs - 1);
      expect(await a.claim()).toEqual([]);
      await pass(host, 1);
    }
    expect(await a.nack(await a.take(), { reason: "the last" })).toBe("dead");
    const dead = { state: "dead", reason: "failed", detail: "the last", failures: 4 };
    expect(await taskOf(host, task)).toMatchObject(dead);
    expect(await endsOf(host, task)).toEqual(["failed", "failed", "failed", "failed"]);
  });

  it("jitter leaves half to all of the backoff, the same for the same task and attempt", async ({ host }) => {
    const a = await Hand.join(host, "a", { capacity: 30 });
    const waits: number[] = [];
    for (let n = 0; n < 20; n++) {
      const task = await submitOne(host, { backoff: { baseMs: 10_000, capMs: 60_000 } });
      await a.nack(await a.take());
      waits.push((await taskOf(host, task)).dueInMs ?? 0);
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
    expect(new Set(waits).size).toBeGreaterThan(15);
  });

  it("a failure may name its own delay, or be the last", async ({ host, a }) => {
    const task = await submitOne(host);
    expect(await a.nack(await a.take(), { delayMs: 0 })).toBe("queued");
    expect(await a.nack(await a.take(), { delayMs: hour })).toBe("scheduled");
    expect((await taskOf(host, task)).dueInMs).toBe(hour);
    await pass(host, hour);
    await a.back();
    const other = await submitOne(host, { priority: 9 });
    expect(await a.nack(await a.take(), { isRetryable: false })).toBe("dead");
    expect([await stateOf(host, other), await stateOf(host, task)]).toEqual(["dead failed", "queued"]);
  });

  it("progress and checkpoint pass to the next attempt, however one ends", async ({ host, a }) => {
    const task = await submitOne(host, { maxAttempts: 9 });
    const progress = { percent: 10 };
    const first = await a.take();
    await a.do("tasks.heartbeat", first, { progress, checkpoint: { step: 1 } });
    await a.nack(first, { delayMs: 0 });
    const next = await a.take();
    expect(next).toMatchObject({ attempt: 2, progress, checkpoint: { step: 1 } });
    await a.do("tasks.release", next, {});
    const third = await a.take();
    expect(third).toMatchObject({ attempt: 2, progress, checkpoint: { step: 1 } });
    await a.do("tasks.heartbeat", third, { checkpoint: { step: 2 } });
    await a.leave();
    await a.back();
    expect(await a.take()).toMatchObject({ attempt: 2, progress, checkpoint: { step: 2 } });
    const { attempts } = await ask(host, "tasks.history", { task });
    expect(attempts.map(({ end, checkpoint }) => [end, checkpoint])).toEqual([
      ["chat_left", { step: 2 }],
      ["released", { step: 1 }],
      ["failed", { step: 1 }],
    ]);
  });

  it("a task that is given back with a delay is queued again after it, at no cost", async ({ host, a }) => {
    const task = await submitOne(host, { maxAttempts: 1 });
    for (let times = 0; times < 3; times++) {
      const given = await a.do("tasks.release", await a.take(), { reason: "its files are reserved", delayMs: minute });
      expect(given).toEqual({ state: "scheduled" });
      expect(await a.claim()).toEqual([]);
      await pass(host, minute);
      expect(await stateOf(host, task)).toBe("queued");
    }
    expect(await ask(host, "tasks.get", { task })).toMatchObject({ detail: "its files are reserved" });
    expect(await a.take()).toMatchObject({ attempt: 1, maxAttempts: 1 });
  });

  it("what nobody takes in time is dead, and nobody gets it before the alarm has rung", async ({ host, a }) => {
    const task = await submitOne(host, { scheduleToStartMs: minute });
    const late = await submitOne(host, { scheduleToStartMs: minute, delayMs: minute, priority: 1 });
    host.wait(minute - 1);
    const held = await a.take();
    await a.do("tasks.release", held, {});
    host.wait(minute);
    await a.beat();
    if (!host.sweepsFirst) expect(await a.claim()).toEqual([]);
    await host.ring();
    expect(await stateOf(host, task)).toBe("dead expired");
    expect(await stateOf(host, late)).toBe("queued");
    await pass(host, minute);
    expect(await stateOf(host, late)).toBe("dead expired");
  });

  it("an attempt that takes too long counts, however often it tells of itself", async ({ host, a }) => {
    const task = await submitOne(host, { startToCloseMs: 2 * minute, maxAttempts: 2, backoff: plain });
    for (const expected of ["scheduled", "dead failed"]) {
      const held = await a.take();
      for (let n = 0; n < 5; n++) {
        await pass(host, 20 * second);
        await a.do("tasks.heartbeat", held, {});
      }
      await pass(host, 20 * second - 1);
      await a.do("tasks.heartbeat", held, {});
      host.wait(1);
      expect(codeOf(await a.try("tasks.ack", held, {}))).toBe("stale_claim");
      await host.ring();
      expect(await stateOf(host, task)).toBe(expected);
      await pass(host, 2 * second);
      await a.beat();
    }
    expect(await endsOf(host, task)).toEqual(["timeout", "timeout"]);
  });

  it("a silent attempt stalls at no cost; after maxStalls the task is dead", async ({ host, a }) => {
    const task = await submitOne(host, { heartbeatMs: minute, maxAttempts: 1 });
    for (const expected of ["queued", "queued", "dead poison"]) {
      const held = await a.take();
      expect(held.attempt).toBe(1);
      await pass(host, minute - 1);
      await a.do("tasks.heartbeat", held, {});
      await pass(host, minute - 1);
      expect(await stateOf(host, task)).toBe("running");
      host.wait(1);
      expect(codeOf(await a.try("tasks.heartbeat", held, {}))).toBe("stale_claim");
      await host.ring();
      expect(await stateOf(host, task)).toBe(expected);
    }
    expect(await taskOf(host, task)).toMatchObject({ stalls: 3, failures: 0, lostChats: 0 });
  });

  it("tasks of a silent chat are queued again; after maxLostChats dead", async ({ open }) => {
    const host = await open();
    const task = await submitOne(host, { heartbeatMs: hour, maxAttempts: 1 });
    for (const [at, expected] of ["queued", "queued", "dead poison"].entries()) {
      const hand = await Hand.join(host, `c${at}`);
      expect(await hand.take()).toMatchObject({ attempt: 1 });
      await pass(host, 29 * second);
      expect(await stateOf(host, task)).toBe("running");
      await pass(host, 2 * second);
      expect(await stateOf(host, task)).toBe(expected);
    }
    expect(await taskOf(host, task)).toMatchObject({ stalls: 0, failures: 0, lostChats: 3 });
    expect(await endsOf(host, task)).toEqual(["chat_offline", "chat_offline", "chat_offline"]);
  });

  it("what was only assigned, and what a leaving chat had, costs the task nothing", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxLostChats: 1, startDeadlineMs: 600_000, chatTtlMs: 30_000 } });
    const [left, silent] = [await Hand.join(host, "left"), await Hand.join(host, "silent")];
    const [one, two] = [await submitOne(host), await submitOne(host, { priority: 1 })];
    await left.take();
    await silent.take({ isStarted: false });
    await left.leave();
    expect(await stateOf(host, one)).toBe("queued");
    expect(await stateOf(host, two)).toBe("assigned");
    await pass(host, 31 * second);
    for (const task of [one, two]) {
      expect(await taskOf(host, task)).toMatchObject({ state: "queued", lostChats: 0, failures: 0 });
    }
    expect([await endsOf(host, one), await endsOf(host, two)]).toEqual([["chat_left"], ["not_started"]]);
  });

  it("a death attested on the chat's machine gives back at once", async ({ host, a }) => {
    const task = await submitOne(host);
    await a.take();
    const { chat, machine, process } = a.registration;
    await host.call("chats.attest-death", { chat, machine, process }, a.actor);
    expect(await taskOf(host, task)).toMatchObject({ state: "queued", chat: null, lostChats: 1 });
  });

  it("what does not run is cancelled at once, also when that is asked again", async ({ host, a }) => {
    const assigned = await submitOne(host, { priority: 9 });
    const held = await a.take({ isStarted: false });
    const tasks = [await submitOne(host), await submitOne(host, { delayMs: minute }), assigned];
    for (const task of tasks) {
      expect(await cancel(host, task)).toBe("cancelled");
      expect(await cancel(host, task, "again")).toBe("cancelled");
      expect(await taskOf(host, task)).toMatchObject({ state: "cancelled", detail: "not wanted", chat: null });
    }
    expect(codeOf(await a.try("tasks.heartbeat", held, {}))).toBe("stale_claim");
    expect(await a.claim()).toEqual([]);
  });

  it("a cancelled running task is named in the heartbeat and ends with its attempt", async ({ host }) => {
    const a = await Hand.join(host, "a", { capacity: 9 });
    for (const end of ["ack", "nack", "release", "silence"] as const) {
      const task = await submitOne(host, { heartbeatMs: minute });
      const held = await a.take();
      expect(await cancel(host, task)).toBe("running");
      expect(await cancel(host, task, "again")).toBe("running");
      expect(await a.do("tasks.heartbeat", held, {})).toMatchObject({ isCancelled: true, reason: "not wanted" });
      expect(await taskOf(host, task)).toMatchObject({ state: "running", isCancelAsked: true });
      if (end === "ack") expect(await a.ack(held, 1)).toBe("done");
      if (end === "nack") expect([await a.nack(held), await a.nack(held)]).toEqual(["cancelled", "cancelled"]);
      if (end === "release") expect((await a.do("tasks.release", held, {})).state).toBe("cancelled");
      if (end === "silence") await pass(host, minute);
      expect(await stateOf(host, task)).toBe(end === "ack" ? "done" : "cancelled");
      expect(await cancel(host, task)).toBe(end === "ack" ? "done" : "cancelled");
    }
  });
}

const plain = { baseMs: 2_000, capMs: 5_000, hasJitter: false };
