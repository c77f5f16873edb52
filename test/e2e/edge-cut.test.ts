import { expect, it, onTestFinished } from "vitest";
import { EdgeClient } from "../../src/local-mcp/edge/client.ts";
import { systemOutside } from "../../src/local-mcp/edge/system-outside.ts";
import { CutProxy } from "../support/cut-proxy.ts";
import { EdgeRuntime } from "../support/edge-runtime.ts";

async function aClient(edge: string, token: string, chat: string): Promise<EdgeClient> {
  const opened = EdgeClient.open({ edge, workspace: "team", token }, systemOutside());
  if (!opened.ok) throw new Error(opened.error);
  const client = opened.value;
  onTestFinished(() => client.close());
  client.connect();
  const registered = await client.register({ chat, session: chat, process: chat, machine: "admin", client: "test" });
  if (!registered.ok) throw new Error(registered.error.message);
  return client;
}

function value<T>(result: { ok: true; value: T } | { ok: false; error: { message: string } }): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

it("[EC21] a holder that the network is cut from stops trusting its lease before another gets it", async () => {
  const edge = await EdgeRuntime.open();
  await edge.call("settings.set", { settings: { chatTtlMs: 5_000 } });
  const proxy = await CutProxy.to(edge.url);
  const cutOff = await aClient(proxy.url, edge.adminToken, "cut-off");
  const next = await aClient(edge.url, edge.adminToken, "next");
  const held = value(await cutOff.hold({ resource: "file:p/a.ts", isBound: true }));
  const waiting = next.hold({ resource: "file:p/a.ts", waitMs: 60_000 });
  // Trusted over more than one of its ttls while the network is there.
  for (const until = performance.now() + 6_000; performance.now() < until; await sleep(100)) {
    expect(held.isTrusted()).toBe(true);
  }
  proxy.cut();
  const lost = trustLost(held);
  const right = value(await waiting);
  const wasTrustedAtGrant = held.isTrusted();
  const grantedAt = performance.now();
  console.log(`network cut: trust ended ${Math.round(grantedAt - (await lost))} ms before the next grant`);
  expect(wasTrustedAtGrant).toBe(false);
  expect(right.isTrusted()).toBe(true);
  expect(right.token).toBeGreaterThan(held.token);
});

async function trustLost(held: { isTrusted(): boolean }): Promise<number> {
  while (held.isTrusted()) await sleep(5);
  return performance.now();
}
