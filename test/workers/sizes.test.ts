import { expect } from "vitest";
import { defaultMaxBodyBytes } from "#src/contract/protocol.ts";
import { maxEnvelopeChars } from "#src/contract/sync.ts";
import { aChat, bearer, it, request, wait } from "./support.ts";

const most = 4 * defaultMaxBodyBytes;

it("a put of sealed records may have four mebibytes, and its largest envelope is readable", async ({ workspace }) => {
  const { connection } = await workspace.join("c1");
  const envelope = "x".repeat(maxEnvelopeChars);
  const sealed = { kind: "session", checkpoint: "k1", ageMs: 0, envelope, replaces: 0 };
  const records = ["s1", "s2"].map((session) => Object.assign({ session }, sealed));
  const body = JSON.stringify({ device: "d1", keyId: "0123456789abcdef", records });
  const path = `/v1/workspaces/${workspace.name}/sync/records`;
  const put = (text: string): Promise<Response> =>
    request(path, { method: "POST", headers: bearer(workspace.token), body: text });
  expect((await put(body.padEnd(most + 1))).status).toBe(413);
  expect((await put(body.replace(envelope, `${envelope}x`))).status).toBe(400);
  expect((await workspace.ask("sync.status", {})).checkpoints).toBe(0);
  expect((await put(body.padEnd(most))).status).toBe(200);
  expect((await connection.ask("sync.list", { session: "s2" })).sessions[0]?.envelope).toBe(envelope);
  expect((await workspace.ask("sync.status", {})).chars).toBe(2 * maxEnvelopeChars);
});

const hour = 3_600_000;

it("near the limit growth is refused; ends and deletions are done", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1", { capacity: 1 });
  await workspace.ask("state.set", { key: "old", value: 1 });
  const [task] = (await workspace.ask("tasks.submit", { tasks: [{ type: "t", payload: 1 }] })).tasks;
  const { claims } = await connection.ask("tasks.claim", { self, limit: 1, requestId: "q" });
  const { claim = 0 } = claims[0] ?? {};
  const held = await connection.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  const token = held.state === "granted" ? held.lease.token : 0;
  const guest = await workspace.tokenOf("observe");
  let bytes = 7_999_999_999;
  await workspace.inside(({ storage }) => {
    Object.defineProperty(storage.sql, "databaseSize", { get: () => bytes, configurable: true });
  });
  expect((await workspace.ask("health", {})).storage).toEqual({ bytes, limitBytes: 10_000_000_000, state: "normal" });
  await workspace.ask("state.set", { key: "a", value: 1 });
  bytes = 8_000_000_000;
  expect((await workspace.ask("health", {})).storage?.state).toBe("full");
  for (const refused of [
    await workspace.call("state.set", { key: "a", value: 2 }),
    await workspace.call("tasks.submit", { tasks: [{ type: "t", payload: 1 }] }),
    await workspace.call("messages.send", { self, target: { to: "all" }, body: "x" }),
    await workspace.call("tokens.create", { machine: "m2", scope: "work" }),
    await workspace.call("leases.acquire", { self, resource: "s", requestId: "q" }),
    await workspace.call("chats.register", aChat("c2")),
  ]) {
    expect([refused.status, refused.error?.code]).toEqual([507, "quota_exceeded"]);
  }
  connection.send([
    { jsonrpc: "2.0", id: 1, method: "chats.heartbeat", params: { self, status: "busy" } },
    { jsonrpc: "2.0", id: 2, method: "leases.renew", params: { self, resource: "r", token } },
    { jsonrpc: "2.0", id: 3, method: "state.set", params: { key: "b", value: 1 } },
    { jsonrpc: "2.0", id: 4, method: "leases.release", params: { self, resource: "r", token } },
    { jsonrpc: "2.0", id: 5, method: "tasks.ack", params: { self, task: task?.task, claim, result: 1 } },
    { jsonrpc: "2.0", id: 6, method: "state.delete", params: { key: "old" } },
    { jsonrpc: "2.0", id: 7, method: "state.update", params: { writes: [{ op: "delete", key: "a" }] } },
    { jsonrpc: "2.0", id: 8, method: "tokens.revoke", params: { id: guest.id } },
    { jsonrpc: "2.0", id: 9, method: "settings.set", params: { settings: { maxTasks: 1_000 } } },
  ]);
  const parts = (await connection.next()) as unknown as { id: number; error?: { data: { code: string } } }[];
  expect(parts.map(({ id, error }) => [id, error?.data.code ?? "ok"])).toEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => [id, id === 3 ? "quota_exceeded" : "ok"]),
  );
  // A chat that lost its connection comes back.
  await workspace.join("c1", { capacity: 1 });
  bytes = 7_999_999_999;
  await workspace.ask("state.set", { key: "a", value: 2 });
});

it("a workspace at a small limit prunes at once and recovers", async ({ workspace }) => {
  const { storage: before } = await workspace.ask("health", {});
  const settings = { maxStorageBytes: 2_000_000, keepChangesMs: 60_000 };
  await workspace.ask("settings.set", { settings });
  let refused: string | null = null;
  let written = 0;
  while (refused === null && written < 100) {
    refused = await workspace.refusal("state.set", { key: "again", value: "x".repeat(100_000 + written) });
    written += 1;
  }
  expect(refused).toBe("quota_exceeded");
  const full = (await workspace.ask("health", {})).storage;
  expect(full).toMatchObject({ limitBytes: 2_000_000, state: "full" });
  expect(full?.bytes).toBeGreaterThan(before?.bytes ?? 0);
  expect(full?.bytes).toBeLessThan(2_000_000);
  // Not at the next full hour: as soon as the oldest is old enough.
  wait(60_000);
  const alarmAt = await workspace.alarmAt();
  expect(alarmAt).toBeLessThanOrEqual(Date.now());
  expect(Date.now() % hour).not.toBe(0);
  await workspace.ring();
  expect((await workspace.ask("health", {})).storage?.state).toBe("normal");
  await workspace.ask("state.set", { key: "again", value: 1 });
});

async function refusalOf(response: Promise<Response>): Promise<[status: number, code: string | undefined]> {
  const answer = await response;
  return [answer.status, (await answer.json<{ error?: { code: string } }>()).error?.code];
}

it("a query that is not UTF-8 or has a parameter twice is refused", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "k", value: 1 });
  const headers = bearer(workspace.token);
  const base = `/v1/workspaces/${workspace.name}`;
  for (const query of ["key=%ff", "key=%E0%A4", "key=%", "%ff=k", "key=k&key=k", "key=k&%6bey=j"]) {
    const refused = await refusalOf(request(`${base}/state?${query}`, { headers }));
    expect([query, ...refused]).toEqual([query, 400, "bad_input"]);
  }
  expect((await request(`${base}/state?key=k&`, { headers })).status).toBe(200);
});

it("an oversized value is too large", async ({ workspace }) => {
  const { status, error } = await workspace.call("state.set", { key: "k", value: "x".repeat(140_000) });
  expect([status, error?.code]).toEqual([413, "too_large"]);
});

it("who asks from a revision that is none is told what that means", async ({ workspace }) => {
  const { error } = await workspace.call("state.changes", { after: 5_000 });
  expect(error?.message).toMatch(
    /^revision 5000 was never issued here, or was lost in a restore \(the newest is \d+\)/,
  );
});
