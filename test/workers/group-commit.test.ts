import { expect } from "vitest";
import { GroupCommit } from "#src/durable/group-commit.ts";
import { aChat, it } from "./support.ts";

/** Sockets that are only told apart. */
function socket(): WebSocket {
  return new WebSocketPair()[0];
}

function gathering(): { all: GroupCommit; open: () => Promise<void>; done: string[] } {
  let waiting = Promise.withResolvers<void>();
  const done: string[] = [];
  const open = async (): Promise<void> => {
    const { resolve, promise } = waiting;
    waiting = Promise.withResolvers<void>();
    resolve();
    await promise;
    // What waits for the turn goes on behind its end.
    for (let turns = 0; turns < 5; turns++) await Promise.resolve();
  };
  const turn = (work: () => void): void => {
    done.push("(");
    try {
      work();
    } finally {
      done.push(")");
    }
  };
  const all = new GroupCommit(turn, () => waiting.promise);
  return { all, open, done };
}

it("[DO49] [DO20] a connection that is alone waits for none; one with company waits, in the order of the frames", async () => {
  const { all, open, done } = gathering();
  const [a, b] = [socket(), socket()];
  const send = (from: WebSocket, name: string, now: number): void =>
    void all.runFrame(from, now, () => done.push(name));
  send(a, "a1", 0);
  send(a, "a2", 1);
  expect(done.join(" ")).toBe("( a1 ) ( a2 )");
  send(b, "b1", 2);
  send(a, "a3", 3);
  send(b, "b2", 3);
  void all.runAfterQueued(() => done.push("end of b"));
  expect(done.splice(0)).toHaveLength(6);
  await open();
  expect(done.splice(0).join(" ")).toBe("( b1 a3 b2 end of b )");
  send(a, "a4", 4);
  await open();
  send(a, "a5", 25);
  expect(done.join(" ")).toBe("( a4 ) ( a5 )");
});

it("[DO20] the end of a connection does not wait where no frame does", () => {
  const { all, done } = gathering();
  void all.runAfterQueued(() => done.push("end"));
  expect(done).toEqual(["(", "end", ")"]);
});

it("[DO20] a frame whose work throws keeps no other from its turn", async () => {
  const { all, open, done } = gathering();
  const [a, b] = [socket(), socket()];
  void all.runFrame(a, 0, () => undefined);
  done.length = 0;
  const broken = all.runFrame(b, 1, () => {
    throw new Error("a bug");
  });
  void all.runFrame(a, 1, () => done.push("a"));
  const refused = expect(broken).rejects.toThrow("a bug");
  await open();
  await refused;
  expect(done.join(" ")).toBe("( a )");
});

it("[DO20] simultaneous frames are all answered, each connection's in their order", async ({ workspace }) => {
  const connections = await Promise.all(Array.from({ length: 8 }, () => workspace.connect()));
  for (let turn = 0; turn < 5; turn++) {
    for (const [at, connection] of connections.entries()) {
      connection.send({ jsonrpc: "2.0", id: turn, method: "state.set", params: { key: `k${at}`, value: turn } });
    }
  }
  for (const connection of connections) {
    for (let turn = 0; turn < 5; turn++) expect(await connection.next()).toMatchObject({ id: turn, result: {} });
  }
  const { entries } = await workspace.ask("state.list", {});
  expect(entries.map(({ value }) => value)).toEqual(connections.map(() => 4));
});

it("[DO20] [DO8] frames sent before a close are done, then the chat's grace begins", async ({ workspace }) => {
  const [a, b] = [await workspace.connect("c1"), await workspace.connect("c2")];
  for (const [connection, chat] of [
    [a, "c1"],
    [b, "c2"],
  ] as const)
    await connection.ask("chats.register", aChat(chat));
  b.send({ jsonrpc: "2.0", id: 1, method: "state.get", params: { key: "x" } });
  const beat = { self: { chat: "c1", incarnation: 1 }, status: "busy" };
  a.send({ jsonrpc: "2.0", id: 1, method: "chats.heartbeat", params: beat });
  a.send({ jsonrpc: "2.0", id: 2, method: "state.set", params: { key: "last", value: 1 } });
  a.socket.close(1000, "done");
  await a.closed;
  expect(await workspace.ask("state.get", { key: "last" })).toMatchObject({ entry: { value: 1 } });
  expect(await workspace.ask("chats.get", { chat: "c1" })).toMatchObject({ status: "busy", isConnected: false });
});
