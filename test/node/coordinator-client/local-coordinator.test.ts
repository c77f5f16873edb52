import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Json } from "#src/contract/values.ts";
import { openLocalCoordinator, WorkspaceClient } from "#src/coordinator-client/client.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { callsOf, LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { backUp } from "#src/store/copy-store.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Store } from "#src/store/store.ts";
import { CallLostError } from "#src/runtime/runtime.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";
import { codeOf, given } from "#harness/coordinator/peers.ts";
import { FakeProcesses, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { T0, tempHome } from "#harness/store/store-test.ts";

/** One machine: a process table, a clock, and a coordinator for each process that opens the file. */
class Machine {
  readonly processes = new FakeProcesses();
  readonly #home = tempHome().home;
  readonly path = join(this.#home, "coordination", "coordination.db");
  now = T0 + 100_000_000_000;

  readonly #clock = (): number => this.now;

  store(): Store {
    const store = createLocalStore({ home: this.#home, driver: openBetterSqlite3, now: this.#clock, busyMs: 1_000 });
    onTestFinished(() => store.close());
    return store;
  }

  open(): LocalCoordinator {
    const { processes } = this;
    return new LocalCoordinator({ store: this.store(), processes, machine: "here", now: this.#clock });
  }

  /** A chat whose life is that of a new process. */
  chat(at: LocalCoordinator, chat: string, pid: number, more: object = {}): { chat: string; incarnation: number } {
    const process = processKey(this.processes.start(pid));
    const about = { chat, session: chat, machine: "here", client: "test", process, ...more };
    const { incarnation } = given(at.call("chats.register", about));
    return { chat, incarnation };
  }
}

const it = test.extend("machine", () => new Machine()).extend("at", ({ machine }) => machine.open());

it("two processes on one file see each other's chats, leases and state", ({ machine }) => {
  const [one, other] = [machine.open(), machine.open()];
  const a = machine.chat(one, "a", 10);
  const b = machine.chat(other, "b", 11);
  expect(one.call("leases.acquire", { self: a, resource: "x", requestId: "r" })).toMatchObject({ ok: true });
  expect(codeOf(other.call("leases.acquire", { self: b, resource: "x", requestId: "r" }))).toBe("lease_held");
  one.call("state.set", { key: "k", value: 1 });
  expect(other.call("state.get", { key: "k" })).toMatchObject({ ok: true, value: { entry: { value: 1 } } });
  expect(given(other.call("chats.list", {})).chats.map(({ chat }) => chat)).toEqual(["a", "b"]);
});

it("reading makes nothing: the file comes with the first write", ({ machine, at }) => {
  expect(at.call("health", {})).toMatchObject({ ok: true, value: { chats: 0, schemaVersion: 0 } });
  expect(at.call("state.get", { key: "k" })).toMatchObject({ ok: true, value: { entry: null } });
  expect(existsSync(machine.path)).toBe(false);
});

it("a living process needs no heartbeat: its chat stays, and so does what is bound to it", ({ machine, at }) => {
  const self = machine.chat(at, "a", 10);
  at.call("leases.acquire", { self, resource: "x", requestId: "r", isBound: true });
  machine.now += 3_600_000;
  expect(machine.open().call("leases.list", {})).toMatchObject({ value: { leases: [{ resource: "x", holder: "a" }] } });
  expect(at.call("chats.get", { chat: "a" })).toMatchObject({ value: { status: "idle" } });
  given(at.call("chats.unregister", { self }));
  machine.now += 120_000;
  const left = { status: "offline", isConnected: false, lastSeenAgeMs: 120_000 };
  expect(at.call("chats.get", { chat: "a" })).toMatchObject({ value: left });
});

it("a chat whose process is gone is attested dead by the next caller, and what it held is free at once", () => {
  const machine = new Machine();
  const [one, other] = [machine.open(), machine.open()];
  const a = machine.chat(one, "a", 10);
  const b = machine.chat(other, "b", 11);
  one.call("leases.acquire", { self: a, resource: "x", requestId: "r" });
  other.call("leases.acquire", { self: b, resource: "x", requestId: "r", waitMs: 60_000 });
  machine.processes.kill(10);
  machine.now += 1_000;
  const granted = other.call("leases.acquire", { self: b, resource: "x", requestId: "r" });
  expect(granted).toMatchObject({ value: { state: "granted", lease: { holder: "b" } } });
  expect(other.call("chats.get", { chat: "a" })).toMatchObject({ value: { status: "offline", reason: "attested" } });
});

it("a reused process id is another process; one that cannot be seen from here is not attested", ({ machine, at }) => {
  machine.chat(at, "a", 10);
  machine.processes.start(10);
  machine.now += 1_000;
  expect(at.call("chats.get", { chat: "a" })).toMatchObject({ value: { status: "offline" } });
  const elsewhere = { boot: "boot-1 another namespace", pid: 12, start: "5" };
  const chat = { chat: "c", session: "c", machine: "here", client: "test" };
  at.call("chats.register", { ...chat, process: processKey(elsewhere) });
  machine.now += 20_000;
  expect(at.call("chats.get", { chat: "c" })).toMatchObject({ value: { status: "idle" } });
  machine.now += 10_000;
  expect(at.call("chats.get", { chat: "c" })).toMatchObject({ value: { status: "offline", reason: "timeout" } });
});

const deep = (depth: number): Json => JSON.parse("[".repeat(depth) + "]".repeat(depth)) as Json;

it("a refused operation leaves nothing, and input is checked as on the edge", ({ at }) => {
  const [set, check] = [{ op: "set", key: "a", value: 1 } as const, { op: "check", key: "b", ifVersion: 7 } as const];
  expect(codeOf(at.call("state.update", { writes: [set, check] }))).toBe("version_mismatch");
  expect(at.call("state.list", {})).toMatchObject({ value: { entries: [] } });
  expect(codeOf(at.call("state.set", { key: "$chat/a", value: 1 }))).toBe("bad_input");
  expect(codeOf(at.call("tokens.list", {}))).toBe("bad_input");
  const values = [deep(99), deep(101), deep(100_000), JSON.parse('{"a":[{"__proto__":1}]}') as Json];
  const codes = values.map((value) => codeOf(at.call("state.set", { key: "k", value })));
  expect(codes).toEqual(["ok", "bad_input", "bad_input", "bad_input"]);
});

it("a caller learns of the changes of others, not of its own, of reads or of refusals", ({ machine, at }) => {
  const [one, other] = [1, 2].map(() => callsOf(at, () => undefined));
  const reported: string[] = [];
  const endings = [one?.onCommit(() => reported.push("one")), other?.onCommit(() => reported.push("other"))];
  void one?.call("state.set", { key: "k", value: 1 }, 0);
  void one?.call("state.get", { key: "k" }, 0);
  void one?.call("state.set", { key: "k", value: 2, ifVersion: 7 }, 0);
  expect(reported).toEqual(["other"]);
  machine.chat(at, "a", 10);
  machine.processes.kill(10);
  machine.now += 2_000;
  reported.length = 0;
  // What was due is not its own.
  void one?.call("state.get", { key: "k" }, 0);
  expect(reported).toEqual(["one", "other"]);
  for (const end of endings) end?.();
  void one?.call("state.set", { key: "k", value: 3 }, 0);
  expect(reported).toEqual(["one", "other"]);
});

it("a chat hears of each commit of others, outlives the file, and claims nothing of a lost call", async () => {
  const [machine, time] = [new Machine(), new FakeTime()];
  const began = machine.now;
  time.onPassing(async () => void (machine.now = began + time.now));
  const other = machine.open();
  const calls = callsOf(other, () => undefined);
  const clock = { monotonic: () => time.now, wall: () => machine.now };
  const client = WorkspaceClient.openLocal(calls, { setTimer: time.setTimer, clock, random: () => 0.5 });
  onTestFinished(() => client.close());
  const process = processKey(machine.processes.start(10));
  const about = { chat: "a", session: "a", machine: "here", client: "test", process };
  given(await time.until(client.register(about)));
  const hints: string[] = [];
  client.onHint((hint) => hints.push(hint));
  for (let times = 1; times <= 2; times++) {
    given(other.call("state.set", { key: "k", value: times }));
    await time.pass(100);
    expect(hints).toHaveLength(times);
  }
  rmSync(join(machine.path, ".."), { recursive: true });
  expect(codeOf(await time.until(client.call("messages.pull", {})))).toBe("unknown_chat");
  await time.pass(100);
  expect(codeOf(await time.until(client.call("messages.pull", {})))).toBe("ok");
  calls.call = () => {
    throw new CallLostError("the host has ended", true);
  };
  expect(codeOf(await time.until(client.call("state.set", { key: "k", value: 3 })))).toBe("outcome_unknown");
});

it("a file that is lost under a process, or repaired from one backup twice, gives no fencing token a second time", async () => {
  const machine = new Machine();
  let pid = 10;
  const tokenBy = (at: LocalCoordinator): number => {
    const self = machine.chat(at, `c${pid}`, pid++);
    const taken = at.call("leases.acquire", { self, resource: `x${pid}`, requestId: "r" });
    return taken.ok && taken.value.state === "granted" ? taken.value.lease.token : -1;
  };
  const at = machine.open();
  const tokens = [tokenBy(at)];
  rmSync(join(machine.path, ".."), { recursive: true });
  machine.now += 60_000;
  tokens.push(tokenBy(at));
  const copy = readFileSync(await backUp(machine.store(), machine.now, 5));
  for (let times = 0; times < 2; times++) {
    machine.now += 60_000;
    rmSync(join(machine.path, ".."), { recursive: true });
    const backups = join(machine.path, "..", "backups");
    mkdirSync(backups, { recursive: true });
    writeFileSync(join(backups, "000001-2026-01-01T00-00-00.000Z.db"), copy);
    writeFileSync(machine.path, Buffer.alloc(8_192, 0xff));
    const repaired = machine.open();
    tokens.push(tokenBy(repaired));
    // What the backup had.
    expect(codeOf(repaired.call("chats.get", { chat: "c11" }))).toBe("ok");
  }
  expect(tokens).toEqual([...new Set(tokens)].toSorted((one, other) => one - other));
  expect(tokens[0]).toBeGreaterThan(0);
});

it("tasks are dispatched at once, however many, and those of a dead chat by the next caller", ({ machine, at }) => {
  for (const [n, name] of ["a", "b"].entries()) machine.chat(at, name, 10 + n, { taskTypes: ["*"], capacity: 100 });
  const loads = () => given(at.call("tasks.load", {})).chats.map((one) => `${one.chatId} ${one.currentTasks}`);
  given(at.call("tasks.submit", { tasks: Array.from({ length: 150 }, () => ({ type: "build" })) }));
  expect(loads()).toEqual(["a 75", "b 75"]);
  machine.processes.kill(10);
  machine.now += 2_000;
  given(at.call("state.set", { key: "k", value: 1 }));
  expect(loads()).toEqual(["b 100"]);
});

it("the users of a home in one process share a coordinator, which is closed with the last of them, once each", () => {
  const runtime = tempRuntime();
  const [one, other] = [openLocalCoordinator(runtime), openLocalCoordinator(runtime)];
  for (let times = 0; times < 2; times++) one.close();
  const third = openLocalCoordinator(runtime);
  expect([other.coordinator === one.coordinator, third.coordinator === one.coordinator]).toEqual([true, true]);
  for (const { close } of [other, third]) close();
  const later = openLocalCoordinator(runtime);
  expect(later.coordinator).not.toBe(one.coordinator);
  later.close();
});
