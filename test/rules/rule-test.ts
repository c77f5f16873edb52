import { test } from "vitest";
import { ruleHost, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { crew, Peer, calm } from "#harness/coordinator/peers.ts";
import { Device } from "#harness/sync/sealed-content.ts";

async function openHost(): Promise<RuleHost> {
  if (ruleHost.open) return ruleHost.open();
  const { driver } = await import("#harness/store/store-test.ts");
  const { LocalHost } = await import("#harness/coordinator/local-host.ts");
  return new LocalHost(driver);
}

/** Tests of rules. Each has a host of its own; of chats and devices only those are there which a test names. */
export const it = test
  .extend("open", () => openHost)
  .extend("runs", () => (usual: number) => ({ numRuns: Math.min(usual, ruleHost.mostRuns) }))
  .extend("host", ({ open }) => open())
  .extend("a", ({ host }) => Peer.join(host, "a"))
  .extend("b", ({ host }) => Peer.join(host, "b"))
  .extend("crew", ({ host }) => crew(host))
  .extend("c1", ({ host }) => Peer.join(host, "c1"))
  .extend("c2", ({ host }) => Peer.join(host, "c2"))
  .extend("c3", ({ host }) => Peer.join(host, "c3"))
  .extend("device", ({ host }) => new Device(host));

/** The same of tasks: chats live long without a word. */
export const taskTest = it.extend("host", ({ open }) => calm(open));
