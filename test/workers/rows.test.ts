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

it("a lease costs at most four rows to take, two to renew and four to give back, while its chat is watched", async () => {
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

it("a heartbeat without news on a connected chat, a ping, a read and a refusal write nothing", async () => {
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

it("a watch writes nothing", async () => {
  const { workspace, connection } = await busy();
  const rows = await written(workspace, async () => {
    await connection.ask("state.watch", { watch: "w", prefix: "a" });
    await connection.ask("state.unwatch", { watch: "w" });
  });
  expect(rows).toBe(0);
});

it("no operation writes more rows than it needs", async () => {
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

it("a start of the object writes nothing, nor does an alarm that finds nothing due", async () => {
  const { workspace } = await busy();
  expect(await written(workspace, () => workspace.ring())).toBeLessThanOrEqual(1);
  const alarm = await workspace.alarmAt();
  await evictDurableObject(workspace.stub);
  expect(await workspace.alarmAt()).toBe(alarm);
});

it("a put writes two rows, two for each of its sessions and one for each other record; reads write none", async () => {
  const { workspace, connection, self } = await busy();
  const rows: Record<string, number> = {};
  const count = async <Name extends "sync.put" | "sync.take" | "sync.give-back" | "sync.list">(
    name: string,
    operation: Name,
    input: InputOf<Name>,
  ): Promise<void> => {
    rows[name] = await written(workspace, () => workspace.ask(operation, input));
  };
  type Put = InputOf<"sync.put">;
  const device = { device: "d1", keyId: "0123456789abcdef" };
  const put = (name: string, ...records: NonNullable<Put["records"]>): Promise<void> =>
    count(name, "sync.put", { ...device, records });
  const sealed = { session: "s1", ageMs: 0, envelope: "x" };
  const session = { kind: "session" as const, ...sealed, replaces: 0 };
  const files = { kind: "files" as const, ...sealed, checkpoint: "k1", bundle: "b1" };
  await count("first", "sync.put", { ...device, forgotten: [{ session: "s9" }] });
  await put("session, new", session);
  await put("session, again", session);
  await put("session with its files", session, files);
  await count("forget", "sync.put", { ...device, forgotten: [{ session: "s1", checkpoint: "k1" }] });
  await count("list", "sync.list", {});
  const token = await take(connection, self, "session:s1");
  await count("take", "sync.take", { self, device: "d1", session: "s1", token });
  await count("give-back", "sync.give-back", { device: "d1", session: "s1" });
  expect(rows).toEqual({
    first: 3,
    "session, new": 4,
    "session, again": 4,
    "session with its files": 5,
    forget: 3,
    list: 0,
    take: 4,
    "give-back": 4,
  });
});

it("a part of files writes one row, the first and the header those of the incoming bundle, too; a read writes none", async () => {
  const { workspace } = await busy();
  const device = { device: "d1", keyId: "0123456789abcdef" };
  const sealed = { session: "s1", ageMs: 0, envelope: "x" };
  await workspace.ask("sync.put", { ...device, records: [{ kind: "session", ...sealed, replaces: 0 }] });
  const put = (bundle: string, part: number | null): Promise<number> => {
    const files = { ...sealed, checkpoint: "k1", bundle };
    const record = part === null ? { kind: "files" as const, ...files } : { kind: "part" as const, ...files, part };
    return written(workspace, () => workspace.ask("sync.put", { ...device, records: [record] }));
  };
  // Two rows each are the totals and the device.
  expect([await put("b1", 0), await put("b1", 1), await put("b1", 1)]).toEqual([5, 3, 2]);
  expect(await put("b1", null)).toBe(4);
  expect([await put("b2", 0), await put("b2", null)]).toEqual([5, 6]);
  const of = { ...device, session: "s1", kind: "files" as const };
  const { keyId: _, ...header } = of;
  expect(await written(workspace, () => workspace.ask("sync.read", header))).toBe(0);
});
