import { evictDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { Connection } from "./connection.ts";
import { counted } from "./costs.ts";
import { type Self, stopClock, TestWorkspace, wait } from "./support.ts";

async function written(workspace: TestWorkspace, work: () => Promise<unknown>): Promise<number> {
  return (await counted(workspace, work)).written;
}

/** A chat with a connection, in a workspace in which others have been before. */
async function busy(): Promise<{ workspace: TestWorkspace; connection: Connection; self: Self }> {
  stopClock();
  const workspace = await TestWorkspace.create();
  await workspace.register("other");
  await workspace.ask("state.set", { key: "before", value: 1 });
  return { workspace, ...(await workspace.join("c1")) };
}

async function take(connection: Connection, self: Self, resource: string): Promise<number> {
  const taken = await connection.ask("leases.acquire", { self, resource, requestId: "q", ttlMs: 60_000 });
  return taken.state === "granted" ? taken.lease.token : 0;
}

it("[DO17] a lease costs at most four rows to take, two to renew and four to give back, while its chat is watched", async () => {
  const { workspace, connection, self } = await busy();
  const first = await written(workspace, () => take(connection, self, "first"));
  let token = 0;
  const next = await written(workspace, async () => (token = await take(connection, self, "next")));
  const renew = (): Promise<unknown> => connection.ask("leases.renew", { self, resource: "next", token });
  wait(1_000);
  const renewed = await written(workspace, renew);
  const released = await written(workspace, () => connection.ask("leases.release", { self, resource: "next", token }));
  expect(token).toBeGreaterThan(0);
  expect(first).toBeLessThanOrEqual(8);
  expect(next).toBeLessThanOrEqual(4);
  expect(renewed).toBeLessThanOrEqual(2);
  expect(released).toBeLessThanOrEqual(4);
});

it("[DO31] a heartbeat without news on a connected chat, a ping, a read and a refusal write nothing", async () => {
  const { workspace, connection, self } = await busy();
  const health = { cpu: 0.52, memory: 0.31, uptimeMs: 1_000 };
  await connection.ask("chats.heartbeat", { self, status: "busy", taskCount: 1, progress: "half", health });
  // As long as a client waits for its next ping.
  wait(10_000);
  const same = { self, status: "busy", taskCount: 1, progress: "half" } as const;
  expect(
    await written(workspace, async () => {
      await connection.ask("chats.heartbeat", { self });
      await connection.ask("chats.heartbeat", { ...same, health: { cpu: 0.53, memory: 0.32, uptimeMs: 16_000 } });
      connection.send("ping");
      expect(await connection.text()).toBe("pong");
      await workspace.ask("chats.list", {});
      await workspace.ask("state.get", { key: "before" });
      await workspace.ask("health", {});
      await connection.ask("messages.pull", { self });
      expect(await connection.refusal("state.set", { key: "before", value: 2, ifVersion: 99 })).toBe(
        "version_mismatch",
      );
      expect(await connection.refusal("state.set", { key: "", value: 2 })).toBe("bad_input");
    }),
  ).toBe(0);
  const news = await written(workspace, () => connection.ask("chats.heartbeat", { ...same, progress: "done" }));
  expect(news).toBeLessThanOrEqual(1);
});

it("[DO31] a watch and its acknowledgement write nothing", async () => {
  const { workspace, connection } = await busy();
  const rows = await written(workspace, async () => {
    await connection.ask("state.watch", { watch: "w", prefix: "a", after: 0 });
    connection.send({ jsonrpc: "2.0", method: "state.watch-ack", params: { watch: "w", revision: 1 } });
    await connection.ask("state.unwatch", { watch: "w" });
  });
  expect(rows).toBe(0);
});

it("[DO17] no operation writes more rows than it needs", async () => {
  const { workspace, connection, self } = await busy();
  const target = { to: "all" } as const;
  const over: string[] = [];
  const atMost = async (rows: number, name: string, work: () => Promise<unknown>): Promise<void> => {
    const found = await written(workspace, work);
    if (found > rows) over.push(`${name}: ${found} instead of ${rows}`);
  };
  await connection.ask("messages.send", { self, target, body: "first" });
  await connection.ask("messages.subscribe", { self, pattern: "a" });
  await atMost(6, "chats.register, new", () => workspace.register("c9"));
  await atMost(2, "chats.register, again", () => workspace.register("c9"));
  await atMost(2, "chats.heartbeat, another status", () => connection.ask("chats.heartbeat", { self, status: "busy" }));
  await atMost(2, "state.set, new", () => workspace.ask("state.set", { key: "a", value: 1 }));
  await atMost(2, "state.set, again", () => workspace.ask("state.set", { key: "a", value: 2 }));
  const once = { key: "a", value: 3, requestId: "q" };
  await atMost(4, "state.set, with a request id", () => workspace.ask("state.set", once));
  await atMost(0, "state.set, repeated", () => workspace.ask("state.set", once));
  await atMost(2, "state.delete", () => workspace.ask("state.delete", { key: "a" }));
  await atMost(2, "messages.send", () => connection.ask("messages.send", { self, target, body: "x" }));
  await atMost(2, "messages.ack", () => connection.ask("messages.ack", { self, cursor: 2 }));
  const campaign = { self, name: "main", requestId: "q" };
  await atMost(7, "elections.campaign", () => connection.ask("elections.campaign", campaign));
  await atMost(7, "chats.unregister", () => connection.ask("chats.unregister", { self }));
  expect(over).toEqual([]);
});

it("[DO17] a start of the object writes nothing, nor does an alarm that finds nothing due", async () => {
  const { workspace } = await busy();
  expect(await written(workspace, () => workspace.ring())).toBeLessThanOrEqual(1);
  const alarm = await workspace.alarmAt();
  await evictDurableObject(workspace.stub);
  expect(await workspace.alarmAt()).toBe(alarm);
});

it("[DO17] a push writes two rows, two for each of its sessions and two for each checkpoint; repeats and reads write none", async () => {
  const { workspace, connection, self } = await busy();
  const { epoch } = await workspace.ask("sync.begin", { device: "d1", keyId: "0123456789abcdef" });
  const rows: Record<string, number> = {};
  let seq = 0;
  type Op = InputOf<"sync.push">["ops"][number];
  const op = (more: Partial<Op>): Op => {
    const hash = String((seq += 1)).padStart(64, "0");
    return { seq, hash, kind: "session", session: "s1", ageMs: 0, envelope: "x", ...more };
  };
  const push = (name: string, ...ops: Op[]) => count(name, "sync.push", { device: "d1", epoch, ops });
  const count = async <Name extends "sync.push" | "sync.begin" | "sync.take" | "sync.give-back" | "sync.list">(
    name: string,
    operation: Name,
    input: InputOf<Name>,
  ): Promise<void> => {
    rows[name] = await written(workspace, () => workspace.ask(operation, input));
  };
  await push("session, new", op({}));
  await push("session, again", op({}));
  const first = op({ kind: "checkpoint", checkpoint: "k1" });
  await push("checkpoint, new", first);
  await push("checkpoint, repeated", first);
  await push("checkpoint, again", op({ kind: "checkpoint", checkpoint: "k1" }));
  await push(
    "ten checkpoints",
    ...Array.from({ length: 10 }, (_, at) => op({ kind: "checkpoint", checkpoint: `t${at}` })),
  );
  const { envelope: _, ...gone } = op({ kind: "forget", checkpoint: "k1" });
  await push("forget", gone);
  await count("list", "sync.list", {});
  await count("begin", "sync.begin", { device: "d1", keyId: "0123456789abcdef", requestId: "q" });
  const token = await take(connection, self, "session:s1");
  await count("take", "sync.take", { self, device: "d1", session: "s1", token });
  await count("give-back", "sync.give-back", { device: "d1", session: "s1" });
  expect(rows).toEqual({
    "session, new": 4,
    "session, again": 4,
    "checkpoint, new": 6,
    "checkpoint, repeated": 0,
    "checkpoint, again": 6,
    "ten checkpoints": 24,
    forget: 5,
    list: 0,
    begin: 5,
    take: 4,
    "give-back": 4,
  });
});

it("[DO17] a part of files writes two rows, and the last one deletes those that it replaces; a repeat and a read write none", async () => {
  const { workspace } = await busy();
  const { epoch } = await workspace.ask("sync.begin", { device: "d1", keyId: "0123456789abcdef" });
  const op = { seq: 1, hash: "0".repeat(64), kind: "session", session: "s1", ageMs: 0, envelope: "x" } as const;
  await workspace.ask("sync.push", { device: "d1", epoch, ops: [op] });
  const put = (bundle: string, part: number): Promise<number> => {
    const of = { device: "d1", epoch, session: "s1", checkpoint: "k1", ageMs: 0, envelope: "x" };
    return written(workspace, () => workspace.ask("sync.put-files", { ...of, bundle, part, parts: 2 }));
  };
  expect([await put("b1", 0), await put("b1", 0), await put("b1", 1)]).toEqual([2, 0, 2]);
  expect([await put("b2", 0), await put("b2", 1)]).toEqual([2, 4]);
  expect(await written(workspace, () => workspace.ask("sync.files", { session: "s1", device: "d1" }))).toBe(0);
});

it("[DO17] a task with a small payload writes five rows from its submit to its end; reads and repeats write none", async () => {
  const { workspace, connection, self } = await busy();
  const rows: Record<string, number> = {};
  const count = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const found: T[] = [];
    rows[name] = await written(workspace, async () => void found.push(await work()));
    return found[0] as T;
  };
  const claim = async (requestId: string, isStarted = true) => {
    const [one] = (await connection.ask("tasks.claim", { self, requestId, isStarted })).claims;
    return { self, task: one?.task ?? 0, claim: one?.claim ?? 0 };
  };
  // What watches the chat, and the alarm, are set by the first one.
  await workspace.ask("tasks.submit", { tasks: [{ type: "x" }] });
  const warm = await claim("first");
  // And with it is known how the chat does.
  wait(1_000);
  await connection.ask("tasks.ack", warm);
  await workspace.ask("tasks.submit", { tasks: [{ type: "x", priority: 9 }] });
  await claim("watched");
  await workspace.ask("tasks.submit", { tasks: [{ type: "x", scheduleToStartMs: 60_000 }] });
  await count("submit", () => workspace.ask("tasks.submit", { tasks: [{ type: "x" }] }));
  await count("submit ten", () =>
    workspace.ask("tasks.submit", { tasks: Array.from({ length: 10 }, () => ({ type: "y", priority: 1 })) }),
  );
  const more = (name: string, task: Partial<InputOf<"tasks.submit">["tasks"][number]>) =>
    count(name, () => workspace.ask("tasks.submit", { tasks: [{ type: "z", priority: 0, ...task }] }));
  const [above] = (await more("submit, with a key", { dedupeKey: "k" })).tasks;
  await more("submit, with a parent", { parent: above?.task ?? 0 });
  await more("submit, with a dependency", { dependsOn: [above?.task ?? 0] });
  await more("submit, with a time to start", { scheduleToStartMs: 3_600_000 });
  const held = await count("claim", () => claim("q"));
  await count("claim, repeated", () => claim("q"));
  wait(1_000);
  await count("heartbeat, no news", () => connection.ask("tasks.heartbeat", held));
  await count("heartbeat, news", () => connection.ask("tasks.heartbeat", { ...held, progress: { percent: 1 } }));
  await count("extend", () => connection.ask("tasks.extend", { ...held, ms: 7_200_000 }));
  await count("ack", () => connection.ask("tasks.ack", { ...held, result: 1 }));
  await count("ack, repeated", () => connection.ask("tasks.ack", { ...held, result: 1 }));
  const other = await claim("r", false);
  await count("start", () => connection.ask("tasks.start", other));
  await count("nack", () => connection.ask("tasks.nack", { ...other, reason: "broken" }));
  await count("list", () => workspace.ask("tasks.list", {}));
  expect(rows).toEqual({
    submit: 2,
    "submit ten": 20,
    "submit, with a key": 5,
    "submit, with a parent": 3,
    // Blocked, it stands in no lane.
    "submit, with a dependency": 2,
    "submit, with a time to start": 3,
    claim: 2,
    "claim, repeated": 0,
    "heartbeat, no news": 0,
    "heartbeat, news": 1,
    extend: 1,
    ack: 1,
    "ack, repeated": 0,
    start: 1,
    // A failure changes what is expected of the chat, and is counted for the metrics.
    nack: 6,
    list: 0,
  });
});
