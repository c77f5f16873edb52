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

it("[EC21] a holder that the network is cut from stops trusting its lease before another gets it", async () => {
  const edge = await EdgeRuntime.open();
  await edge.call("settings.set", { settings: { chatTtlMs: 5_000 } });
  const proxy = await CutProxy.to(edge.url);
  const cutOff = await aClient(proxy.url, edge.adminToken, "cut-off");
  const next = await aClient(edge.url, edge.adminToken, "next");
  const held = await cutOff.hold({ resource: "file:p/a.ts", isBound: true });
  if (!held.ok) throw new Error(held.error.message);
  const waiting = next.hold({ resource: "file:p/a.ts", waitMs: 60_000 });
  // Trusted over several of its ttls while the network is there.
  const until = performance.now() + 6_000;
  while (performance.now() < until) {
    expect(held.value.isTrusted()).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  proxy.cut();
  let isGranted = false;
  const granted = waiting.then((right) => {
    isGranted = true;
    return right;
  });
  let overlaps = 0;
  let lostAt: number | null = null;
  while (!isGranted) {
    const isTrusted = held.value.isTrusted();
    if (isTrusted && isGranted) overlaps += 1;
    if (!isTrusted) lostAt ??= performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const right = await granted;
  const isTrustedStill = held.value.isTrusted();
  if (!right.ok) throw new Error(right.error.message);
  console.log(
    `network cut: trust ended ${lostAt === null ? "never" : Math.round(performance.now() - lostAt)} ms before the next grant`,
  );
  expect({ overlaps, isTrustedStill, hasLost: lostAt !== null }).toEqual({
    overlaps: 0,
    isTrustedStill: false,
    hasLost: true,
  });
  expect(right.value.isTrusted()).toBe(true);
  expect(right.value.token).toBeGreaterThan(held.value.token);
});
