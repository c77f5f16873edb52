import { identify } from "#src/platform/processes.ts";
import { existsSync, rmSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey } from "#src/machine/sharing/key-ring.ts";
import { createKey } from "#src/machine/sharing/workspace-key.ts";
import * as pauses from "#src/store/pause.ts";
import { storedSession, rowCount } from "#harness/machine/claude.ts";
import { aFront, aHost, ask, open, patience, program, statusOf } from "#harness/machine/host-rig.ts";
import { aReceiver, die } from "#harness/machine/notified.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-server.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

/** A program that runs for long beside the chats. */
function stayConnected({ socket }: { readonly socket: string }, { isFollowing = false } = {}) {
  const sent = request({ socketPath: socket, method: "POST", path: "/connection" });
  const heard = new Promise<void>((resolve) => {
    sent.on("response", (response) => void response.on("data", () => resolve()));
  });
  const begun = new Promise((resolve) => void sent.once("response", resolve));
  sent.on("error", () => undefined).end(JSON.stringify({ isFollowing }));
  return { begun, heard, leave: () => void sent.destroy() };
}

it("a program that follows the store is notified of commits", async () => {
  const host = await aHost();
  const { begun, heard, leave } = stayConnected(host, { isFollowing: true });
  await begun;
  host.runtime.store.write((sql) => sql.run("DELETE FROM sessions"));
  await heard;
  leave();
});

it("one host serves several chats at once, each with its own session and the variables of its client", async () => {
  const host = await aHost();
  const one = await aFront(host, { pid: 101, clientPid: 100 });
  const two = await aFront(host, { pid: 201, clientPid: 200, env: { CLAUDE_CODE_SESSION_ID: "session-of-two" } });
  expect(one.greeting).toMatchObject({ program, host: { pid: 7_000 } });
  const [first, second] = await Promise.all([one.save("one"), two.save("two")]);
  expect(second).toBe("session-of-two");
  expect([storedSession(host.runtime, first).owner?.pid, storedSession(host.runtime, second).owner?.pid]).toEqual([
    101, 200,
  ]);
  expect(await statusOf(host)).toMatchObject({
    pid: 7_000,
    chats: [
      { front: 101, client: 100, isConnected: true },
      { front: 201, client: 200, isConnected: true },
    ],
  });
});

it("the events of hooks are answered and stored in the order in which they come", async () => {
  const host = await aHost();
  const { call } = await aFront(host, { pid: 101, clientPid: 100 });
  const tool = { session_id: "s1", tool_name: "Bash", tool_use_id: "t1", "tool_input.command": "make" };
  const [before, after] = await Promise.all(
    ["PreToolUse", "PostToolUse"].map((event) => call("shim_hook", { event, ...tool })),
  );
  expect([before, after]).toEqual([{ content: [] }, { content: [] }]);
  const kinds = host.runtime.store.read(
    (sql) => sql.all<{ kind: string }>("SELECT kind FROM journal ORDER BY seq"),
    [],
  );
  expect(kinds.map(({ kind }) => kind).slice(-2)).toEqual(["tool_start", "tool_end"]);
});

it.each([
  ["the front says that its input has ended", "stdin_end"],
  ["the front says that a signal ended it", "sigterm"],
  ["the front is killed", null],
])("%s: the session of its living client is detached, and other chats stay", async (_, reason) => {
  const host = await aHost();
  const [one, two] = [
    await aFront(host, { pid: 101, clientPid: 100 }),
    await aFront(host, { pid: 201, clientPid: 200 }),
  ];
  await one.call("shim_hook", { event: "Notification", session_id: "s1", message: "waits" });
  const session = await one.save("one");
  if (reason === null) one.connection.destroy();
  else one.send({ jsonrpc: "2.0", id: "shim-front:1", method: "shim/end", params: { reason } });
  await vi.waitUntil(() => storedSession(host.runtime, session).detachedAt !== null, patience);
  expect(storedSession(host.runtime, session)).toMatchObject({ endedAt: null, detachReason: reason ?? "stdin_end" });
  const client = identify(host.runtime.processes, 100);
  const takeLoss = (): unknown => client && host.runtime.fronts.takeLoss(client);
  // The front that was killed is reported to its client, once.
  expect([takeLoss(), takeLoss()]).toEqual([reason === null, false]);
  await expect(two.call("shim_session_status", {})).resolves.not.toHaveProperty("isError");
});

