import { expect } from "vitest";
import type { Target } from "#src/contract/messages.ts";
import { flowMarkMethod } from "#src/contract/protocol.ts";
import { it, type Joined, type TestWorkspace } from "./support.ts";

type Send = (target: Target, body?: unknown, priority?: "low" | "high") => Promise<number>;

/** A sender without a connection. */
async function sender(workspace: TestWorkspace): Promise<Send> {
  const self = await workspace.register("sender");
  return async (target, body = "x", priority = "low") =>
    (await workspace.ask("messages.send", { self, target, body: body as string, priority })).id;
}

function to(chat: string): Target {
  return { to: "chat", chat };
}

async function hints({ connection }: Joined): Promise<unknown[]> {
  return (await connection.told()).map(({ params }) => params);
}

it("[MS34] a hint carries its message as a pull returns it, and acknowledges nothing", async ({ workspace }) => {
  const send = await sender(workspace);
  const receiver = await workspace.join("c1");
  const id = await send(to("c1"), { deep: [1] }, "high");
  const [hint] = await hints(receiver);
  const message = { id, from: "sender", target: to("c1"), priority: "high", body: { deep: [1] }, isData: true };
  expect(hint).toMatchObject({ message });
  const { connection, self } = receiver;
  expect(await connection.ask("messages.pull", { self })).toMatchObject({ messages: [message], unread: 1 });
});

it("[MS34] a message that others come before, that is too long, or is one of several comes by a pull", async ({
  workspace,
}) => {
  const send = await sender(workspace);
  const receiver = await workspace.join("c1");
  const { connection, self } = receiver;
  const first = await send(to("c1"));
  expect(await hints(receiver)).toMatchObject([{ message: { id: first } }]);
  const second = await send(to("c1"));
  expect(await hints(receiver)).toEqual([{ chat: "c1" }]);
  await connection.ask("messages.ack", { self, cursor: first });
  const third = await send(to("c1"), "x", "high");
  expect(await hints(receiver)).toEqual([{ chat: "c1" }]);
  await connection.ask("messages.ack", { self, ids: [second, third] });
  const long = await send(to("c1"), "x".repeat(4_095));
  expect(await hints(receiver)).toEqual([{ chat: "c1" }]);
  await connection.ask("messages.ack", { self, ids: [long] });
  const request = { self, target: to("c1"), body: 1 };
  connection.send([1, 2].map((n) => ({ jsonrpc: "2.0", id: n, method: "messages.send", params: request })));
  await connection.next();
  expect(await hints(receiver)).toEqual([{ chat: "c1" }, { chat: "c1" }]);
  await connection.ask("messages.ack", { self, cursor: long + 2 });
  const last = await send(to("c1"), "x".repeat(4_094));
  expect(await hints(receiver)).toMatchObject([{ message: { id: last } }]);
});

it("[MS34] [MS9] a message to a topic or to all comes with the hints of its receivers alone", async ({ workspace }) => {
  const send = await sender(workspace);
  const [one, two, three] = [await workspace.join("c1"), await workspace.join("c2"), await workspace.join("c3")];
  await one.connection.ask("messages.subscribe", { self: one.self, pattern: "build.*" });
  await two.connection.ask("messages.subscribe", { self: two.self, pattern: "build.web" });
  const id = await send({ to: "topic", topic: "build.web" });
  expect(await Promise.all([one, two, three].map(hints))).toMatchObject([
    [{ message: { id } }],
    [{ message: { id } }],
    [],
  ]);
  for (const { connection, self } of [one, two]) await connection.ask("messages.ack", { self, cursor: id });
  await three.connection.ask("messages.send", { self: three.self, target: { to: "all" }, body: "mine" });
  const [first, second, own] = await Promise.all([one, two, three].map(hints));
  expect([first, second]).toMatchObject([[{ message: { body: "mine" } }], [{ message: { body: "mine" } }]]);
  // It does not come back to its sender.
  expect(own).toEqual([{ chat: "c3" }]);
});

it("[MS34] [DO22] a connection that owes a mark gets hints without messages", async ({ workspace }) => {
  const send = await sender(workspace);
  const receiver = await workspace.join("c1");
  const { connection, self } = receiver;
  await workspace.ask("state.set", { key: "large", value: "x".repeat(60_000) });
  const marks: unknown[] = [];
  while (marks.length === 0) {
    await connection.ask("state.get", { key: "large" });
    for (const { method, params } of await connection.told())
      if (method === flowMarkMethod) marks.push(params?.["mark"]);
  }
  const id = await send(to("c1"));
  expect(await hints(receiver)).toEqual([{ chat: "c1" }]);
  connection.send({ jsonrpc: "2.0", method: "flow.read", params: { mark: marks[0] } });
  await connection.ask("messages.ack", { self, cursor: id });
  const next = await send(to("c1"));
  expect(await hints(receiver)).toMatchObject([{ message: { id: next } }]);
});
