import { expect } from "vitest";
import { flowMarkMethod, flowReadMethod, maxAnswerChars } from "#src/contract/protocol.ts";
import { maxUnreadChars, Outgoing } from "#src/durable/outgoing.ts";
import type { Connection, Message } from "./connection.ts";
import { aChat, it, TestWorkspace, wait } from "./support.ts";

interface Part {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly data: { readonly code: string; readonly retryAfterMs?: number } };
}

function rpc(id: number, method: string, params: object = {}): object {
  return { jsonrpc: "2.0", id, method, params };
}

/** The next frame that is no mark; marks are sent back, or not. */
async function next(connection: Connection, isReader = true): Promise<Message | readonly Part[]> {
  for (;;) {
    const message = await connection.next();
    if (message.method !== flowMarkMethod) return message;
    if (isReader) connection.send({ jsonrpc: "2.0", method: flowReadMethod, params: message.params });
  }
}

async function answers(connection: Connection, frame: readonly object[], isReader = true): Promise<readonly Part[]> {
  connection.send(frame);
  return (await next(connection, isReader)) as readonly Part[];
}

/** Values of a million characters together. */
async function fill(workspace: TestWorkspace): Promise<void> {
  for (let n = 0; n < 8; n++) await workspace.ask("state.set", { key: `large/${n}`, value: "x".repeat(124_000) });
}

const lists = Array.from({ length: 100 }, (_, n) => rpc(n, "state.list"));

it("a frame is answered up to a bound; the rest is refused as too_large, not done", async ({ workspace }) => {
  await fill(workspace);
  const { token } = await workspace.tokenOf("submit");
  const connection = await workspace.connect(token);
  const frame = [...lists.slice(0, 99), rpc(99, "state.set", { key: "after", value: 1 })];
  const parts = await answers(connection, frame);
  expect(parts.map(({ id }) => id)).toEqual(frame.map((_, n) => n));
  const done = parts.filter(({ result }) => result !== undefined);
  expect(done.length).toBeLessThanOrEqual(3);
  expect(JSON.stringify(parts).length).toBeLessThan(maxAnswerChars + 1_500_000);
  const rest = parts.slice(done.length);
  expect(new Set(rest.map(({ error }) => error?.data.code))).toEqual(new Set(["too_large"]));
  expect((await workspace.ask("state.get", { key: "after" })).entry).toBeNull();
  expect(await answers(connection, [frame[99] ?? {}])).toMatchObject([{ id: 99, result: {} }]);
});

it("a client that does not read is closed with 4005, and may reconnect", async ({ workspace }) => {
  await fill(workspace);
  const connection = await workspace.connect();
  let asked = 0;
  const closed = connection.closed.then(() => true);
  // The answers lie unread: no mark comes back, though others do.
  while (asked < 20 && !(await Promise.race([closed, settled(connection, asked)]))) {
    connection.send([...lists.slice(0, 4), rpc(1_000 + asked, flowReadMethod, { mark: "guessed" })]);
    asked += 1;
  }
  expect((await connection.closed).code).toBe(4005);
  expect(asked).toBeLessThan(10);
  const again = await workspace.connect();
  await again.ask("settings.get", {});
});

/** Resolves once a frame was answered. */
async function settled(connection: Connection, asked: number): Promise<false> {
  if (asked > 0) await next(connection, false);
  return false;
}

it("a client that sends marks back may read without an end", async ({ workspace }) => {
  await fill(workspace);
  const { id } = await workspace.ask("tokens.create", { machine: "m1", scope: "observe" });
  expect(id).toBeTruthy();
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 1_000_000 } });
  const connection = await workspace.connect();
  for (let times = 0; times * 4_000_000 < 3 * maxUnreadChars; times++) {
    expect(await answers(connection, lists.slice(0, 4))).toHaveLength(4);
  }
  expect(connection.socket.readyState).toBe(WebSocket.OPEN);
});

it("of many connections that owe a mark and together too much, the largest are closed", () => {
  const outgoing = new Outgoing(() => "m");
  const sockets = Array.from({ length: 8 }, () => ({ send: () => undefined }) as unknown as WebSocket);
  for (const [n, socket] of sockets.entries()) outgoing.send(socket, "x".repeat(5_000_000 + n * 800_000));
  // 62.4 million in all: the largest go until 48 million are left.
  expect(outgoing.listOverfull()).toEqual([sockets[7], sockets[6]]);
  for (const socket of sockets) outgoing.read(socket, "m");
  expect(outgoing.listOverfull()).toEqual([]);
});

it("sockets of a token and a workspace are bounded; silent ones make room", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxSocketsPerToken: 3, maxSockets: 4 } });
  const { token } = await workspace.tokenOf("work");
  const open = [await workspace.connect(token), await workspace.connect(token)];
  await open[0]?.ask("chats.register", aChat("c1"));
  wait(89_999);
  await workspace.connect(token);
  const refusal = async (by: string): Promise<unknown> => {
    const answer = await workspace.upgrade(by);
    return [answer.status, (await answer.json<{ error: { code: string } }>()).error.code];
  };
  expect(await refusal(token)).toEqual([507, "quota_exceeded"]);
  const other = await workspace.connect();
  expect(await refusal(workspace.token)).toEqual([507, "quota_exceeded"]);
  wait(1);
  await workspace.connect(token);
  expect((await open[0]?.closed)?.code).toBe(4005);
  expect((await open[1]?.closed)?.code).toBe(4005);
  expect((await workspace.ask("health", {})).sockets).toBe(3);
  await other.ask("settings.get", {});
});

it("a change is compared with all watches by one query, and stores no attachment", async ({ workspace }) => {
  const connections = await Promise.all(Array.from({ length: 10 }, () => workspace.connect()));
  for (const connection of connections) {
    for (let n = 0; n < 16; n++) await connection.ask("state.watch", { watch: `w${n}`, prefix: `none/${n}/` });
  }
  const count = async (work: () => Promise<unknown>): Promise<[queries: number, stored: number]> => {
    let [queries, stored] = [0, 0];
    await workspace.inside((state) => {
      const { sql } = state.storage;
      const exec = sql.exec.bind(sql);
      sql.exec = ((...given: Parameters<typeof exec>) => {
        queries += 1;
        return exec(...given);
      }) as typeof sql.exec;
      for (const socket of state.getWebSockets()) {
        const store = socket.serializeAttachment.bind(socket);
        socket.serializeAttachment = (attachment: unknown) => {
          stored += 1;
          store(attachment);
        };
      }
    });
    await work();
    await workspace.inside((state) => void Reflect.deleteProperty(state.storage.sql, "exec"));
    return [queries, stored];
  };
  const [queries, stored] = await count(() => workspace.ask("state.set", { key: "other", value: 1 }));
  expect(queries).toBeLessThan(40);
  expect(stored).toBe(0);
  await connections[3]?.ask("state.watch", { watch: "w0", prefix: "other" });
  const [, storedThen] = await count(() => workspace.ask("state.set", { key: "other", value: 2 }));
  expect(storedThen).toBe(0);
  expect((await connections[3]?.told())?.map(({ params }) => params?.["watch"])).toEqual(["w0"]);
});
