import { expect } from "vitest";
import { operationNames, operations, type InputOf } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { codeOf, Peer } from "#harness/coordinator/peers.ts";
import { ask, day, given, refused, rowsWritten, set, toAll } from "#harness/coordinator/state-calls.ts";
import { Hand, submit } from "#harness/coordinator/task-calls.ts";
import type { RowTest } from "./rule-test.ts";

const other: Actor = { machine: "m2", isAdmin: true };
const own: Actor = { machine: "m1", isAdmin: true };

/** Operations that change something and take a request id, each with two requests of which either would succeed by itself. */
type Twice = { readonly [Name in EngineOperation]?: (chat: string) => [InputOf<Name>, InputOf<Name>] };

/** Whose request ids are whose, and how many are remembered. */
export function requestIdRules(it: RowTest): void {
  const requestId = "same";
  const by = "c1";
  const bothSchedules: [{ name: string; requestId: string }, { name: string; requestId: string }] = [
    { name: "d1", requestId },
    { name: "d2", requestId },
  ];
  const twice: Twice = {
    "state.set": () => [
      { key: "a", value: 1, by, requestId },
      { key: "b", value: 2, by, requestId },
    ],
    "state.delete": () => [
      { key: "d1", by, requestId },
      { key: "d2", by, requestId },
    ],
    "state.update": () => [
      { writes: [{ op: "set", key: "u1", value: 1 }], by, requestId },
      { writes: [{ op: "set", key: "u2", value: 1 }], by, requestId },
    ],
    "messages.send": (chat) => [
      { self: { chat, incarnation: 1 }, target: toAll, body: 1, requestId },
      { self: { chat, incarnation: 1 }, target: toAll, body: 2, requestId },
    ],
    "tasks.submit": () => [
      { tasks: [{ type: "x" }], by, requestId },
      { tasks: [{ type: "y" }], by, requestId },
    ],
    "schedules.create": () => [
      { name: "one", cron: "@daily", task: { type: "x" }, requestId },
      { name: "two", cron: "@daily", task: { type: "x" }, requestId },
    ],
    "schedules.pause": () => bothSchedules,
    "schedules.resume": () => bothSchedules,
    "schedules.run": () => bothSchedules,
    "schedules.delete": () => bothSchedules,
    "plans.submit": () => [
      { job: { title: "one", text: "do it" }, type: "x", by, requestId },
      { job: { title: "two", text: "do it" }, type: "x", by, requestId },
    ],
    "sync.rekey": () => [
      { keyId: "0123456789abcdef", from: "0123456789abcdef", requestId },
      { keyId: "0123456789abcdef", from: "1123456789abcdef", requestId },
    ],
    "sync.purge": (chat) => [
      { device: `d1-${chat}`, requestId },
      { device: `d2-${chat}`, requestId },
    ],
    "leases.force-release": () => [
      { resource: "f1", reason: "r", requestId },
      { resource: "f2", reason: "r", requestId },
    ],
    "chats.drain": (chat) => [
      { chat, reason: "one", requestId },
      { chat, reason: "two", requestId },
    ],
    // Tasks 1 and 2 are dead, 3 and 4 are queued.
    "tasks.replay": () => [
      { task: 1, requestId },
      { task: 2, requestId },
    ],
    "tasks.discard": () => [
      { task: 1, reason: "r", requestId },
      { task: 2, reason: "r", requestId },
    ],
    "tasks.cancel": () => [
      { task: 3, reason: "r", requestId },
      { task: 4, reason: "r", requestId },
    ],
    "epoch.raise": () => [
      { reason: "one", requestId },
      { reason: "two", requestId },
    ],
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
    "a machine never meets the request id of another, under any `by`: %s",
    async (name, { host }) => {
      for (const key of ["d1", "d2"]) {
        await set(host, key, 1);
        await ask(host, "schedules.create", { name: key, cron: "@daily", task: { type: "x" } });
      }
      await Peer.join(host, "c1");
      await Peer.join(host, "c2", { machine: "m2" });
      const hand = await Hand.join(host, "w");
      for (const task of await submit(host, { type: "x" }, { type: "x" })) {
        expect(task).toBeLessThan(3);
        await hand.nack(await hand.take(), { isRetryable: false });
      }
      await submit(host, { type: "x" }, { type: "x" });
      for (const chat of ["c1", "c2"]) {
        for (const device of [`d1-${chat}`, `d2-${chat}`]) {
          const put = { device, keyId: "0123456789abcdef", forgotten: [{ session: "s1" }] };
          given(await host.call("sync.put", put, chat === "c1" ? own : other));
        }
      }
      const inputs = twice[name] as (chat: string) => [never, never];
      const [mine, mineAgain] = inputs("c1");
      const [, theirs] = inputs("c2");
      given(await host.call(name, mine, own));
      expect(codeOf(await host.call(name, mineAgain, own))).toBe("key_reused");
      // Neither swallowed as a repeat of the first one's nor refused as a misuse of it.
      const before = await host.rowsWritten();
      given(await host.call(name, theirs, other));
      expect((await host.rowsWritten()) - before).toBeGreaterThan(0);
    },
  );

  it("the same request id of another machine is a new request", async ({ host }) => {
    const on = { key: "flag", value: "on", requestId: "1" };
    const first = given(await host.call("state.set", on, own));
    await set(host, "flag", "off");
    const second = given(await host.call("state.set", on, other));
    expect(second.version).toBeGreaterThan(first.version);
    expect(given(await host.call("state.set", on, own))).toEqual(first);
    const task = { tasks: [{ type: "x" }], by: "c1", requestId: "1" };
    const [one, two] = [
      given(await host.call("tasks.submit", task, own)),
      given(await host.call("tasks.submit", task, other)),
    ];
    expect(one.tasks[0]?.task).not.toBe(two.tasks[0]?.task);
  });

  it("a delete or an update that changes nothing writes no row and is not remembered", async ({ host }) => {
    await set(host, "there", 1);
    const gone = { key: "a", requestId: "r" };
    expect(await rowsWritten(host, () => ask(host, "state.delete", gone))).toBe(0);
    const nothing = {
      writes: [
        { op: "delete" as const, key: "a" },
        { op: "check" as const, key: "there", ifVersion: 1 },
      ],
      requestId: "r",
    };
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
      given(await write(own, at));
      host.wait(1_000);
    }
    const full = refused(await write(own, 100));
    expect(full).toMatchObject({ code: "throttled", retryAfterMs: day - 100_000 });
    expect(full.message).toContain("maxRequestIdsPerMachine");
    expect(await rowsWritten(host, () => write(own, 3))).toBe(0);
    given(await write(other, 100));
    given(await host.call("state.set", { key: "k", value: "without an id" }, own));
    host.wait(full.retryAfterMs ?? 0);
    given(await write(own, 100));
    expect(refused(await write(own, 101))).toMatchObject({ code: "throttled", retryAfterMs: 1_000 });
  });

  it("so many characters of results are remembered", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxRequestCharsPerMachine: 100_000 } });
    const keys = Array.from({ length: 100 }, (_, at) => `${at}`.padStart(500, "k"));
    const writes = keys.map((key) => ({ op: "set" as const, key, value: 1 }));
    const write = (at: number) => host.call("state.update", { writes, requestId: `r${at}` }, own);
    for (let at = 0; at < 3; at++) given(await write(at));
    expect(refused(await write(3)).code).toBe("throttled");
    given(await write(2));
  });
}
