import { expect } from "vitest";
import { ask, refusal } from "#harness/coordinator/state-calls.ts";
import { cancel, endsOf, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

/** Rules of tasks that the coordinator does itself. */
export function taskJoinRules(it: TaskTest): void {
  it("[TA26] done parts are joined by the rule; no chat claims the join", async ({ host, a }) => {
    const [web, api, all, count] = await submit(
      host,
      { type: "x", ref: "web" },
      { type: "x", ref: "api" },
      { type: "join", dependsOn: ["web", "api"], joinRule: "merge" },
      { type: "join", dependsOn: ["web", "api"], joinRule: "count" },
    );
    const [first, second] = await a.claim({ limit: 5 });
    if (!first || !second) throw new Error("two tasks were there");
    await a.ack(first, { web: 1, same: true });
    expect(await stateOf(host, all)).toBe("blocked");
    await a.ack(second, { api: 2, same: true });
    expect(await taskOf(host, all)).toMatchObject({
      state: "done",
      joinRule: "merge",
      result: { value: { web: 1, api: 2, same: true }, conflicts: [], isComplete: true, missing: [] },
    });
    expect((await taskOf(host, count)).result).toMatchObject({ value: { parts: 2, done: 2, dead: 0, cancelled: 0 } });
    const { attempts } = await ask(host, "tasks.history", { task: all });
    expect(attempts).toMatchObject([{ chat: null, end: "done", state: "done", ranMs: 0 }]);
    expect(await a.claim()).toEqual([]);
    expect([first.task, second.task]).toEqual([web, api]);
  });

  it("[TA26] what depends on a join gets its result", async ({ host, a }) => {
    await submit(
      host,
      { type: "x", ref: "one" },
      { type: "join", ref: "all", dependsOn: ["one"], joinRule: "collect" },
      { type: "report", dependsOn: ["all"] },
    );
    await a.ack(await a.take(), "r");
    const report = await a.take();
    expect(report).toMatchObject({
      type: "report",
      inputs: [{ ref: "all", state: "done", result: { value: [{ part: "one", result: "r" }] } }],
    });
  });

  it("[TA36] [PL10] with `ignore` a join names missing parts; else it dies with them", async ({ host, a }) => {
    const [good, bad, gone, all, strict] = await submit(
      host,
      { type: "x", ref: "good" },
      { type: "x", ref: "bad" },
      { type: "y", ref: "gone" },
      { type: "join", dependsOn: ["good", "bad", "gone"], joinRule: "collect", onDependencyDeath: "ignore" },
      { type: "join", dependsOn: ["good", "bad", "gone"], joinRule: "collect" },
    );
    await a.ack(await a.take(), 1);
    await a.nack(await a.take({ types: ["x"] }), { isRetryable: false, reason: "does not compile" });
    expect(await stateOf(host, strict)).toBe("dead dependency");
    expect(await stateOf(host, all)).toBe("blocked");
    await cancel(host, gone, "not needed");
    expect((await taskOf(host, all)).result).toEqual({
      value: [{ part: "good", result: 1 }],
      conflicts: [],
      isComplete: false,
      missing: [
        { part: "bad", state: "dead", reason: "does not compile" },
        { part: "gone", state: "cancelled", reason: "not needed" },
      ],
    });
    expect([await stateOf(host, good), await stateOf(host, bad)]).toEqual(["done", "dead failed"]);
  });

  it("[TA35] [TA26] a join of done parts is done at once; equal names become numbers", async ({ host, a }) => {
    const [one] = await submit(host, { type: "x", ref: "part" });
    const [other] = await submit(host, { type: "x", ref: "part" });
    await a.ack(await a.take(), 1);
    await a.ack(await a.take(), 2);
    const all = await submitOne(host, { type: "join", dependsOn: [one, other], joinRule: "collect" });
    expect((await taskOf(host, all)).result).toMatchObject({
      value: [
        { part: String(one), result: 1 },
        { part: String(other), result: 2 },
      ],
    });
  });

  it("[TA35] a ref that is the number of another part does not name it", async ({ host, a }) => {
    const one = await submitOne(host);
    const other = await submitOne(host, { ref: String(one) });
    const all = await submitOne(host, { dependsOn: [one, other], joinRule: "collect" });
    await a.ack(await a.take(), 1);
    await a.ack(await a.take(), 2);
    expect((await taskOf(host, all)).result).toMatchObject({
      value: [
        { part: String(one), result: 1 },
        { part: String(other), result: 2 },
      ],
    });
  });

  it("[TA37] [PL11] results that are too large together end the join as dead, with the reason", async ({ host, a }) => {
    const names = ["a", "b"];
    const numbers = await submit(host, ...names.map((ref) => ({ type: "x", ref })), {
      type: "join",
      dependsOn: names,
      joinRule: "collect" as const,
    });
    const all = numbers.at(-1) ?? 0;
    for (const held of await a.claim({ limit: 3 })) await a.ack(held, "x".repeat(200_000));
    expect(await taskOf(host, all)).toMatchObject({ state: "dead", reason: "failed" });
    expect((await taskOf(host, all)).detail).toContain("too_large");
    expect((await ask(host, "tasks.replay", { task: all })).tasks).toEqual([{ task: all, state: "dead" }]);
    expect(await endsOf(host, all)).toEqual([]);
  });

  it("[TA38] a join of nothing, or at a time of its own, is refused", async ({ host }) => {
    const refused = await refusal(host, "tasks.submit", { tasks: [{ type: "join", joinRule: "count" }] });
    expect(refused).toMatchObject({ code: "bad_input" });
    expect(refused.message).toContain("dependsOn");
    const tasks = [
      { type: "x", ref: "x" },
      { type: "join", joinRule: "count" as const, dependsOn: ["x"], delayMs: 1_000 },
    ];
    expect((await refusal(host, "tasks.submit", { tasks })).message).toContain("delayMs");
  });
}
