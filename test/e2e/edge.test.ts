import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { given } from "#harness/coordinator/peers.ts";
import { EdgeRuntime, realEdgeClient } from "#harness/edge/edge-runtime.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import type { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";

const rounds = setting("SHIM_EDGE_CRASH_ROUNDS", 10);
const writers = 8;

it(
  `kill -9 of the runtime under load, ${rounds} times: what was acknowledged is there, what was due happens, a client continues @night`,
  { timeout: 240_000 + rounds * 6_000 },
  async () => {
    const edge = await EdgeRuntime.open();
    await edge.call("settings.set", { settings: { maxKeys: 1_000_000 } });
    const acknowledged = new Map<string, number>();
    const client = await realEdgeClient(edge.url, edge.adminToken, "survivor");
    const lease = { resource: "of-the-survivor", isBound: true };
    const held = given(await client.call("leases.acquire", lease));
    if (held.state !== "granted") throw new Error("the lease was not granted");
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
      await vi.waitUntil(() => acknowledged.size > target, { ...patience, interval: 1 });
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
    const { leases } = await edge.call("leases.list", { prefix: "of-the-survivor" });
    expect(leases).toMatchObject([
      { holder: "survivor", incarnation: client.self?.incarnation, token: held.lease.token },
    ]);
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

async function write(edge: EdgeRuntime, prefix: string, acknowledged: Map<string, number>, isOver: { now: boolean }) {
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