it("a chat whose client is gone is ended within a tick, though its front still holds the connection", async () => {
  const host = await aHost();
  const { save, closed } = await aFront(host, { pid: 101, clientPid: 100 });
  const session = await save("one");
  host.runtime.processes.kill(100);
  vi.advanceTimersByTime(2_000);
  await closed;
  expect(storedSession(host.runtime, session).detachReason).toBe("client_gone");
});

it("a host that hands over closes its connections and detaches no session", async () => {
  const host = await aHost();
  const one = await aFront(host, { pid: 101, clientPid: 100 });
  const two = await aFront(host, { pid: 201, clientPid: 200 });
  const session = await one.save("one");
  two.send({ jsonrpc: "2.0", id: "shim-front:1", method: "shim/hand-over", params: {} });
  await Promise.all([one.closed, two.closed, host.ended]);
  const other = tempRuntime({ beside: host.runtime });
  expect(storedSession(other, session).detachedAt).toBe(null);
});

it("a command of an older version ends no host, however late it was built; one of a newer version does", async () => {
  const host = await aHost();
  const call = async (caller: object): Promise<number> =>
    (await ask(host.socket, "POST", "/call/unknown", {}, { "shim-program": JSON.stringify(caller) })).status;
  const { version, builtAt } = program;
  expect(await call({ version: "1.9.0", builtAt: builtAt + 5_000 })).toBe(404);
  expect(await call({ version, builtAt })).toBe(404);
  expect(await call({ version: "2.0.1", builtAt: builtAt - 1 })).toBe(426);
  await host.ended;
});

it("a chat that comes back to the next host keeps its session", async () => {
  const first = await aHost();
  const session = await (await aFront(first, { pid: 101, clientPid: 100 })).save("one");
  first.host.stop();
  await first.ended;
  const runtime = tempRuntime({ beside: first.runtime });
  const second = await aHost(runtime);
  const again = await aFront(second, { pid: 101, clientPid: 100, isRestart: true });
  expect(await again.save("two")).toBe(session);
});

it("a host ends ten minutes after its last connection, and not before", async () => {
  const host = await aHost();
  const { connection, closed } = await aFront(host, { pid: 101, clientPid: 100 });
  let isOver = false;
  void host.ended.then(() => (isOver = true));
  host.runtime.wait(3_600_000);
  vi.advanceTimersByTime(10_000);
  host.runtime.processes.kill(100);
  connection.destroy();
  await closed;
  await vi.waitUntil(async () => ((await statusOf(host))["chats"] as unknown[]).length === 0, patience);
  vi.advanceTimersByTime(10_000);
  host.runtime.wait(590_000);
  vi.advanceTimersByTime(10_000);
  expect(isOver).toBe(false);
  host.runtime.wait(20_000);
  vi.advanceTimersByTime(10_000);
  await host.ended;
});

it("a host whose home is gone ends", async () => {
  const host = await aHost();
  rmSync(host.runtime.paths.home, { recursive: true });
  vi.advanceTimersByTime(2_000);
  await host.ended;
});

it.each([
  ["no JSON", "hello\n"],
  ["an incomplete greeting", '{"program":{}}\n'],
  ["a greeting without an end", "x".repeat(9_000_000)],
])("a connection that is not a front's is closed, and harms no other: %s", async (_, text) => {
  const host = await aHost();
  const { call } = await aFront(host, { pid: 101, clientPid: 100 });
  const stranger = await open(host.socket);
  const closed = new Promise((resolve) => void stranger.once("close", resolve));
  stranger.on("error", () => undefined);
  stranger.write("GET /mcp HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: shim-mcp\r\n\r\n");
  stranger.write(text);
  await closed;
  expect((await ask(host.socket, "GET", "/other")).status).toBe(404);
  await expect(call("shim_session_status", {})).resolves.not.toHaveProperty("isError");
});

