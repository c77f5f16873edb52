import { expect } from "vitest";
import { type InputOf, operationNames, operations } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { codeOf, Peer, ask, given, refusal, refused, set, toAll } from "#harness/coordinator/peers.ts";
import { submit } from "#harness/coordinator/tasks.ts";
import { later, day } from "#harness/coordinator/times.ts";
import { get, happened, revision, rowsWritten } from "#harness/coordinator/views.ts";
import { it } from "./rule-test.ts";

it("the same id with another request is refused and changes nothing", async ({ host }) => {
  const write = { key: "a", value: { n: 1 }, requestId: "r1" };
  await ask(host, "state.set", write);
  const before = await revision(host);
  const others: InputOf<"state.set">[] = [
    { ...write, key: "b" },
    { ...write, value: { n: 2 } },
    { ...write, value: { n: 1, m: null } },
    { ...write, ttlMs: 1_000 },
    { ...write, ifVersion: 0 },
    { ...write, guard: { resource: "x", token: 1 } },
  ];
  const reused = { code: "key_reused", message: expect.stringContaining("r1") as string };
  for (const other of others) expect(await refusal(host, "state.set", other)).toMatchObject(reused);
  expect(await revision(host)).toBe(before);
  expect(await get(host, "a")).toMatchObject({ value: { n: 1 } });
});

it("only successes are kept: a refused request is judged anew under its id", async ({ host }) => {
  const write = { key: "a", value: 1, ifVersion: 1, requestId: "r1" };
  expect((await refusal(host, "state.set", write)).code).toBe("version_mismatch");
  await set(host, "a", 0);
  const { version } = await ask(host, "state.set", write);
  expect(await get(host, "a")).toMatchObject({ value: 1, version });
});

it("an id is known for a day, to its last instant, swept or not", async ({ open }) => {
  for (const isSwept of [false, true]) {
    const host = await open();
    const write = { key: "a", value: 1, requestId: "r1" };
    const { version } = await ask(host, "state.set", write);
    host.wait(day - 1);
    if (isSwept) await host.ring();
    expect(await ask(host, "state.set", write)).toEqual({ version });
    expect((await refusal(host, "state.set", { ...write, value: 2 })).code).toBe("key_reused");
    host.wait(1);
    if (isSwept) await host.ring();
    expect((await ask(host, "state.set", { ...write, value: 2 })).version).toBeGreaterThan(version);
    expect(await get(host, "a")).toMatchObject({ value: 2 });
    // And it is known again, for another day.
    expect((await refusal(host, "state.set", write)).code).toBe("key_reused");
  }
});

it("one id of two chats or operations is two requests", async ({ host, c1: one, c2: other, c3: reader }) => {
  await one.send(toAll, "from one", { requestId: "r1" });
  await other.send(toAll, "from other", { requestId: "r1" });
  expect(await reader.bodies()).toEqual(["from one", "from other"]);
  await set(host, "a", 1, { requestId: "r1", by: "c1" });
  await set(host, "a", 2, { requestId: "r1", by: "c2" });
  await set(host, "a", 3, { requestId: "r1" });
  await ask(host, "state.update", { writes: [{ op: "set", key: "a", value: 4 }], requestId: "r1" });
  await ask(host, "state.delete", { key: "a", requestId: "r1" });
  expect((await happened(host, "a")).map(({ value }) => value)).toEqual([1, 2, 3, 4, null]);
});

it("a restarted chat repeats its own request", async ({ host, c1: from, c2: to }) => {
  const id = await from.send(toAll, "once", { requestId: "r1" });
  const before = from.incarnation;
  await from.leave();
  from.registration.process = "boot-1/2/200";
  await from.back();
  await later(host, 1_000, to);
  expect(from.incarnation).toBe(before + 1);
  expect(await from.send(toAll, "once", { requestId: "r1" })).toBe(id);
  expect(await to.bodies()).toEqual(["once"]);
});

const theirActor: Actor = { machine: "m2", isAdmin: true };
const ownActor: Actor = { machine: "m1", isAdmin: true };

/** Operations that change something and take a request id, each with two requests of which either would succeed by itself. */
const two = (mine: object, other: object): [object, object] => [mine, other];
const by = "c1";
const key = "0123456789abcdef";
const twice: Partial<Record<EngineOperation, (chat: string) => [object, object]>> = {
  "state.set": () => two({ key: "a", value: 1, by }, { key: "b", value: 2, by }),
  "state.delete": () => two({ key: "d1", by }, { key: "d2", by }),
  "state.update": () =>
    two({ writes: [{ op: "set", key: "u1", value: 1 }], by }, { writes: [{ op: "set", key: "u2", value: 1 }], by }),
  "messages.send": (chat) => {
    const sent = { self: { chat, incarnation: 1 }, target: toAll };
    return two({ ...sent, body: 1 }, { ...sent, body: 2 });
  },
  "tasks.submit": () => two({ tasks: [{ type: "x" }], by }, { tasks: [{ type: "y" }], by }),
  "plans.submit": () => {
    const [one, other] = ["one", "two"].map((title) => ({ job: { title, text: "do it" }, type: "x", by }));
    return two(one ?? {}, other ?? {});
  },
  "sync.rekey": () => two({ keyId: key, from: key }, { keyId: key, from: key.replace("0", "1") }),
  "sync.purge": (chat) => two({ device: `d1-${chat}` }, { device: `d2-${chat}` }),
  "leases.force-release": () => two({ resource: "f1", reason: "r" }, { resource: "f2", reason: "r" }),
  "chats.drain": (chat) => two({ chat, reason: "one" }, { chat, reason: "two" }),
  // Tasks 1 and 2 are dead, 3 and 4 are queued.
  "tasks.replay": () => two({ task: 1 }, { task: 2 }),
  "tasks.discard": () => two({ task: 1, reason: "r" }, { task: 2, reason: "r" }),
  "tasks.cancel": () => two({ task: 3, reason: "r" }, { task: 4, reason: "r" }),
  "epoch.raise": () => two({ reason: "one" }, { reason: "two" }),
};
/** Their ids belong to the chat that acts, which only a token of its machine, or an admin's, can do. */
const ofChats = ["leases.acquire", "leases.cancel-wait", "elections.campaign", "tasks.claim"];
/** Of the host: test/workers. */
const ofHosts = ["tokens.create"];

