import { expect, it } from "vitest";
import type { WatchOptions } from "#src/coordinator-client/edge/state-watch.ts";
import { onEdge, aClient } from "#harness/edge/edge-clients.ts";
import { Follower, isInOrder, present, write } from "#harness/edge/state-follower.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

/** A client that has told what is there. */
async function followed(watch: WatchOptions = {}, edge = new FakeEdge()) {
  const { client } = aClient(edge);
  const follower = new Follower(client, watch);
  await edge.time.pass(100);
  return { edge, client, follower };
}

it("[EC15] changes of one update are in one event", async () => {
  const { edge, follower } = await followed();
  const writes = Array.from({ length: 12 }, (_, at) => ({ op: "set", key: `k${at}`, value: at }) as const);
  await edge.host.call("state.update", { writes });
  edge.tell();
  await edge.time.pass(100);
  expect(follower.events.at(-1)).toMatchObject({ type: "changes", changes: { length: 12 } });
});

it("[EC15] a watch continues over lost connections, without gap and without repetition", async () => {
  const { edge, client } = await onEdge();
  const follower = new Follower(client, { prefix: "k/" });
  await edge.time.pass(100);
  for (let round = 0; round < 6; round++) {
    await write(edge, round * 10, round * 10 + 4);
    if (round % 2 === 0) edge.closeAll();
    else await edge.deploy();
    await write(edge, round * 10 + 5, round * 10 + 9);
    await edge.time.pass(3_000);
  }
  expect(follower.types.filter((type) => type === "snapshot").length).toBe(1);
  expect(follower.revisions.length).toBe(60);
  expect(isInOrder(follower.revisions)).toBe(true);
  expect(Object.fromEntries(follower.keys)).toEqual(await present(edge, "k/"));
});