it("for a client that only lists the tools nothing is written", async () => {
  const host = await aHost();
  const { ask: request_, connection, closed } = await aFront(host, { pid: 101, clientPid: 100 });
  await request_("tools/list", {});
  connection.end();
  await closed;
  expect(existsSync(join(host.runtime.paths.home, "shim.db"))).toBe(false);
});

it("a front that hangs behind the end of its client is ended", async () => {
  const host = await aHost(tempRuntime(), ["setTimeout"]);
  const { save, closed } = await aFront(host, { pid: 101, clientPid: 100 });
  await save("one");
  host.runtime.processes.kill(100);
  vi.advanceTimersByTime(2_000);
  await closed;
  vi.advanceTimersByTime(3_000);
  expect(host.killed).toEqual([101]);
  expect(rowCount(host.runtime, "sessions")).toBe(1);
});

it("while a program attends, the host stays without a chat, and notifies of deaths", async () => {
  const receiver = await aReceiver();
  const host = await aHost(tempRuntime({ config: { notify: { webhook: receiver.url } } }));
  const program = stayConnected(host);
  await program.begun;
  vi.advanceTimersByTime(2_000);
  for (let n = 0; n < 2; n++) {
    host.runtime.wait(700_000);
    vi.advanceTimersByTime(2_000);
  }
  // What died before the first look is not notified of.
  await vi.waitUntil(() => rowCount(host.runtime, "sent_notifications") > 0, patience);
  die(host.runtime);
  await vi.waitUntil(() => {
    host.runtime.wait(10_000);
    vi.advanceTimersByTime(2_000);
    return receiver.bodies.length > 0;
  }, patience);
  expect(receiver.bodies.map(({ event }) => event)).toEqual(["chat_died"]);
  program.leave();
  await vi.waitUntil(() => {
    host.runtime.wait(601_000);
    vi.advanceTimersByTime(2_000);
    return !existsSync(host.socket);
  }, patience);
  await host.ended;
});

it("an operation is completed, although its caller has gone", async () => {
  const { runtime, socket } = await aHost();
  const asked = request({ socketPath: socket, method: "POST", path: "/call/pauses.start" });
  asked.on("error", () => undefined);
  asked.end(JSON.stringify({ input: {}, env: {}, by: "command line" }), () => asked.destroy());
  await vi.waitUntil(() => runtime.store.read((sql) => pauses.list(sql, runtime.now()).length > 0, false), patience);
});

it("a host without a chat does a whole round when it is asked, for the workspace of the caller only", async () => {
  const server = await SyncServer.listen();
  const host = await aHost();
  const { home } = host.runtime.paths;
  const edge = { url: server.url, workspace: "team", machine: "m1", token: tokenOf("m1") };
  const syncFor = async (workspace: string): Promise<unknown> => {
    const env = { SHIM_EDGE_URL: edge.url, SHIM_WORKSPACE: workspace, SHIM_TOKEN: edge.token };
    const asked = { input: {}, env, by: "command line" };
    return JSON.parse((await ask(host.socket, "POST", "/call/workspace.sync", asked)).body);
  };
  const refused = { result: { ok: false, error: { code: "other_workspace" } } };
  expect(await syncFor("team")).toMatchObject(refused);
  writeEdgeConfig(home, edge);
  addKey(
    home,
    edge,
    createKey(() => new Uint8Array(32).fill(7)),
  );
  die(host.runtime);
  expect(await syncFor("other")).toMatchObject(refused);
  expect(await syncFor("team")).toMatchObject({ result: { ok: true, value: { left: 0 } } });
  expect(await server.host.call("sync.list", {})).toMatchObject({ value: { sessions: [{ session: "dead-chat" }] } });
});