it("every operation with a request id is tried below", () => {
  const names = operationNames.filter((name) => "requestId" in operations[name].input.shape);
  expect(names.toSorted()).toEqual([...Object.keys(twice), ...ofChats, ...ofHosts].toSorted());
});

it.for(Object.keys(twice) as EngineOperation[])(
  "a repeat changes nothing, and no machine meets the request id of another: %s",
  async (name, { host }) => {
    for (const key of ["d1", "d2"]) await set(host, key, 1);
    await Peer.join(host, "c1");
    await Peer.join(host, "c2", { machine: "m2" });
    const hand = await Peer.join(host, "w");
    for (const task of await submit(host, { type: "x" }, { type: "x" })) {
      expect(task).toBeLessThan(3);
      await hand.nack(await hand.take(), { isRetryable: false });
    }
    await submit(host, { type: "x" }, { type: "x" });
    for (const chat of ["c1", "c2"]) {
      for (const device of [`d1-${chat}`, `d2-${chat}`]) {
        const put = { device, keyId: "0123456789abcdef", forgotten: [{ session: "s1" }] };
        given(await host.call("sync.put", put, chat === "c1" ? ownActor : theirActor));
      }
    }
    const inputs = (chat: string) =>
      (twice[name]?.(chat) ?? []).map((one) => Object.assign(one, { requestId: "same" }) as never);
    const [mine, other] = inputs("c1") as [never, never];
    const [, theirs] = inputs("c2") as [never, never];
    const first = given(await host.call(name, mine, ownActor));
    const repeat = async (): Promise<void> => {
      const again = given(await host.call(name, mine, ownActor));
      // A message's answer says that it is one.
      expect({ ...again, isRepeat: null }).toEqual({ ...first, isRepeat: null });
    };
    expect(await rowsWritten(host, repeat)).toBe(0);
    expect(codeOf(await host.call(name, other, ownActor))).toBe("key_reused");
    // Neither swallowed as a repeat of the first one's nor refused as a misuse of it.
    const before = await host.rowsWritten();
    given(await host.call(name, theirs, theirActor));
    expect((await host.rowsWritten()) - before).toBeGreaterThan(0);
  },
);

it("a delete or an update that changes nothing writes no row and is not remembered", async ({ host }) => {
  await set(host, "there", 1);
  const gone = { key: "a", requestId: "r" };
  expect(await rowsWritten(host, () => ask(host, "state.delete", gone))).toBe(0);
  const check = { op: "check", key: "there", ifVersion: 1 } as const;
  const nothing = { writes: [{ op: "delete" as const, key: "a" }, check], requestId: "r" };
  expect(await rowsWritten(host, () => ask(host, "state.update", nothing))).toBe(0);
  await set(host, "a", 1);
  expect(await ask(host, "state.delete", gone)).toMatchObject({ isDeleted: true });
  await set(host, "a", 2);
  expect(await ask(host, "state.delete", gone)).toMatchObject({ isDeleted: true });
  expect((await ask(host, "state.get", { key: "a" })).entry).toMatchObject({ value: 2 });
});

it("a machine's request ids are limited until the oldest is a day old", async ({ host }) => {
  await ask(host, "settings.set", { settings: { maxRequestIdsPerMachine: 100 } });
  const write = (actor: Actor, at: number) =>
    host.call("state.set", { key: "k", value: at, requestId: `r${at}` }, actor);
  for (let at = 0; at < 100; at++) {
    given(await write(ownActor, at));
    host.wait(1_000);
  }
  const full = refused(await write(ownActor, 100));
  expect(full).toMatchObject({ code: "throttled", retryAfterMs: day - 100_000 });
  expect(full.message).toContain("maxRequestIdsPerMachine");
  expect(await rowsWritten(host, () => write(ownActor, 3))).toBe(0);
  given(await write(theirActor, 100));
  given(await host.call("state.set", { key: "k", value: "without an id" }, ownActor));
  host.wait(full.retryAfterMs ?? 0);
  given(await write(ownActor, 100));
  expect(refused(await write(ownActor, 101))).toMatchObject({ code: "throttled", retryAfterMs: 1_000 });
});

it("so many characters of results are remembered", async ({ host }) => {
  await ask(host, "settings.set", { settings: { maxRequestCharsPerMachine: 100_000 } });
  const keys = Array.from({ length: 100 }, (_, at) => `${at}`.padStart(500, "k"));
  const writes = keys.map((key) => ({ op: "set" as const, key, value: 1 }));
  const write = (at: number) => host.call("state.update", { writes, requestId: `r${at}` }, ownActor);
  for (let at = 0; at < 3; at++) given(await write(at));
  expect(refused(await write(3)).code).toBe("throttled");
  given(await write(2));
});
