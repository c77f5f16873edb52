import { test } from "vitest";
import { runsOn, type RuleHost, type OpenHost, type RowHost } from "#harness/coordinator/engine-host.ts";
import { crew, Peer } from "#harness/coordinator/peers.ts";
import { Correspondent } from "#harness/coordinator/state-calls.ts";
import { calm, Hand } from "#harness/coordinator/task-calls.ts";
import { Device } from "#harness/sync/sealed-content.ts";

/** Tests of rules. Each has a host of its own; of chats and devices only those are there which a test names. */
export function ruleTest<Host extends RuleHost>(open: OpenHost<Host>) {
  return test
    .extend("open", () => open)
    .extend("runs", () => (usual: number) => runsOn(open, usual))
    .extend("host", () => open())
    .extend("a", ({ host }) => Peer.join(host, "a"))
    .extend("b", ({ host }) => Peer.join(host, "b"))
    .extend("crew", ({ host }) => crew(host))
    .extend("c1", ({ host }) => Correspondent.join(host, "c1"))
    .extend("c2", ({ host }) => Correspondent.join(host, "c2"))
    .extend("c3", ({ host }) => Correspondent.join(host, "c3"))
    .extend("device", ({ host }) => new Device(host));
}

/** The same of tasks: chats live long without a word. */
export function taskTest<Host extends RuleHost>(open: OpenHost<Host>) {
  return test
    .extend("open", () => open)
    .extend("runs", () => (usual: number) => runsOn(open, usual))
    .extend("host", () => calm(open))
    .extend("a", ({ host }) => Hand.join(host, "a"))
    .extend("b", ({ host }) => Hand.join(host, "b"));
}

export type RuleTest = ReturnType<typeof ruleTest<RuleHost>>;
export type RowTest = ReturnType<typeof ruleTest<RowHost>>;
export type TaskTest = ReturnType<typeof taskTest<RuleHost>>;
export type TaskRowTest = ReturnType<typeof taskTest<RowHost>>;
