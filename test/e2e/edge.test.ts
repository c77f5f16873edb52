import { expect, it, onTestFinished, vi } from "vitest";
import { settableClock } from "#harness/clock/set-clock/set-clock.ts";
import { given } from "#harness/coordinator/peers.ts";
import { EdgeRuntime, realEdgeClient } from "#harness/edge/edge-runtime.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";

const rounds = setting("SHIM_EDGE_CRASH_ROUNDS", 10);
const writers = 8;

/** Longer than the client's longest pause between two tries of a connection, which many kills in a row lead to. */
const patience = { timeout: 120_000, interval: 50 };

it(
  `kill -9 of the runtime under load, ${rounds} times: what was acknowledged is there, what was due happens, a client continues @night`,
  { timeout: 240_000 + rounds * 6_000 },
  async () => {
    const edge = await EdgeRuntime.open();
    await edge.call("settings.set", { settings: { maxKeys: 1_000_000 } });
    const acknowledged = new Map<string, number>();
    const client = await realEdgeClient(edge.url, edge.adminToken, "survivor");
    const held = given(await client.hold({ resource: "of-the-survivor", ttlMs: 600_000 }));
    const copy = copyOf(client);
    let kills = 0;
    for (let round = 0; round < rounds; round++) {
      // A leader whose term is over while the runtime is down, or soon after.
      const self = await edge.register(`chat-${round}`);
      await edge.call("elections.campaign", { self, name: `e${round}`, requestId: "r", ttlMs: 1_000 });
      const { revision } = await edge.call("state.list", { prefix: "$", limit: 1 });
      const isOver = { now: false };
      const working = Array.from({ length: writers }, (_, n) => write(edge, `${round}/${n}`, acknowledged, isOver));
      const target = acknowledged.size + writers + ((round * 37) % 50);
      await vi.waitUntil(() => acknowledged.size > target, { timeout: 120_000, interval: 1 });
      kills += edge.kill();
      isOver.now = true;
      await Promise.all(working);
      await edge.isBack();
      await leaderGone(edge, `e${round}`, revision);
    }
    const stored = await everything(edge);
    const lost = [...acknowledged].filter(([key, value]) => stored.get(key) !== value);
    expect(kills).toBeGreaterThanOrEqual(rounds);
    expect(lost).toEqual([]);
    await vi.waitFor(() => expect(copy.keys).toEqual(stored), patience);
    await vi.waitFor(() => expect(held.isTrusted()).toBe(true), patience);
    const { leases } = await edge.call("leases.list", { prefix: "of-the-survivor" });
    expect(leases).toMatchObject([{ holder: "survivor", incarnation: client.self?.incarnation, token: held.token }]);
    expect(copy.problems).toEqual([]);
  },
);

/** What one watch has received, over all interruptions. */
function copyOf(client: WorkspaceClient): { readonly keys: Map<string, unknown>; readonly problems: string[] } {
  const [keys, problems] = [new Map<string, unknown>(), [] as string[]];
  let last = 0;
  client.onChanges("", (changes) => {
    for (const { key, revision, value: next } of changes ?? []) {
      if (revision <= last) problems.push(`revision ${revision} came after ${last}`);
      last = revision;
      if (!key.startsWith("$")) keys.set(key, next);
    }
  });
  return { keys, problems };
}

async function write(
  edge: EdgeRuntime,
  prefix: string,
  acknowledged: Map<string, number>,
  isOver: { now: boolean },
): Promise<void> {
  for (let n = 0; !isOver.now; n++) {
    const key = `${prefix}/${n}`;
    const done = await edge.call("state.set", { key, value: n }).catch(() => null);
    if (!done) return;
    acknowledged.set(key, n);
  }
}

/** The alarm reports it by itself: no request is made for this election. */
async function leaderGone(edge: EdgeRuntime, name: string, after: number): Promise<void> {
  await vi.waitFor(async () => {
    const { changes } = await edge.call("state.changes", { prefix: `$leader/${name}`, after, limit: 500 });
    expect(changes.map(({ op }) => op)).toContain("delete");
  }, patience);
}

async function everything(edge: EdgeRuntime): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: OutputOf<"state.list"> = await edge.call("state.list", { limit: 500, ...omitUndefined({ cursor }) });
    for (const { key, value } of page.entries) found.set(key, value);
    cursor = page.cursor;
  }
  return found;
}

/** @returns its token */
async function hold(edge: EdgeRuntime, self: Self): Promise<number> {
  const got = await edge.call("leases.acquire", { self, resource: "x", requestId: self.chat, ttlMs: 60_000 });
  if (got.state !== "granted") throw new Error("x was not granted");
  return got.lease.token;
}

async function claim(edge: EdgeRuntime, self: Self): Promise<OutputOf<"tasks.claim">["claims"][number] | undefined> {
  return (await edge.call("tasks.claim", { self, requestId: self.chat, limit: 1, isStarted: true })).claims[0];
}

it("the clock is set three hours forward: the first holder has nothing left, the second holds alone @night", async (test) => {
  const clock = settableClock(test);
  for (const [name, value] of Object.entries(clock.env)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const edge = await EdgeRuntime.open();
  const guest = await edge.call("tokens.create", { machine: "guest", scope: "observe", ttlMs: 60_000 });
  const a = await edge.register("a");
  const old = await hold(edge, a);
  await edge.call("tasks.submit", { tasks: [{ type: "t", startToCloseMs: 60_000, heartbeatMs: 60_000 }] });
  const first = await claim(edge, a);
  clock.set(3 * 3_600_000);
  const b = await edge.register("b");
  const token = await hold(edge, b);
  expect(token).toBeGreaterThan(old);
  expect(await edge.call("leases.check", { resource: "x", token: old })).toMatchObject({ isValid: false, holder: "b" });
  const write = { key: "k", value: 1, guard: { resource: "x", token: old } };
  await expect(edge.call("state.set", write)).rejects.toThrow("stale_token");
  await edge.call("state.set", { ...write, guard: { resource: "x", token } });
  // What is due happens without a request for it.
  await vi.waitFor(async () => expect((await edge.call("health", {})).overdueRows).toBe(0), patience);
  const again = await claim(edge, b);
  expect(again?.task).toBe(first?.task);
  const late = { self: a, task: first?.task ?? 0, claim: first?.claim ?? 0, result: "late" };
  await expect(edge.call("tasks.ack", late)).rejects.toThrow(/stale_claim|chat_offline/);
  await expect(edge.call("health", {}, guest.token)).rejects.toThrow("unauthenticated");
  // Correct again: the clock of the runtime does not move meanwhile, and what has ended stays so.
  clock.set(0);
  await expect(edge.call("health", {}, guest.token)).rejects.toThrow("unauthenticated");
  expect(await edge.call("leases.check", { resource: "x", token: old })).toMatchObject({ isValid: false });
  expect(await edge.call("leases.check", { resource: "x", token })).toMatchObject({ isValid: true });
});
