import { expect, it } from "vitest";
import type { Watch, WatchEvent } from "../../src/local-mcp/edge/watch.ts";
import type { Json } from "../../src/contract/values.ts";
import { aClient, registered, value } from "../support/edge-chats.ts";
import { FakeEdge } from "../support/edge-server.ts";
import { admin } from "../support/engine-host.ts";

/** Takes out all that comes, and keeps what whoever applies it would have. */
class Follower {
  readonly events: WatchEvent[] = [];
  readonly revisions: number[] = [];
  readonly keys = new Map<string, Json>();
  isOver = false;

  constructor(watch: Watch) {
    void this.#follow(watch);
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  async #follow(watch: Watch): Promise<void> {
    for await (const event of watch) this.#apply(event);
    this.isOver = true;
  }

  #apply(event: WatchEvent): void {
    this.events.push(event);
    if (event.type === "snapshot") {
      this.keys.clear();
      for (const { key, value: text } of event.entries) this.keys.set(key, text);
    } else if (event.type === "changes") {
      for (const { key, op, value: text, revision } of event.changes) {
        this.revisions.push(revision);
        if (op === "set") this.keys.set(key, text);
        else this.keys.delete(key);
      }
    }
  }
}

async function write(edge: FakeEdge, from: number, to: number, prefix = "k/"): Promise<void> {
  for (let at = from; at <= to; at++) await edge.host.call("state.set", { key: `${prefix}${at % 7}`, value: at });
  edge.tell();
}

async function present(edge: FakeEdge, prefix: string): Promise<Record<string, Json>> {
  const { entries } = value(await edge.host.call("state.list", { prefix, limit: 500 }));
  return Object.fromEntries(entries.map((entry) => [entry.key, entry.value]));
}

function isInOrder(numbers: readonly number[]): boolean {
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0));
}

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

it("[EC15] changes of one update stand in one event", async () => {
  const edge = new FakeEdge();
  const { client } = aClient(edge);
  const follower = new Follower(client.watch());
  await edge.time.pass(100);
  const writes = Array.from({ length: 12 }, (_, at) => ({ op: "set", key: `k${at}`, value: at }) as const);
  await edge.host.call("state.update", { writes });
  edge.tell();
  await edge.time.pass(100);
  expect(follower.events.at(-1)).toMatchObject({ type: "changes", changes: { length: 12 } });
});

