import { expect } from "vitest";
import { codeOf, Peer, ask, refusal, refused } from "#harness/coordinator/peers.ts";
import { endsOf, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/tasks.ts";
import { pass, second, hour, minute, day } from "#harness/coordinator/times.ts";
import { rowsWritten } from "#harness/coordinator/views.ts";
import { taskTest } from "./rule-test.ts";
import type { Budgets } from "#src/contract/budgets.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";

taskTest("what is submitted is there with what it was given, in the order of the numbers", async ({ host }) => {
  const payload = { text: "é", of: [1, null, { deep: true }] };
  const [first, second_] = await submit(
    host,
    { type: "build", payload, priority: 9, capabilities: ["gpu", "arm"], affinity: "c9", tags: ["t"] },
    { type: "test", delayMs: minute },
  );
  expect(second_ - first).toBe(1);
  const as = { type: "build", payload, priority: 9, capabilities: ["arm", "gpu"], affinity: "c9", tags: ["t"] };
  const usual = { state: "queued", maxAttempts: 3, failures: 0, chat: null, result: null, dueInMs: null };
  expect(await taskOf(host, first)).toMatchObject({ task: first, ...as, ...usual });
  expect(await taskOf(host, second_)).toMatchObject({ state: "scheduled", dueInMs: minute, payload: null });
});

taskTest("a submit with anything wrong in it is refused whole", async ({ host }) => {
  for (const bad of [
    { type: "two words" },
    { type: "a", priority: 10 },
    { type: "a", payload: "x".repeat(65_536) },
    { type: "a", startToCloseMs: 8 * 24 * hour },
    { type: "a", maxAttempts: 21 },
    { type: "a", dependsOn: ["nowhere"] },
    { type: "a", ref: "twice" },
  ]) {
    const tasks = [{ type: "good", ref: "twice" }, bad];
    expect((await refusal(host, "tasks.submit", { tasks })).code).toBe("bad_input");
  }
  expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
});

taskTest("one task is claimed by one chat, with all that it needs", async ({ host, a, b }) => {
  const task = await submitOne(host, { payload: { n: 1 }, priority: 7, startToCloseMs: hour, heartbeatMs: minute });
  const claimed = await a.take();
  const given = { task, attempt: 1, maxAttempts: 3, type: "build", priority: 7, payload: { n: 1 }, inputs: [] };
  const times = { isStarted: true, startInMs: null, remainingMs: hour, heartbeatMs: minute };
  expect(claimed).toMatchObject({ ...given, ...times, progress: null, checkpoint: null });
  expect(await b.claim()).toEqual([]);
  expect(await taskOf(host, task)).toMatchObject({ state: "running", chat: "a" });
  expect(await a.ack(claimed, { ok: [1] })).toBe("done");
  expect(await taskOf(host, task)).toMatchObject({ state: "done", chat: null, result: { ok: [1] } });
  expect(await b.claim()).toEqual([]);
  await submit(host, { type: "x" }, { type: "x" }, { type: "x" }, { type: "x" });
  // Its capacity.
  expect(await a.claim({ limit: 9 })).toHaveLength(3);
});

taskTest("a repeated end claims nothing new", async ({ host, a }) => {
  await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
  const held = await a.take();
  const done = { result: 1, next: { limit: 1 } };
  const { next } = await a.do("tasks.ack", held, done);
  expect(await a.do("tasks.ack", held, done)).toEqual({ state: "done", next });
  for (const one of next) await a.ack(one);
  expect(await a.do("tasks.ack", held, done)).toEqual({ state: "done", next: [] });
});

taskTest("tasks come by ability, priority, then number; own affinity first among equals", async ({ host }) => {
  const a = await Peer.join(host, "a", { capabilities: ["arm", "gpu"], capacity: 20 });
  const b = await Peer.join(host, "b", { capacity: 20 });
  const wishes = [
    { type: "x", priority: 1 },
    { type: "x", priority: 9, capabilities: ["gpu"] },
    { type: "y", priority: 5 },
    { type: "x", priority: 5, affinity: "a" },
    { type: "y", priority: 5, capabilities: ["gpu", "arm"] },
    { type: "y", priority: 9, capabilities: ["gpu", "tpu"] },
    { type: "x2", priority: 8 },
  ];
  const numbers = await submit(host, ...wishes);
  const order = (of: readonly { task: number }[]): number[] => of.map(({ task }) => numbers.indexOf(task));
  expect(order(await b.claim({ limit: 1, types: ["x"] }))).toEqual([3]);
  expect(order(await a.claim({ limit: 2, types: ["x", "y"] }))).toEqual([1, 2]);
  expect(order(await a.claim({ limit: 50 }))).toEqual([6, 4, 0]);
  expect(order(await b.claim({ limit: 50 }))).toEqual([]);
  const [mine, other] = await submit(host, { type: "x" }, { type: "z", affinity: "a" });
  expect((await a.claim({ limit: 2 })).map(({ task }) => task)).toEqual([other, mine]);
});

taskTest("a chat that drains ends what it has and gets nothing new", async ({ host, a }) => {
  await submit(host, { type: "x" }, { type: "x" });
  const held = await a.take({ requestId: "r" });
  await ask(host, "chats.drain", { chat: "a" });
  expect(await a.claim({ requestId: "r" })).toEqual([held]);
  const done = await a.do("tasks.ack", held, { result: 1, next: { limit: 1 } });
  expect(done).toEqual({ state: "done", next: [] });
  expect(refused(await a.tryClaim()).code).toBe("chat_draining");
});

taskTest("calls with an older claim, of another chat or process are refused", async ({ host, a, b }) => {
  const task = await submitOne(host);
  const old = await a.take();
  expect(codeOf(await b.try("tasks.ack", old, { result: 1 }))).toBe("stale_claim");
  expect((await a.do("tasks.release", old, {})).state).toBe("queued");
  const present = await b.take();
  expect(present.claim).toBeGreaterThan(old.claim);
  expect(codeOf(await a.try("tasks.ack", old, { result: 1 }))).toBe("stale_claim");
  expect(codeOf(await a.try("tasks.heartbeat", old, {}))).toBe("stale_claim");
  expect(codeOf(await b.try("tasks.ack", { task, claim: present.claim + 1 }, {}))).toBe("stale_claim");
  expect(codeOf(await b.try("tasks.ack", { task: task + 1, claim: 1 }, {}))).toBe("unknown_task");
  expect(await b.ack(present, "b")).toBe("done");
  expect(await taskOf(host, task)).toMatchObject({ state: "done", result: "b" });
  expect(codeOf(await b.try("tasks.ack", old, {}))).toBe("stale_claim");
  const { attempts } = await ask(host, "tasks.history", { task });
  expect(attempts.map(({ chat, lateCalls }) => `${chat} ${lateCalls}`)).toEqual(["b 0", "a 2"]);
});

taskTest("of a task the newest hundred attempts stay", async ({ host, a }) => {
  const task = await submitOne(host);
  for (let times = 0; times < 110; times++) await a.do("tasks.release", await a.take(), {});
  expect(await host.rows("SELECT 1 FROM attempts")).toHaveLength(100);
  expect((await ask(host, "tasks.history", { task, limit: 1 })).attempts).toMatchObject([{ claim: 110 }]);
});

taskTest("a task that no chat starts in its time is dead, also when it was given back", async ({ host, a }) => {
  const [one, other] = await submit(host, ...["x", "y"].map((type) => ({ type, scheduleToStartMs: minute })));
  await pass(host, minute - 1);
  await a.do("tasks.release", await a.take({ types: ["y"] }), {});
  await pass(host, 1);
  expect(await stateOf(host, one ?? 0)).toBe("dead expired");
  expect(await a.claim({ types: ["x"] })).toEqual([]);
  await pass(host, minute - 2);
  expect(await stateOf(host, other ?? 0)).toBe("queued");
  await pass(host, 1);
  expect(await stateOf(host, other ?? 0)).toBe("dead expired");
});

taskTest("an assigned task begins by its first heartbeat, or is queued at its deadline", async ({ host, a }) => {
  const task = await submitOne(host, { startToCloseMs: hour });
  const assigned = await a.take({ isStarted: false });
  expect(assigned).toMatchObject({ isStarted: false, startInMs: 30 * second, remainingMs: hour });
  expect(await stateOf(host, task)).toBe("assigned");
  await pass(host, 30 * second - 1);
  expect(await stateOf(host, task)).toBe("assigned");
  await pass(host, 1);
  expect(await taskOf(host, task)).toMatchObject({ state: "queued", failures: 0, lostChats: 0, stalls: 0 });
  expect(codeOf(await a.try("tasks.heartbeat", assigned, {}))).toBe("stale_claim");
  const again = await a.take({ isStarted: false });
  host.wait(10 * second);
  expect(await a.do("tasks.heartbeat", again, {})).toMatchObject({ remainingMs: hour });
  host.wait(10 * second);
  expect(await a.do("tasks.heartbeat", again, {})).toMatchObject({ remainingMs: hour - 10 * second });
  expect(await endsOf(host, task)).toEqual(["not_started"]);
  const other = await submitOne(host);
  await a.take({ isStarted: false });
  await a.leave();
  expect(await endsOf(host, other)).toEqual(["not_started"]);
});

taskTest("of more tasks than a workspace keeps the oldest that have ended go at the full hour", async ({ host }) => {
  await ask(host, "settings.set", { settings: { maxTasks: 10 } });
  const a = await Peer.join(host, "a", { capacity: 50 });
  const kept = await submit(host, { type: "old", ref: "old" }, { type: "x", dependsOn: ["old"] });
  await submit(host, ...Array.from({ length: 12 }, () => ({ type: "y" })));
  for (const held of await a.claim({ types: ["y"], limit: 20 })) await a.ack(held);
  const count = async (): Promise<number> => (await ask(host, "tasks.list", { limit: 200 })).tasks.length;
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

taskTest("a heartbeat without news writes a row in each third of the allowed silence", async ({ host, a }) => {
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

taskTest("a task whose turn fails is put off for a minute, and keeps no other from its turn", async ({ host }) => {
  const [bad, good] = await submit(host, { type: "x", delayMs: minute }, { type: "x", delayMs: minute });
  await host.run("UPDATE tasks SET joinRule = 'collect', dependsOn = 'no JSON' WHERE task = ?", bad);
  host.wait(minute);
  expect(await host.sweep(100)).toEqual([expect.stringMatching(new RegExp(`^task ${bad}: `))]);
  const putOff = { state: "scheduled", dueAt: host.now() + minute };
  const rows = await host.rows("SELECT state, dueAt FROM tasks ORDER BY task");
  expect(rows).toEqual([putOff, { state: "queued", dueAt: null }]);
  expect(await host.sweep(100)).toEqual([]);
  expect((await taskOf(host, good)).state).toBe("queued");
});

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

taskTest("with jitter a failure waits for half of its time to all of it", async ({ host }) => {
  const tasks = Array.from({ length: 20 }, () => ({ type: "build", backoff: { ...plain, hasJitter: true } }));
  const numbers = await submit(host, ...tasks);
  const b = await Peer.join(host, "b", { capacity: 20 });
  for (const held of await b.claim({ limit: 20 })) await b.nack(held);
  const waits = await Promise.all(numbers.map(async (task) => (await taskOf(host, task)).dueInMs ?? 0));
  expect(waits.filter((waitMs) => waitMs < 1_000 || waitMs > 2_000)).toEqual([]);
  expect(new Set(waits).size).toBeGreaterThan(10);
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
  const told = attempts.map(({ end, checkpoint }) => `${end} ${JSON.stringify(checkpoint)}`);
  expect(told).toEqual(['chat_left {"step":2}', 'released {"step":1}', 'failed {"step":1}']);
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

taskTest("an attempt that takes too long counts, however often it tells of itself", async ({ host, a }) => {
  const task = await submitOne(host, { startToCloseMs: 2 * minute, maxAttempts: 2, backoff: plain });
  for (const expected of ["scheduled", "dead failed"]) {
    const held = await a.take({ requestId: "r" });
    for (let n = 0; n < 5; n++) {
      await pass(host, 20 * second);
      await a.do("tasks.heartbeat", held, {});
    }
    await pass(host, 20 * second - 1);
    await a.do("tasks.heartbeat", held, {});
    host.wait(1);
    expect(codeOf(await a.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect(await a.claim({ requestId: "r" })).toEqual([]);
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
  const lost = { stalls: 0, failures: 0, lostChats: 3, detail: "chat c2: no sign of life" };
  expect(await taskOf(host, task)).toMatchObject(lost);
  expect(await endsOf(host, task)).toEqual(["chat_offline", "chat_offline", "chat_offline"]);
});

const plain = { baseMs: 2_000, capMs: 5_000, hasJitter: false };

async function limit(host: RuleHost, budgets: Partial<Budgets>): Promise<void> {
  await ask(host, "settings.set", { settings: { budgets } });
}

taskTest("what attempts tell is counted into the task, the chat and the day", async ({ host, a }) => {
  const [first, second] = await submit(host, { type: "x" }, { type: "x" });
  const [one, two] = [await a.take(), await a.take()];
  await a.do("tasks.heartbeat", one, { usage: { wallMs: 1_000, tokens: 50, costMicros: 7 } });
  await a.do("tasks.heartbeat", one, { usage: { wallMs: 3_000, tokens: 80, costMicros: 9 } });
  await a.do("tasks.ack", one, { usage: { wallMs: 4_000, tokens: 100, costMicros: 10 } });
  await a.do("tasks.nack", two, { reason: "broken", delayMs: 0, usage: { tokens: 5 } });
  const again = await a.take();
  await a.do("tasks.release", again, { usage: { tokens: 2 } });
  expect((await taskOf(host, first)).used).toEqual({ wallMs: 4_000, tokens: 100, costMicros: 10 });
  expect((await taskOf(host, second)).used).toEqual({ wallMs: 0, tokens: 7, costMicros: 0 });
  const all = { wallMs: 4_000, tokens: 107, costMicros: 10 };
  const chats = [{ chat: "a", used: all, isSpent: false }];
  expect(await ask(host, "budgets.get", {})).toMatchObject({ today: all, isDaySpent: false, chats });
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
  // A sum stays a number that JSON can hold.
  const large = await submitOne(host);
  const most = { tokens: Number.MAX_SAFE_INTEGER };
  for (let n = 0; n < 2; n++) await a.do("tasks.release", await a.take(), { usage: most });
  expect((await taskOf(host, large)).used).toMatchObject(most);
});

taskTest("at its limit a task ends dead, its claim is over, and what it told last is kept", async ({ host, a }) => {
  const task = await submitOne(host, { budget: { costMicros: 2_000_000 } });
  const held = await a.take();
  expect(held.budget).toEqual({ wallMs: null, tokens: null, costMicros: 2_000_000 });
  const under = await a.do("tasks.heartbeat", held, { usage: { costMicros: 1_999_999 } });
  expect(under.isOverBudget).toBe(false);
  const over = { usage: { costMicros: 2_100_000 }, checkpoint: { session: "s" } };
  const beat = await a.do("tasks.heartbeat", held, over);
  expect(beat).toMatchObject({ isOverBudget: true, remainingMs: 0 });
  expect(beat.reason).toContain("2.10 USD of 2.00 USD");
  expect(await stateOf(host, task)).toBe("dead budget_exceeded");
  expect(await taskOf(host, task)).toMatchObject({ checkpoint: { session: "s" }, chat: null });
  const { attempts } = await ask(host, "tasks.history", { task });
  expect(attempts).toMatchObject([{ end: "budget_exceeded", checkpoint: { session: "s" } }]);
  expect(refused(await a.try("tasks.ack", held, {})).code).toBe("stale_claim");
});

taskTest("a task released or failed after the day is used up waits", async ({ host, a, b }) => {
  await limit(host, { day: { tokens: 10 } });
  const [, failing, released] = await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
  const held = await a.take();
  const [one, two] = [await b.take(), await b.take()];
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

taskTest("a shorter life of chats counts at once, also for what a silent chat holds already", async ({ host, a }) => {
  await ask(host, "settings.set", { settings: { chatTtlMs: 40_000 } });
  const task = await submitOne(host);
  await a.take();
  await ask(host, "settings.set", { settings: { chatTtlMs: 20_000 } });
  host.wait(20_000);
  await host.ring();
  expect(await stateOf(host, task)).toBe("queued");
});
