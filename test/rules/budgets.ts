import { expect } from "vitest";
import type { Budgets } from "#src/contract/budgets.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, day, hour, refused } from "#harness/coordinator/state-calls.ts";
import { endsOf, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

async function limit(host: RuleHost, budgets: Partial<Budgets>): Promise<void> {
  await ask(host, "settings.set", { settings: { budgets } });
}

/** Rules of what work may use. */
export function budgetRules(it: TaskTest): void {
  it("what attempts tell is counted into the task, the chat and the day", async ({ host, a }) => {
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

  it("a report that comes again, or an older one that comes late, counts nothing twice", async ({ host, a }) => {
    const task = await submitOne(host);
    const held = await a.take();
    for (const tokens of [10, 10, 40, 20, 40]) await a.do("tasks.heartbeat", held, { usage: { tokens } });
    await a.do("tasks.ack", held, { usage: { tokens: 40 } });
    await a.do("tasks.ack", held, { usage: { tokens: 40 } });
    expect((await taskOf(host, task)).used.tokens).toBe(40);
    expect((await ask(host, "budgets.get", {})).today.tokens).toBe(40);
  });

  it("counts are capped at the largest safe number and stay readable", async ({ host, a }) => {
    const most = Number.MAX_SAFE_INTEGER;
    const task = await submitOne(host);
    await a.do("tasks.release", await a.take(), { usage: { tokens: most } });
    await a.do("tasks.ack", await a.take(), { usage: { tokens: most } });
    expect((await taskOf(host, task)).used.tokens).toBe(most);
    const used = { tokens: most };
    expect(await ask(host, "budgets.get", {})).toMatchObject({ today: used, chats: [{ used }] });
  });

  it("at its limit a task ends dead, its claim is over, and what it told last is kept", async ({ host, a }) => {
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

  it("the limit counts all attempts, also failed and released ones", async ({ host, a }) => {
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

  it("a task released or failed after the day is used up waits", async ({ host, a, b }) => {
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

  it("a chat at its limit begins nothing; the lowest limit applies", async ({ host, a, b }) => {
    await limit(host, { chat: { tokens: 100 }, task: { tokens: 500, wallMs: hour } });
    await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
    const [held, assigned] = [await a.take(), await a.take({ isStarted: false })];
    expect(held.budget).toEqual({ wallMs: hour, tokens: 100, costMicros: null });
    expect(await a.do("tasks.heartbeat", held, { usage: { tokens: 100 } })).toMatchObject({ isOverBudget: true });
    expect(refused(await a.tryClaim())).toMatchObject({ code: "budget_exceeded" });
    expect(refused(await a.try("tasks.heartbeat", assigned, {})).code).toBe("budget_exceeded");
    expect((await a.do("tasks.release", assigned, {})).state).toBe("queued");
    expect(await b.claim({ limit: 2 })).toHaveLength(2);
    expect(await ask(host, "budgets.get", {})).toMatchObject({ chats: [{ chat: "a", isSpent: true }] });
  });

  it("a change of one limit leaves the others; null takes one away", async ({ host }) => {
    await limit(host, { day: { tokens: 10, wallMs: 5_000 }, task: { costMicros: 7 } });
    await ask(host, "settings.set", { settings: { budgets: { day: { tokens: null, costMicros: 3 } } } });
    const { limits } = await ask(host, "budgets.get", {});
    expect(limits).toEqual({ day: { wallMs: 5_000, costMicros: 3 }, chat: {}, task: { costMicros: 7 } });
  });

  it("a task that is replayed begins anew", async ({ host, a }) => {
    const task = await submitOne(host, { budget: { tokens: 10 } });
    await a.do("tasks.heartbeat", await a.take(), { usage: { tokens: 10 } });
    await ask(host, "tasks.replay", { task });
    const held = await a.take();
    expect(held.budget.tokens).toBe(10);
    expect(await a.do("tasks.heartbeat", held, { usage: { tokens: 9 } })).toMatchObject({ isOverBudget: false });
  });

  it("at the day's limit no task begins until it is raised or UTC midnight", async ({ host, a, b }) => {
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
}