it("[EC15] over HTTP it asks, and continues over a socket when one opens", async () => {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  const { client, follower } = await followed({ prefix: "k/" }, edge);
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

it("[EC15] a repeated change is delivered once, and a change for another watch not at all", async () => {
  const { edge, follower } = await followed({ after: 0 });
  await write(edge, 1, 3);
  await edge.time.pass(100);
  const watch = edge.arrived.at(-1)?.input["watch"];
  const change = { revision: 3, group: 3, key: "k/3", op: "set", value: 3, by: null };
  edge.connections[0]?.notify("state.changes", { watch, after: 0, changes: [change], revision: 3 });
  const other = { watch: "other", after: 3, changes: [{ ...change, revision: 4, group: 4 }], revision: 4 };
  edge.connections[0]?.notify("state.changes", other);
  await edge.time.pass(100);
  expect(follower.revisions).toEqual([1, 2, 3]);
});

it("[EC35] a frame that is lost on an open connection is noticed with the next one, and requested", async () => {
  const edge = new FakeEdge();
  edge.pace.changesPerFrame = 1;
  const { follower } = await followed({ prefix: "k/", after: 0 }, edge);
  for (let round = 1; round <= 40; round += 4) {
    await write(edge, round, round);
    // What is for nobody moves no place.
    await edge.host.call("state.set", { key: "other", value: round });
    edge.tell();
    await edge.time.pass(100);
    edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes(`"value":${round + 1}}`);
    await write(edge, round + 1, round + 1);
    await edge.time.pass(100);
    edge.faults.loses = () => false;
    await write(edge, round + 2, round + 3);
    await edge.time.pass(200);
  }
  const told = follower.events.flatMap((event) => (event.type === "changes" ? event.changes : []));
  expect(told.map(({ value: text }) => text)).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
  expect([edge.count("state.watch"), edge.upgrades.length]).toEqual([11, 1]);
});

it("[EC36] a watch can begin after a revision", async () => {
  const edge = new FakeEdge();
  await write(edge, 1, 10);
  const { follower } = await followed({ prefix: "k/", after: 6 }, edge);
  expect(follower.revisions).toEqual([7, 8, 9, 10]);
});

it("[EC37] closing a watch ends its events, and nothing more is sent", async () => {
  const { edge, follower } = await followed();
  follower.close();
  await edge.time.pass(100);
  await write(edge, 1, 3);
  await edge.time.pass(10_000);
  expect(follower.types).toEqual(["snapshot"]);
});

it("[EC37] a watch that cannot continue says why, and ends", async () => {
  const { edge, client, follower } = await followed();
  client.close();
  await edge.time.pass(100);
  expect(follower.events.at(-1)).toMatchObject({ type: "failed", error: { code: "closed" } });
  const other = aClient(edge);
  edge.faults.refuses = ({ name }) => (name === "state.list" ? { code: "forbidden", message: "not yours" } : null);
  const refused = new Follower(other.client);
  await edge.time.pass(100);
  expect(refused.events).toEqual([{ type: "failed", error: { code: "forbidden", message: "not yours" } }]);
});

it("[EC15] a watch that was refused over HTTP, after a socket had opened, continues over the socket", async () => {
  const { edge, client } = await onEdge();
  edge.faults.refusesSockets = true;
  edge.closeAll();
  await edge.time.untilTrue(() => client.state === "disconnected");
  const follower = new Follower(client, { prefix: "k/", after: 0 });
  edge.faults.refuses = ({ way, name }) => {
    if (way === "http" && name === "state.watch") {
      // Its answer takes so long that a socket opens before.
      edge.faults.latencyMs = 9_000;
      edge.faults.refusesSockets = false;
      edge.time.setTimer(() => void (edge.faults.latencyMs = 5), 1);
    }
    return null;
  };
  await edge.time.untilTrue(() => edge.count("state.watch", "http") > 0);
  await edge.time.untilTrue(() => client.state === "connected");
  await edge.time.pass(20_000);
  await write(edge, 0, 4);
  await edge.time.pass(1_000);
  expect([follower.types.includes("failed"), follower.keys.size]).toEqual([false, 5]);
});

it("[EC16] [EC15] a watch delivers what exists, then each change, in order and once", async () => {
  const edge = new FakeEdge();
  await write(edge, 1, 3);
  await edge.host.call("state.set", { key: "other", value: 1 });
  const { follower } = await followed({ prefix: "k/" }, edge);
  expect(follower.events).toEqual([
    {
      type: "snapshot",
      revision: 4,
      entries: [1, 2, 3].map((at) => ({ key: `k/${at}`, value: at, version: at })),
    },
  ]);
  await edge.host.call("state.set", { key: "other", value: 2 });
  await write(edge, 4, 5);
  await edge.host.call("state.delete", { key: "k/1" });
  edge.tell();
  await edge.time.pass(100);
  expect(follower.revisions).toEqual([6, 7, 8]);
  expect(Object.fromEntries(follower.keys)).toEqual(await present(edge, "k/"));
  expect(edge.count("state.changes")).toBe(0);
});

it("[EC16] what was compacted meanwhile is replaced by all that is there @night", async () => {
  for (const refusesSockets of [false, true]) {
    const edge = new FakeEdge();
    edge.faults.refusesSockets = refusesSockets;
    await edge.host.call("settings.set", { settings: { keepChangesMs: 60_000 } }, admin);
    const hourMs = 3_600_000;
    const { follower } = await followed({ prefix: "k/" }, edge);
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
    expect(follower.types[0]).toBe("snapshot");
    expect(follower.types.lastIndexOf("snapshot")).toBeGreaterThan(0);
    expect(follower.keys).toEqual(new Map(Object.entries(await present(edge, "k/"))));
    expect(follower.types.at(-1)).toBe("changes");
  }
});

it("[EC16] a snapshot of several pages is of one moment, whatever changes while it is read", async () => {
  const edge = new FakeEdge();
  for (let from = 1_000; from < 2_300; from += 100) {
    const writes = Array.from({ length: 100 }, (_, at) => ({ op: "set", key: `k/${from + at}`, value: 0 }) as const);
    await edge.host.call("state.update", { writes });
  }
  const { client } = aClient(edge);
  let pages = 0;
  edge.faults.refuses = ({ name }) => {
    if (name !== "state.list") return null;
    pages += 1;
    // A key that was read, one that comes yet, one that goes, and one that is new.
    void edge.host.call("state.set", { key: "k/1001", value: pages });
    void edge.host.call("state.set", { key: "k/2200", value: pages });
    void edge.host.call("state.delete", { key: `k/${1_010 + pages}` });
    void edge.host.call("state.set", { key: `k/0-${pages}`, value: pages });
    return null;
  };
  const follower = new Follower(client, { prefix: "k/" });
  await edge.time.untilTrue(() => follower.events.length > 0);
  const [event] = follower.events;
  expect(pages).toBe(3);
  if (event?.type !== "snapshot") throw new Error("no snapshot");
  const then = Object.fromEntries(event.entries.map((entry) => [entry.key, entry.value]));
  expect(then).toEqual(await present(edge, "k/"));
  expect(event.entries.map(({ key }) => key)).toEqual(event.entries.map(({ key }) => key).toSorted());
  follower.close();
});
