import { expect } from "vitest";
import type { Budgets } from "#src/contract/budgets.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import {
  codeOf,
  pass,
  second,
  cancel,
  endsOf,
  Peer,
  stateOf,
  submit,
  submitOne,
  taskOf,
  ask,
  day,
  hour,
  minute,
  refused,
} from "#harness/coordinator/peers.ts";
import { taskTest } from "./rule-test.ts";

taskTest("failures wait for the doubled base up to the cap, then the task is dead", async ({ host, a }) => {
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

taskTest("jitter leaves half to all of the backoff, the same for the same task and attempt", async ({ host }) => {
  const a = await Peer.join(host, "a", { capacity: 30 });
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

taskTest("progress and checkpoint pass to the next attempt, however one ends", async ({ host, a }) => {
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

taskTest("a task that is given back with a delay is queued again after it, at no cost", async ({ host, a }) => {
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

taskTest("what nobody takes in time is dead, and nobody gets it before the alarm has rung", async ({ host, a }) => {
  const task = await submitOne(host, { scheduleToStartMs: minute });
  const late = await submitOne(host, { scheduleToStartMs: minute, delayMs: minute, priority: 1 });
  host.wait(minute - 1);
  const held = await a.take();
  await a.do("tasks.release", held, {});
  host.wait(minute);
  await a.beat();
  expect(await a.claim()).toEqual([]);
  await host.ring();
  expect(await stateOf(host, task)).toBe("dead expired");
  expect(await stateOf(host, late)).toBe("queued");
  await pass(host, minute);
  expect(await stateOf(host, late)).toBe("dead expired");
});

taskTest("an attempt that takes too long counts, however often it tells of itself", async ({ host, a }) => {
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

taskTest("a silent attempt stalls at no cost; after maxStalls the task is dead", async ({ host, a }) => {
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

taskTest("tasks of a silent chat are queued again; after maxLostChats dead", async ({ open }) => {
  const host = await open();
  const task = await submitOne(host, { heartbeatMs: hour, maxAttempts: 1 });
  for (const [at, expected] of ["queued", "queued", "dead poison"].entries()) {
    const hand = await Peer.join(host, `c${at}`);
    expect(await hand.take()).toMatchObject({ attempt: 1 });
    await pass(host, 29 * second);
    expect(await stateOf(host, task)).toBe("running");
    await pass(host, 2 * second);
    expect(await stateOf(host, task)).toBe(expected);
  }
  expect(await taskOf(host, task)).toMatchObject({ stalls: 0, failures: 0, lostChats: 3 });
  expect(await endsOf(host, task)).toEqual(["chat_offline", "chat_offline", "chat_offline"]);
});

taskTest("what was only assigned, and what a leaving chat had, costs the task nothing", async ({ host }) => {
  await ask(host, "settings.set", { settings: { maxLostChats: 1, startDeadlineMs: 600_000, chatTtlMs: 30_000 } });
  const [left, silent] = [await Peer.join(host, "left"), await Peer.join(host, "silent")];
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

taskTest("what does not run is cancelled at once, also when that is asked again", async ({ host, a }) => {
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

taskTest("a cancelled running task is named in the heartbeat and ends with its attempt", async ({ host }) => {
  const a = await Peer.join(host, "a", { capacity: 9 });
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

const plain = { baseMs: 2_000, capMs: 5_000, hasJitter: false };

async function limit(host: RuleHost, budgets: Partial<Budgets>): Promise<void> {
  await ask(host, "settings.set", { settings: { budgets } });
}

taskTest("what attempts tell is counted into the task, the chat and the day", async ({ host, a }) => {
  const [first, second] = await submit(host, { type: "x" }, { type: "x" });
  const [one, two] = await a.claim({ limit: 2 });
  if (!one || !two) throw new Error("two tasks were there");
  await a.do("tasks.heartbeat", one, { usage: { wallMs: 1_000, tokens: 50, costMicros: 7 } });
  await a.do("tasks.heartbeat", one, { usage: { wallMs: 3_000, tokens: 80, costMicros: 9 } });
  await a.do("tasks.ack", one, { usage: { wallMs: 4_000, tokens: 100, costMicros: 10 } });
  await a.do("tasks.nack", two, { reason: "broken", delayMs: 0, usage: { tokens: 5 } });
  const again = await a.take();
  await a.do("tasks.release", again, { usage: { tokens: 2 } });
  expect((await taskOf(host, first)).used).toEqual({ wallMs: 4_000, tokens: 100, costMicros: 10 });
  expect((await taskOf(host, second)).used).toEqual({ wallMs: 0, tokens: 7, costMicros: 0 });
  const all = { wallMs: 4_000, tokens: 107, costMicros: 10 };
  expect(await ask(host, "budgets.get", {})).toMatchObject({
    today: all,
    isDaySpent: false,
    chats: [{ chat: "a", used: all, isSpent: false }],
  });
});

taskTest("a report that comes again, or an older one that comes late, counts nothing twice", async ({ host, a }) => {
  const task = await submitOne(host);
  const held = await a.take();
  for (const [wallMs, tokens] of [10, 10, 40, 20].entries())
    await a.do("tasks.heartbeat", held, { usage: { tokens, wallMs } });
  expect((await taskOf(host, task)).used).toMatchObject({ tokens: 40, wallMs: 3 });
  await a.do("tasks.ack", held, { usage: { tokens: 40 } });
  await a.do("tasks.ack", held, { usage: { tokens: 40 } });
  expect((await taskOf(host, task)).used.tokens).toBe(40);
  expect((await ask(host, "budgets.get", {})).today.tokens).toBe(40);
});

taskTest("at its limit a task ends dead, its claim is over, and what it told last is kept", async ({ host, a }) => {
  const task = await submitOne(host, { budget: { costMicros: 2_000_000 } });
  const held = await a.take();
  expect(held.budget).toEqual({ wallMs: null, tokens: null, costMicros: 2_000_000 });
  expect(await a.do("tasks.heartbeat", held, { usage: { costMicros: 1_999_999 } })).toMatchObject({
    isOverBudget: false,
  });
  const over = { usage: { costMicros: 2_100_000 }, checkpoint: { session: "s" } };
  const beat = await a.do("tasks.heartbeat", held, over);
  expect(beat).toMatchObject({ isOverBudget: true, remainingMs: 0 });
  expect(beat.reason).toContain("2.10 USD of 2.00 USD");
  expect(await stateOf(host, task)).toBe("dead budget_exceeded");
  expect(await taskOf(host, task)).toMatchObject({ checkpoint: { session: "s" }, chat: null });
  expect(await endsOf(host, task)).toEqual(["budget_exceeded"]);
  expect(refused(await a.try("tasks.ack", held, {})).code).toBe("stale_claim");
});

taskTest("the limit counts all attempts, also failed and released ones", async ({ host, a }) => {
  await limit(host, { task: { tokens: 100 } });
  const [failing, released, done] = await submit(host, { type: "f" }, { type: "r" }, { type: "d" });
  const [one, two, three] = await a.claim({ limit: 3 });
  if (!one || !two || !three) throw new Error("three tasks were there");
  await a.do("tasks.nack", one, { reason: "broken", delayMs: 0, usage: { tokens: 60 } });
  const retried = await a.take();
  expect(retried.budget.tokens).toBe(40);
  await a.do("tasks.nack", retried, { reason: "broken", delayMs: 0, usage: { tokens: 40 } });
  await a.do("tasks.release", two, { usage: { tokens: 101 } });
  await a.do("tasks.ack", three, { usage: { tokens: 200 } });
  expect([await stateOf(host, failing), await stateOf(host, released), await stateOf(host, done)]).toEqual([
    "dead budget_exceeded",
    "dead budget_exceeded",
    "done",
  ]);
});

taskTest("a task released or failed after the day is used up waits", async ({ host, a, b }) => {
  await limit(host, { day: { tokens: 10 } });
  const [, failing, released] = await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
  const held = await a.take();
  const [one, two] = await b.claim({ limit: 2 });
  if (!one || !two) throw new Error("two tasks were left");
  await a.do("tasks.ack", held, { usage: { tokens: 10 } });
  await b.do("tasks.nack", one, { reason: "no network", delayMs: 0, usage: { tokens: 1 } });
  await b.do("tasks.release", two, { usage: {} });
  expect([await stateOf(host, failing), await stateOf(host, released)]).toEqual(["queued", "queued"]);
  await limit(host, { day: { tokens: 20 } });
  expect(await b.claim({ limit: 2 })).toHaveLength(2);
});

taskTest("a chat at its limit begins nothing; the lowest limit applies", async ({ host, a, b }) => {
  await limit(host, { chat: { tokens: 100 }, task: { tokens: 500, wallMs: hour } });
  await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
  const [held, assigned] = [await a.take(), await a.take({ isStarted: false })];
  expect(held.budget).toEqual({ wallMs: hour, tokens: 100, costMicros: null });
  expect(await a.do("tasks.heartbeat", held, { usage: { tokens: 100 } })).toMatchObject({ isOverBudget: true });
  expect(refused(await a.tryClaim()).code).toBe("budget_exceeded");
  expect(refused(await a.try("tasks.heartbeat", assigned, {})).code).toBe("budget_exceeded");
  expect((await a.do("tasks.release", assigned, {})).state).toBe("queued");
  expect(await b.claim({ limit: 2 })).toHaveLength(2);
  expect(await ask(host, "budgets.get", {})).toMatchObject({ chats: [{ chat: "a", isSpent: true }] });
});

taskTest("a task that is replayed begins anew with its budget", async ({ host, a }) => {
  const task = await submitOne(host, { budget: { tokens: 10 } });
  await a.do("tasks.heartbeat", await a.take(), { usage: { tokens: 10 } });
  await ask(host, "tasks.replay", { task });
  const held = await a.take();
  expect(held.budget.tokens).toBe(10);
  expect(await a.do("tasks.heartbeat", held, { usage: { tokens: 9 } })).toMatchObject({ isOverBudget: false });
});

taskTest("a change of one limit leaves the others; null takes one away", async ({ host }) => {
  await limit(host, { day: { tokens: 10, wallMs: 5_000 }, task: { costMicros: 7 } });
  await ask(host, "settings.set", { settings: { budgets: { day: { tokens: null, costMicros: 3 } } } });
  const { limits } = await ask(host, "budgets.get", {});
  expect(limits).toEqual({ day: { wallMs: 5_000, costMicros: 3 }, chat: {}, task: { costMicros: 7 } });
});

taskTest("at the day's limit no task begins until it is raised or UTC midnight", async ({ host, a, b }) => {
  await limit(host, { day: { costMicros: 1_000 } });
  await submit(host, ...Array.from({ length: 4 }, () => ({ type: "x", heartbeatMs: day, startToCloseMs: 3 * day })));
  const held = await a.take();
  await a.do("tasks.ack", held, { usage: { costMicros: 1_000 } });
  expect(refused(await b.tryClaim()).message).toContain("the workspace, today");
  expect((await ask(host, "budgets.get", {})).isDaySpent).toBe(true);
  await limit(host, { day: { costMicros: 1_500 } });
  const second = await b.take();
  const { state, next } = await b.do("tasks.ack", second, { usage: { costMicros: 500 }, next: {} });
  expect([state, next]).toEqual(["done", []]);
  const { dayEndsInMs } = await ask(host, "budgets.get", {});
  expect(dayEndsInMs).toBeGreaterThan(0);
  expect(dayEndsInMs).toBeLessThanOrEqual(day);
});
