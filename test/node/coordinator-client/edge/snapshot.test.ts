import { expect, it } from "vitest";
import { aClient } from "#harness/edge/edge-clients.ts";
import { Follower, present, write } from "#harness/edge/state-follower.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

it("[EC16] [EC15] a watch tells what is there, then each change, in order and once", async () => {
  const edge = new FakeEdge();
  await write(edge, 1, 3);
  await edge.host.call("state.set", { key: "other", value: 1 });
  const { client } = aClient(edge);
  const follower = new Follower(client.watch({ prefix: "k/" }));
  await edge.time.pass(100);
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

it("[EC16] what was compacted meanwhile is replaced by all that is there", async () => {
  for (const refusesSockets of [false, true]) {
    const edge = new FakeEdge();
    edge.faults.refusesSockets = refusesSockets;
    await edge.host.call("settings.set", { settings: { keepChangesMs: 60_000 } }, admin);
    const hourMs = 3_600_000;
    const { client } = aClient(edge);
    const follower = new Follower(client.watch({ prefix: "k/" }));
    await edge.time.pass(100);
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
  const watch = client.watch({ prefix: "k/" });
  const { value: event } = await edge.time.until(watch.next());
  expect(pages).toBe(3);
  if (event?.type !== "snapshot") throw new Error("no snapshot");
  const then = Object.fromEntries(event.entries.map((entry) => [entry.key, entry.value]));
  expect(then).toEqual(await present(edge, "k/"));
  expect(event.entries.map(({ key }) => key)).toEqual(event.entries.map(({ key }) => key).toSorted());
  watch.close();
});
