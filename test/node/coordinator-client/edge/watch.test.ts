import { expect, it } from "vitest";
import type { Change } from "#src/contract/state.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { aClient, withoutSockets } from "#harness/edge/edge-runtime.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";

/** A watch that has begun, and what it reports: null says that everything is to be read again. */
async function followed({ edge, client } = aClient()) {
  const events: (readonly Change[] | null)[] = [];
  const close = client.onChanges("k/", (changes) => void events.push(changes));
  await edge.time.pass(100);
  const changes = (): Change[] => events.flatMap((event) => event ?? []);
  return { edge, events, close, changes, revisions: () => changes().map(({ revision }) => revision) };
}

async function write(edge: FakeEdge, from: number, to: number): Promise<void> {
  for (let at = from; at <= to; at++) await edge.host.call("state.set", { key: `k/${at % 7}`, value: at });
  edge.tell();
}

it("a watch first says to read everything, then brings each change, in order and once, also over HTTP", async () => {
  for (const made of [aClient(), await withoutSockets()]) {
    await write(made.edge, 1, 3);
    const { edge, events, changes } = await followed(made);
    expect(events).toEqual([null]);
    await edge.host.call("state.set", { key: "other", value: 2 });
    await write(edge, 4, 5);
    await edge.host.call("state.delete", { key: "k/1" });
    edge.tell();
    await edge.time.pass(edge.connections.length > 0 ? 100 : 5_100);
    expect(changes().map(({ key, op }) => `${op} ${key}`)).toEqual(["set k/4", "set k/5", "delete k/1"]);
  }
});

it("a watch whose changes are no longer kept says to read everything again", async () => {
  const { edge, events, changes } = await followed();
  await edge.host.call("settings.set", { settings: { keepChangesMs: 60_000 } }, admin);
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("state.changed");
  await write(edge, 1, 3);
  await edge.time.pass(4 * 3_600_000);
  edge.faults.loses = () => false;
  await write(edge, 4, 4);
  await edge.time.pass(100);
  await write(edge, 5, 5);
  await edge.time.pass(100);
  expect([events.filter((event) => event === null).length, changes().map(({ key }) => key)]).toEqual([2, ["k/5"]]);
});

it("a hint brings everything since the last one, and a hint at another watch nothing", async () => {
  const { edge, revisions } = await followed();
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("state.changed");
  await write(edge, 1, 600);
  await edge.time.pass(100);
  expect(revisions()).toEqual([]);
  edge.faults.loses = () => false;
  const asked = edge.count("state.changes");
  edge.connections[0]?.notify("state.changed", { watch: "other" });
  await edge.time.pass(100);
  expect(edge.count("state.changes")).toBe(asked);
  await write(edge, 601, 601);
  await edge.time.pass(100);
  expect(revisions()).toEqual(Array.from({ length: 601 }, (_, at) => at + 1));
  expect(edge.count("state.watch")).toBe(1);
});

it("closing a watch ends its events, and nothing more is sent", async () => {
  const { edge, events, close } = await followed();
  close();
  await edge.time.pass(100);
  await write(edge, 1, 3);
  await edge.time.pass(10_000);
  expect(events).toEqual([null]);
  expect(edge.connections[0]?.isWatching("k/")).toBe(false);
  const later = await followed();
  later.edge.faults.refusesSockets = true;
  later.edge.closeAll();
  await later.edge.time.pass(10_000);
  later.close();
  await later.edge.time.pass(1_000);
  expect(later.edge.count("state.unwatch")).toBe(0);
});
