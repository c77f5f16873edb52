import { expect, it } from "vitest";
import { onEdge, aClient, Follower, isInOrder, write } from "#harness/edge/edge-clients.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";

/** A watch that has begun. */
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
