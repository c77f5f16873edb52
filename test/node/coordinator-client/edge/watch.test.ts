import { expect, it } from "vitest";
import { onEdge, aClient } from "#harness/edge/edge-clients.ts";
import { Follower, isInOrder, write } from "#harness/edge/state-follower.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

/** A client that was told to read what is there. */
async function followed(prefix = "", edge = new FakeEdge()) {
  const { client } = aClient(edge);
  const follower = new Follower(client, prefix);
  await edge.time.pass(100);
  return { edge, client, follower };
}

it("a watch first says to read everything, then brings each change, in order and once", async () => {
  const edge = new FakeEdge();
  await write(edge, 1, 3);
  const { follower } = await followed("k/", edge);
  expect(follower.events).toEqual([null]);
  await edge.host.call("state.set", { key: "other", value: 2 });
  await write(edge, 4, 5);
  await edge.host.call("state.delete", { key: "k/1" });
  edge.tell();
  await edge.time.pass(100);
  expect(follower.changes.map(({ key, op }) => [key, op])).toEqual([
    ["k/4", "set"],
    ["k/5", "set"],
    ["k/1", "delete"],
  ]);
});

it("changes of one update are in one event", async () => {
  const { edge, follower } = await followed();
  const writes = Array.from({ length: 12 }, (_, at) => ({ op: "set", key: `k${at}`, value: at }) as const);
  await edge.host.call("state.update", { writes });
  edge.tell();
  await edge.time.pass(100);
  expect(follower.events.at(-1)).toHaveLength(12);
});

it("a watch continues over lost connections, without gap and without repetition", async () => {
  const { edge, client } = await onEdge();
  const follower = new Follower(client, "k/");
  await edge.time.pass(100);
  for (let round = 0; round < 6; round++) {
    await write(edge, round * 10, round * 10 + 4);
    if (round % 2 === 0) edge.closeAll();
    else await edge.deploy();
    await write(edge, round * 10 + 5, round * 10 + 9);
    await edge.time.pass(3_000);
  }
  expect([follower.beginnings, follower.revisions.length]).toEqual([1, 60]);
  expect(isInOrder(follower.revisions)).toBe(true);
});

it("over HTTP it asks, and continues over a socket when one opens", async () => {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  const { client, follower } = await followed("k/", edge);
  await write(edge, 1, 600);
  await edge.time.pass(5_100);
  expect(follower.revisions.length).toBe(600);
  edge.faults.refusesSockets = false;
  await edge.time.untilTrue(() => client.state === "connected");
  await write(edge, 601, 605);
  await edge.time.pass(100);
  expect(follower.revisions.length).toBe(605);
  expect(isInOrder(follower.revisions)).toBe(true);
  const asked = edge.count("state.changes");
  await edge.time.pass(60_000);
  expect(edge.count("state.changes")).toBe(asked);
});

it("a hint brings everything since the last one, and a hint at another watch nothing", async () => {
  const { edge, follower } = await followed("k/");
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("state.changed");
  await write(edge, 1, 3);
  await edge.time.pass(100);
  expect(follower.revisions).toEqual([]);
  edge.faults.loses = () => false;
  const asked = edge.count("state.changes");
  edge.connections[0]?.notify("state.changed", { watch: "other" });
  await edge.time.pass(100);
  expect(edge.count("state.changes")).toBe(asked);
  await write(edge, 4, 4);
  await edge.time.pass(100);
  expect(follower.revisions).toEqual([1, 2, 3, 4]);
  expect(edge.count("state.watch")).toBe(1);
});

it("closing a watch ends its events, and nothing more is sent", async () => {
  const { edge, follower } = await followed();
  follower.close();
  await edge.time.pass(100);
  await write(edge, 1, 3);
  await edge.time.pass(10_000);
  expect(follower.events).toEqual([null]);
  expect(edge.connections[0]?.isWatching("")).toBe(false);
});

it("a watch that is refused for good asks no more", async () => {
  const edge = new FakeEdge();
  const { client } = aClient(edge);
  edge.faults.refuses = ({ name }) => (name === "state.list" ? { code: "forbidden", message: "not yours" } : null);
  const refused = new Follower(client);
  await edge.time.pass(60_000);
  expect([refused.events, edge.count("state.list")]).toEqual([[], 1]);
});

it("a watch that was refused over HTTP, after a socket had opened, continues over the socket", async () => {
  const { edge, client } = await onEdge();
  edge.faults.refusesSockets = true;
  edge.closeAll();
  await edge.time.untilTrue(() => client.state === "disconnected");
  const follower = new Follower(client, "k/");
  await edge.time.untilTrue(() => client.state === "fallback");
  edge.faults.refusesSockets = false;
  await edge.time.untilTrue(() => client.state === "connected");
  await edge.time.pass(20_000);
  await write(edge, 0, 4);
  await edge.time.pass(1_000);
  expect([follower.beginnings, follower.revisions.length]).toEqual([1, 5]);
});

it("what was compacted meanwhile is to be read again @night", async () => {
  for (const refusesSockets of [false, true]) {
    const edge = new FakeEdge();
    edge.faults.refusesSockets = refusesSockets;
    await edge.host.call("settings.set", { settings: { keepChangesMs: 60_000 } }, admin);
    const hourMs = 3_600_000;
    const { follower } = await followed("k/", edge);
    await write(edge, 1, 5);
    await edge.time.pass(6_000);
    edge.faults.isUnreachable = true;
    edge.closeAll();
    await write(edge, 6, 12);
    await edge.time.pass(70_000);
    await write(edge, 13, 14, "x/");
    await edge.time.pass(hourMs);
    edge.faults.isUnreachable = false;
    await edge.time.pass(60_000);
    await write(edge, 20, 21);
    await edge.time.pass(6_000);
    expect(follower.events[0]).toBe(null);
    expect(follower.beginnings).toBeGreaterThan(1);
    expect(follower.events.at(-1)).not.toBe(null);
  }
});
