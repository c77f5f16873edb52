import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { CutProxy } from "#harness/edge/cut-proxy.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { realEdgeClient } from "#harness/edge/real-edge-client.ts";

it("a holder whose network is cut stops trusting its lease before another gets it @night", async () => {
  const edge = await EdgeRuntime.open();
  await edge.call("settings.set", { settings: { chatTtlMs: 5_000 } });
  const proxy = await CutProxy.to(edge.url);
  const cutOff = await realEdgeClient(proxy.url, edge.adminToken, "cut-off");
  const next = await realEdgeClient(edge.url, edge.adminToken, "next");
  const held = given(await cutOff.hold({ resource: "file:p/a.ts", isBound: true }));
  const waiting = next.hold({ resource: "file:p/a.ts", waitMs: 60_000 });
  // Trusted over more than one of its ttls while the network is there.
  for (const until = performance.now() + 6_000; performance.now() < until; await pause(100)) {
    expect(held.isTrusted()).toBe(true);
  }
  proxy.cut();
  const lost = trustLost(held);
  const right = given(await waiting);
  const wasTrustedAtGrant = held.isTrusted();
  const grantedAt = performance.now();
  console.log(`network cut: trust ended ${Math.round(grantedAt - (await lost))} ms before the next grant`);
  expect(wasTrustedAtGrant).toBe(false);
  expect(right.isTrusted()).toBe(true);
  expect(right.token).toBeGreaterThan(held.token);
});

async function trustLost(held: { isTrusted(): boolean }): Promise<number> {
  while (held.isTrusted()) await pause(5);
  return performance.now();
}
