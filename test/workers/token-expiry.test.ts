import { evictDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { pingText } from "#src/contract/protocol.ts";
import type { Connection } from "./connection.ts";
import { aChat, it, stopClock, TestWorkspace, wait } from "./support.ts";

const ttlMs = 60_000;

/** A chat of a token that expires after a minute: it watches everything, and holds a bound lease. */
async function aGuest(workspace: TestWorkspace): Promise<{ connection: Connection; id: string; token: string }> {
  const { id, token } = await workspace.tokenOf("work", "m1", ttlMs);
  const connection = await workspace.connect(token);
  const { incarnation } = await connection.ask("chats.register", aChat("c1"));
  const self = { chat: "c1", incarnation };
  await connection.ask("leases.acquire", { self, resource: "r", requestId: "q", isBound: true });
  await connection.ask("state.watch", { watch: "w", prefix: "" });
  return { connection, id, token };
}

it("the connections of a token are closed when it expires, without a request, also while the object slept", async () => {
  stopClock();
  for (const isAsleep of [false, true]) {
    const workspace = await TestWorkspace.create();
    const { connection } = await aGuest(workspace);
    const stays = await workspace.connect();
    const expiresAt = Date.now() + ttlMs;
    // The chat is watched: until then its pings keep it.
    expect(await workspace.alarmAt()).toBeLessThanOrEqual(expiresAt);
    wait(ttlMs);
    if (isAsleep) await evictDurableObject(workspace.stub, { webSockets: "hibernate" });
    await workspace.ring();
    expect(await connection.closed).toMatchObject({ code: 4001 });
    await stays.ask("settings.get", {});
  }
});

it("an alarm is set for the expiry of a token with an open connection", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("observe", "m1", 2 * ttlMs);
  await workspace.connect(token);
  const sooner = await workspace.tokenOf("observe", "m1", ttlMs);
  const connection = await workspace.connect(sooner.token);
  const expiresAt = Date.now() + ttlMs;
  expect(await workspace.alarmAt()).toBe(expiresAt);
  await evictDurableObject(workspace.stub, { webSockets: "hibernate" });
  wait(ttlMs);
  await workspace.ring();
  expect(await connection.closed).toMatchObject({ code: 4001 });
  expect(await workspace.alarmAt()).toBe(expiresAt + ttlMs);
});

it("nothing is sent to an expired token, though the alarm is late", async ({ workspace }) => {
  const { connection } = await aGuest(workspace);
  wait(ttlMs);
  connection.send(pingText);
  await workspace.ask("state.set", { key: "secret", value: "s" });
  expect(await connection.closed).toMatchObject({ code: 4001 });
  const texts: string[] = [];
  for (let text = await connection.text(); ; text = await connection.text()) {
    texts.push(text);
    if (text === "pong") break;
  }
  expect(texts.join("")).not.toContain("secret");
});

it("the chat of an expired token goes offline, and its bound lease ends", async ({ workspace }) => {
  await aGuest(workspace);
  wait(ttlMs);
  await workspace.ring();
  expect(await workspace.rows("SELECT isConnected, graceUntil FROM chats")).toEqual([
    { isConnected: 0, graceUntil: Date.now() + 20_000 },
  ]);
  wait(20_000);
  await workspace.ring();
  expect(await workspace.chat("c1")).toMatchObject({ status: "offline", isConnected: false });
  wait(30_000);
  const other = await workspace.register("c2");
  const taken = await workspace.ask("leases.acquire", { self: other, resource: "r", requestId: "q" });
  expect(taken.state).toBe("granted");
});

it("a connection of a revoked token that stayed open is closed at the next start", async ({ workspace }) => {
  const { connection, id } = await aGuest(workspace);
  // As a crash between the commit and the close leaves it.
  await workspace.inside(({ storage }) => {
    storage.sql.exec("UPDATE tokens SET revokedAt = 1 WHERE id = ?", id);
  });
  await evictDurableObject(workspace.stub, { webSockets: "hibernate" });
  await workspace.ask("state.set", { key: "secret", value: "s" });
  expect(await connection.closed).toMatchObject({ code: 4001 });
});
