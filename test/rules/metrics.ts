import { expect } from "vitest";
import type { MetricName } from "#src/contract/metrics.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { pass, Peer } from "#harness/coordinator/peers.ts";
import { ask, day } from "#harness/coordinator/state-calls.ts";
import { cancel, Hand, submitOne } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

type Values = (name: MetricName, label?: string) => number | undefined;

async function sampled(host: RuleHost): Promise<Values> {
  // The object keeps its samples for ten seconds.
  await pass(host, 10_000);
  const { samples } = await ask(host, "metrics", {});
  return (name, label) => {
    const own = samples.filter(
      (one) => one.name === name && (label === undefined || Object.values(one.labels)[0] === label),
    );
    return own.length === 0 ? undefined : own.reduce((sum, { value }) => sum + value, 0);
  };
}

const once = { maxAttempts: 1, backoff: { baseMs: 0, capMs: 0, hasJitter: false } };

/** Rules of the workspace's metrics. */
export function metricRules(it: TaskTest): void {
  it("tasks are counted by state, and each end once", async ({ host, a }) => {
    for (let n = 0; n < 3; n++) await submitOne(host);
    await a.ack(await a.take());
    const failed = await a.take();
    await a.nack(failed, { isRetryable: false });
    await cancel(host, await submitOne(host));
    const open = await sampled(host);
    const states = ["blocked", "scheduled", "queued", "assigned", "running", "dead", "ended"];
    expect(states.map((state) => open("shim_tasks", state))).toEqual([0, 0, 1, 0, 0, 1, 2]);
    expect(["done", "dead", "cancelled"].map((outcome) => open("shim_task_ends_total", outcome))).toEqual([1, 1, 1]);
    expect(open("shim_tasks_submitted_total")).toBe(4);
    expect(open("shim_dead_tasks", "failed")).toBe(1);
    expect(open("shim_task_attempts_total", "failed")).toBe(1);
    await ask(host, "tasks.replay", { task: failed.task });
    const replayed = await sampled(host);
    expect(replayed("shim_task_replays_total")).toBe(1);
    await a.back();
    for (let n = 0; n < 2; n++) await a.ack(await a.take());
    const ended = await sampled(host);
    expect(["done", "dead", "cancelled"].map((outcome) => ended("shim_task_ends_total", outcome))).toEqual([3, 1, 1]);
  });

  it("a task that waits for others counts as blocked, and as dead with them", async ({ host, a }) => {
    const first = await submitOne(host, once);
    await submitOne(host, { dependsOn: [first] });
    expect((await sampled(host))("shim_tasks", "blocked")).toBe(1);
    await a.back();
    await a.nack(await a.take());
    const after = await sampled(host);
    expect([after("shim_tasks", "blocked"), after("shim_tasks", "dead")]).toEqual([0, 2]);
    expect(after("shim_task_ends_total", "dead")).toBe(2);
    expect(after("shim_dead_tasks", "dependency")).toBe(1);
  });

  it("few tasks among many are counted by state as many of them are", async ({ host, a }) => {
    const states = ["blocked", "scheduled", "queued", "assigned", "running", "dead", "ended"] as const;
    const counted = async (): Promise<(number | undefined)[]> => {
      const value = await sampled(host);
      return [...states.map((state) => value("shim_tasks", state)), value("shim_dead_tasks", "failed")];
    };
    await submitOne(host, { type: "x" });
    await a.ack(await a.take({ types: ["x"] }));
    await submitOne(host, { type: "x", ...once });
    await a.nack(await a.take({ types: ["x"] }));
    const held = await submitOne(host, { type: "x" });
    await a.take({ types: ["x"] });
    await submitOne(host, { type: "x", dependsOn: [held] });
    await submitOne(host, { type: "x", delayMs: 3_600_000 });
    await submitOne(host, { type: "x", scheduleToStartMs: 3_600_000 });
    expect(await counted()).toEqual([1, 1, 1, 0, 1, 1, 1, 1]);
    for (let n = 0; n < 30; n++) await submitOne(host, { type: "other" });
    expect(await counted()).toEqual([1, 1, 31, 0, 1, 1, 1, 1]);
  });

  it("the oldest queued task is the one with the lowest number, and waits are of those assigned", async ({
    host,
    a,
  }) => {
    await submitOne(host);
    await pass(host, 20_000);
    await submitOne(host);
    await pass(host, 10_000);
    expect((await sampled(host))("shim_task_oldest_queued_seconds")).toBe(40);
    await a.back();
    await a.ack(await a.take());
    const waited = await sampled(host);
    expect(waited("shim_task_wait_seconds", "50")).toBe(40);
    expect(waited("shim_task_run_seconds", "95")).toBe(0);
  });

  it("the queue's age begins when a task becomes ready, not when it was submitted", async ({ host, a }) => {
    const age = async (): Promise<unknown> => (await sampled(host))("shim_task_oldest_queued_seconds");
    await submitOne(host, { type: "later", delayMs: 40_000 });
    const first = await submitOne(host, { type: "x" });
    await submitOne(host, { type: "then", dependsOn: [first] });
    await a.take({ types: ["x"] });
    await pass(host, 20_000);
    expect(await age()).toBe(0);
    await pass(host, 20_000);
    expect(await age()).toBe(20);
  });

  it("a counter does not fall when what it counted is pruned", async ({ host, a }) => {
    await submitOne(host);
    await a.ack(await a.take());
    await a.leave();
    const before = await sampled(host);
    for (let days = 0; days < 45; days++) await pass(host, day);
    const after = await sampled(host);
    expect(after("shim_tasks", "ended")).toBe(0);
    expect(after("shim_task_ends_total", "done")).toBe(before("shim_task_ends_total", "done"));
    expect(after("shim_tasks_submitted_total")).toBe(1);
    for (const kind of ["chat.registered", "chat.offline"])
      expect(after("shim_workspace_events_total", kind)).toBeGreaterThanOrEqual(
        before("shim_workspace_events_total", kind) ?? Number.NaN,
      );
  });

  it("a raised epoch, whose numbers begin anew, keeps what was counted", async ({ host, a }) => {
    for (let n = 0; n < 3; n++) await submitOne(host);
    await a.ack(await a.take());
    await ask(host, "epoch.raise", { reason: "restore", quietMs: 0 });
    await submitOne(host);
    const after = await sampled(host);
    expect(after("shim_tasks_submitted_total")).toBe(4);
    expect(after("shim_task_ends_total", "done")).toBe(1);
  });

  it("a bound lease counts as long as its chat lives", async ({ host }) => {
    await ask(host, "settings.set", { settings: { chatTtlMs: 30_000 } });
    const a = await Peer.join(host, "a");
    await a.hold("r", { isBound: true });
    for (let n = 0; n < 6; n++) {
      await pass(host, 10_000);
      await a.beat();
    }
    expect((await sampled(host))("shim_leases")).toBe(1);
    await pass(host, 300_000);
    expect((await sampled(host))("shim_leases")).toBe(0);
  });

  it("each entry of the audit log counts once, however often entries are summed and pruned", async ({ host }) => {
    await ask(host, "settings.set", { settings: { chatTtlMs: 600_000 } });
    const a = await Peer.join(host, "a");
    const granted = async (): Promise<number | undefined> =>
      (await sampled(host))("shim_workspace_events_total", "lease.granted");
    for (const rounds of [3, 300, 250]) {
      const before = (await granted()) ?? 0;
      for (let n = 0; n < rounds; n++) await a.hold(`r${n}`, { ttlMs: 3_600_000 }).then((lease) => a.release(lease));
      expect(await granted()).toBe(before + rounds);
    }
    await a.campaign("build");
    const before = await sampled(host);
    expect(before("shim_leader_changes_total")).toBe(1);
    for (let days = 0; days < 35; days++) await pass(host, day);
    const after = await sampled(host);
    expect(after("shim_leader_changes_total")).toBe(1);
    expect(after("shim_workspace_events_total", "lease.granted")).toBe(554);
  });

  it("chats are counted by status, leases while they are held", async ({ host }) => {
    const a = await Hand.join(host, "a");
    await Hand.join(host, "b");
    await ask(host, "leases.acquire", { self: a.self, resource: "r", requestId: "r1", ttlMs: 60_000 });
    const held = await sampled(host);
    expect([held("shim_chats", "idle"), held("shim_leases")]).toEqual([2, 1]);
    await a.leave();
    const left = await sampled(host);
    expect([left("shim_chats", "idle"), left("shim_chats", "offline"), left("shim_leases")]).toEqual([1, 1, 0]);
  });
}
