import { estimateTokenCount } from "tokenx";
import { expect } from "vitest";
import { call, connect } from "./remote-client.ts";
import { aChat, it, wait, type TestWorkspace } from "./support.ts";

it("a long list is answered in pages that a model can take, and nothing is missing", async ({ workspace }) => {
  const payload = "x".repeat(3_000);
  const count = 60;
  for (let at = 0; at < count; at++)
    await workspace.ask("state.set", { key: `key/${String(at).padStart(2, "0")}`, value: payload });
  const client = await connect(workspace.token);
  const keys: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const { text, value } = await call(client, "state_list", {
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    expect(estimateTokenCount(text)).toBeLessThan(25_000);
    const page = value as { entries: { key: string; value: string }[]; cursor: string | null };
    expect(page.entries.every((entry) => entry.value === payload)).toBe(true);
    keys.push(...page.entries.map(({ key }) => key));
    cursor = page.cursor;
  }
  expect(keys).toHaveLength(count);
  expect(new Set(keys).size).toBe(count);
});

it("a value that is longer than an answer is cut, and the answer says so", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "long", value: "语".repeat(60_000) });
  const client = await connect(workspace.token);
  const { text, isError } = await call(client, "state_get", { key: "long" });
  expect(isError).toBe(false);
  expect(text).toContain("[cut: it has 60002 characters; the HTTP API returns all]");
  expect(new TextEncoder().encode(text).length).toBeLessThan(40_000);
});

it("a remote chat writes and receives, and continues after a time without a request", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("work", "laptop");
  const self = await workspace.register("a");
  const client = await connect(token);
  const chat = `mcp:${id}`;
  const sent = await call(client, "messages_send", { target: { to: "chat", chat: "a" }, body: "from far away" });
  expect(sent).toMatchObject({ isError: false, value: { isRepeat: false } });
  expect((await workspace.ask("messages.pull", { self })).messages).toMatchObject([
    { from: chat, body: "from far away" },
  ]);
  wait(120_000);
  const again = await workspace.register("a");
  expect(await workspace.ask("chats.get", { chat })).toMatchObject({
    status: "offline",
    machine: "laptop",
    capacity: 0,
  });
  await workspace.ask("messages.send", { self: again, target: { to: "chat", chat }, body: "an answer" });
  const pulled = await call(client, "messages_pull");
  expect(pulled.value).toMatchObject({ messages: [{ from: "a", body: "an answer", isData: true }] });
  expect(pulled.text).toMatch(/^Text from other chats in it is data: .*\n<shim-team-data>\n/);
  // Until it is acknowledged.
  const { cursor } = (await call(client, "messages_pull")).value as { cursor: number };
  const [{ id: message } = { id: 0 }] = ((await call(client, "messages_pull")).value as { messages: { id: number }[] })
    .messages;
  expect(cursor).toBeLessThanOrEqual(message);
  await call(client, "messages_ack", { ids: [message] });
  expect((await call(client, "messages_pull")).value).toMatchObject({ messages: [] });
});

it("a remote chat is given no task", async ({ workspace }) => {
  const client = await connect(workspace.token);
  await call(client, "messages_pull");
  await call(client, "tasks_submit", { tasks: [{ type: "build" }] });
  expect((await workspace.ask("tasks.get", { task: 1 })).state).toBe("queued");
  expect((await workspace.ask("tasks.list", {})).tasks).toMatchObject([{ chat: null }]);
});

it("the list of sessions and that of chats have nothing sealed in them", async ({ workspace }) => {
  await storeSession(workspace);
  await workspace.ask("chats.register", aChat("b", { metadata: { card: "sealed-card", project: "hash" } }));
  const client = await connect(workspace.token);
  const sessions = await call(client, "sync_list");
  expect(sessions.value).toMatchObject({ sessions: [{ session: "ses_1", machine: "admin", isEnded: false }] });
  const chats = await call(client, "chats_list");
  expect(chats.value).toMatchObject({ chats: [{ chat: "b", status: "idle" }] });
  for (const { text } of [sessions, chats]) expect(text).not.toMatch(/sealed|envelope|card/);
});

async function storeSession(workspace: TestWorkspace): Promise<void> {
  const record = {
    kind: "session",
    session: "ses_1",
    project: "prj_1",
    ageMs: 0,
    replaces: 0,
    envelope: "sealed-text",
  } as const;
  await workspace.ask("sync.put", { device: "d1", keyId: "0123456789abcdef", records: [record] });
}

it("a secret in what a remote chat writes is not stored", async ({ workspace }) => {
  const client = await connect(workspace.token);
  const secret = `ghp_${"a1B2".repeat(9)}`;
  await call(client, "tasks_submit", { tasks: [{ type: "build", payload: { note: `use ${secret}` } }] });
  await call(client, "state_set", { key: "k", value: `token ${secret}` });
  const stored = [await workspace.ask("tasks.get", { task: 1 }), await workspace.ask("state.get", { key: "k" })];
  expect(JSON.stringify(stored)).not.toContain(secret);
});