it("[EC15] a watch goes on over lost connections, without gap and without repetition", async () => {
  const edge = new FakeEdge();
  const { client } = await registered(edge, "a");
  const follower = new Follower(client.watch({ prefix: "k/" }));
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

it("[EC15] over HTTP it asks, and goes on over a socket when one opens", async () => {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  const { client } = aClient(edge);
  const follower = new Follower(client.watch({ prefix: "k/" }));
  await edge.time.pass(100);
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

it("[EC15] who takes events out slowly is told slowly, and misses nothing", async () => {
  const edge = new FakeEdge();
  const { client } = aClient(edge);
  const watch = client.watch({ after: 0 });
  await edge.time.pass(100);
  await write(edge, 1, 300);
  await edge.time.pass(1_000);
  expect(edge.count("state.watch")).toBeLessThan(10);
  const seen: number[] = [];
  for (let waits = 0; seen.length < 300 && waits < 2_000; waits++) {
    const { value: event } = await edge.time.until(watch.next());
    if (event?.type === "changes") seen.push(...event.changes.map(({ revision }) => revision));
    await edge.time.pass(20);
  }
  expect(seen.length).toBe(300);
  expect(isInOrder(seen)).toBe(true);
  expect(watch.revision).toBe(300);
});

it("[EC15] what is pushed faster than anybody takes it out is asked for again, without gap", async () => {
  const edge = new FakeEdge();
  Object.assign(edge.pace, { maxBehind: 10_000, changesPerFrame: 1 });
  const { client } = aClient(edge);
  const watch = client.watch({ after: 0 });
  await edge.time.pass(100);
  await write(edge, 1, 150);
  await edge.time.pass(1_000);
  const seen: number[] = [];
  for (let at = 151; seen.length < 200; at++) {
    const { value: event } = await edge.time.until(watch.next());
    if (event?.type === "changes") seen.push(...event.changes.map(({ revision }) => revision));
    // What is on its way while it asks anew belongs to the watch before.
    if (at <= 200) await write(edge, at, at);
    if (at % 3 === 0) await edge.time.pass(3);
  }
  expect(seen).toEqual(Array.from({ length: 200 }, (_, at) => at + 1));
  expect(edge.count("state.watch")).toBeGreaterThan(1);
});

it("[EC15] what a coordinator tells twice is told once, and what it tells to another watch not at all", async () => {
  const edge = new FakeEdge();
  const { client } = aClient(edge);
  const follower = new Follower(client.watch({ after: 0 }));
  await edge.time.pass(100);
  await write(edge, 1, 3);
  await edge.time.pass(100);
  const watch = edge.arrived.at(-1)?.input["watch"];
  const change = { revision: 3, group: 3, key: "k/3", op: "set", value: 3, by: null };
  edge.connections[0]?.notify("state.changes", { watch, changes: [change], revision: 3 });
  const other = { watch: "other", changes: [{ ...change, revision: 4, group: 4 }], revision: 4 };
  edge.connections[0]?.notify("state.changes", other);
  await edge.time.pass(100);
  expect(follower.revisions).toEqual([1, 2, 3]);
});

it("[EC15] a watch can begin behind a revision", async () => {
  const edge = new FakeEdge();
  await write(edge, 1, 10);
  const { client } = aClient(edge);
  const follower = new Follower(client.watch({ prefix: "k/", after: 6 }));
  await edge.time.pass(100);
  expect(follower.revisions).toEqual([7, 8, 9, 10]);
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
  expect(then).toEqual(await present1300(edge));
  expect(event.entries.map(({ key }) => key)).toEqual(event.entries.map(({ key }) => key).toSorted());
  watch.close();
});

async function present1300(edge: FakeEdge): Promise<Record<string, Json>> {
  const found: Record<string, Json> = {};
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: Awaited<ReturnType<typeof edge.host.call<"state.list">>> = await edge.host.call("state.list", {
      prefix: "k/",
      limit: 500,
      cursor,
    });
    for (const entry of value(page).entries) found[entry.key] = entry.value;
    cursor = value(page).cursor;
  }
  return found;
}

it("[EC15] the end of a watch ends the loop over it, and the coordinator tells it nothing more", async () => {
  const edge = new FakeEdge();
  const { client } = aClient(edge);
  const watch = client.watch();
  const follower = new Follower(watch);
  await edge.time.pass(100);
  watch.close();
  await edge.time.pass(100);
  expect(follower.isOver).toBe(true);
  await write(edge, 1, 3);
  await edge.time.pass(10_000);
  expect(follower.types).toEqual(["snapshot"]);
  expect(await watch.next()).toEqual({ done: true, value: undefined });
});

it("[EC15] a watch that cannot go on says why, and ends", async () => {
  const edge = new FakeEdge();
  const { client } = aClient(edge);
  const follower = new Follower(client.watch());
  await edge.time.pass(100);
  client.close();
  await edge.time.pass(100);
  expect(follower.events.at(-1)).toMatchObject({ type: "failed", error: { code: "closed" } });
  expect(follower.isOver).toBe(true);
  const other = aClient(edge);
  edge.faults.refuses = ({ name }) => (name === "state.list" ? { code: "forbidden", message: "not yours" } : null);
  const refused = new Follower(other.client.watch());
  await edge.time.pass(100);
  expect(refused.events).toEqual([{ type: "failed", error: { code: "forbidden", message: "not yours" } }]);
});
