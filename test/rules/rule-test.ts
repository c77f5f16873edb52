import { test } from "vitest";
import { ruleHost, type RowHost } from "#harness/coordinator/engine-host.ts";
import { crew, Peer } from "#harness/coordinator/peers.ts";
import { Correspondent } from "#harness/coordinator/state-calls.ts";
import { calm, Hand } from "#harness/coordinator/task-calls.ts";
import { Device } from "#harness/sync/sealed-content.ts";

async function openHost(): Promise<RowHost> {
  if (ruleHost.open) return ruleHost.open();
  const { driver } = await import("#harness/store/driver.ts");
  const { LocalHost } = await import("#harness/coordinator/local-host.ts");
  return new LocalHost(driver);
}

const rules = test
  .extend("open", () => openHost)
  .extend("runs", () => (usual: number) => ({ numRuns: Math.min(usual, ruleHost.mostRuns) }));

/** Tests of rules. Each has a host of its own; of chats and devices only those are there which a test names. */
export const it = rules
  .extend("host", ({ open }) => open())
  .extend("a", ({ host }) => Peer.join(host, "a"))
  .extend("b", ({ host }) => Peer.join(host, "b"))
  .extend("crew", ({ host }) => crew(host))
  .extend("c1", ({ host }) => Correspondent.join(host, "c1"))
  .extend("c2", ({ host }) => Correspondent.join(host, "c2"))
  .extend("c3", ({ host }) => Correspondent.join(host, "c3"))
  .extend("device", ({ host }) => new Device(host));

/** The same of tasks: chats live long without a word. */
export const taskTest = rules
  .extend("host", ({ open }) => calm(open))
  .extend("a", ({ host }) => Hand.join(host, "a"))
  .extend("b", ({ host }) => Hand.join(host, "b"));

/** The same of what can only be seen in rows. */
export const rowTest = ruleHost.hasRows ? it : (it.skip as typeof it);
export const taskRowTest = ruleHost.hasRows ? taskTest : (taskTest.skip as typeof taskTest);
