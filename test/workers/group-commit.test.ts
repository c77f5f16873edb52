import { expect } from "vitest";
import { GroupCommit } from "#src/durable/group-commit.ts";
import { LoadShedder } from "#src/durable/load-shedding.ts";
import { aChat, it } from "./support.ts";

/** A group commit whose commits end when the test says so. */
class CommitRig {
  readonly done: string[] = [];
  readonly storage = { written: 0 };
  isWriting = true;
  #committed = Promise.withResolvers<void>();
  /** Of each event, in ms. */
  readonly waits: number[] = [];
  now = 0;
  readonly #commit = new GroupCommit({
    event: (work) => {
      this.done.push("(");
      try {
        const result = work();
        if (this.isWriting) this.storage.written += 1;
        return result;
      } finally {
        this.done.push(")");
      }
    },
    storage: this.storage,
    synced: () => this.#committed.promise,
    load: Object.assign(new LoadShedder(), {
      beginEvent: (waitedMs: number) => void this.waits.push(waitedMs),
    }),
    now: () => this.now,
  });

  run(name: string): string | Promise<string> {
    return this.#commit.run(() => {
      if (name === "bug") throw new Error("a bug");
      this.done.push(name);
      return name;
    });
  }

  /** The commit ends; returns the events that it let run. */
  async end(): Promise<string> {
    this.done.length = 0;
    const { resolve } = this.#committed;
    this.#committed = Promise.withResolvers<void>();
    resolve();
    for (let turns = 0; turns < 5; turns++) await Promise.resolve();
    return this.done.join(" ");
  }
}

it("a frame is handled at once; those that arrive during its commit are one event, and so are those that follow", async () => {
  const rig = new CommitRig();
  for (const name of ["a1", "b1", "a2", "end of b"]) void rig.run(name);
  expect(rig.done.join(" ")).toBe("( a1 )");
  expect(await rig.end()).toBe("( b1 a2 end of b )");
  expect(await rig.end()).toBe("");
  for (const name of ["a3", "b2"]) void rig.run(name);
  expect(await rig.end()).toBe("( a3 b2 )");
  expect(await rig.end()).toBe("");
  void rig.run("a4");
  expect(await rig.end()).toBe("( a4 )");
  expect(await rig.end()).toBe("");
  rig.done.length = 0;
  void rig.run("a5");
  expect(rig.done.join(" ")).toBe("( a5 )");
});

it("a frame behind one that has written nothing does not wait", () => {
  const rig = new CommitRig();
  rig.isWriting = false;
  for (const name of ["a1", "b1"]) void rig.run(name);
  expect(rig.done.join(" ")).toBe("( a1 ) ( b1 )");
});

it("a frame whose work throws does not stop the others", async () => {
  const rig = new CommitRig();
  void rig.run("a1");
  const broken = rig.run("bug");
  void rig.run("a2");
  const refused = expect(broken).rejects.toThrow("a bug");
  expect(await rig.end()).toBe("( a2 )");
  await refused;
  expect(await rig.end()).toBe("");
  void rig.run("a3");
  expect(await rig.end()).toBe("( a3 )");
  expect(await rig.end()).toBe("");
  expect(() => rig.run("bug")).toThrow("a bug");
  void rig.run("a4");
  expect(rig.done.at(-2)).toBe("a4");
});

it("an event knows how long its oldest request has waited", async () => {
  const rig = new CommitRig();
  expect(rig.run("a1")).toBe("a1");
  rig.now = 100;
  const [b1, c1] = [rig.run("b1"), ((rig.now = 130), rig.run("c1"))];
  rig.now = 150;
  await rig.end();
  expect(await Promise.all([b1, c1])).toEqual(["b1", "c1"]);
  expect(rig.waits).toEqual([0, 50]);
});

it("simultaneous frames are all answered, each connection's in their order", async ({ workspace }) => {
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

it("frames sent before a close are done, then the chat's grace begins", async ({ workspace }) => {
  const [a, b] = [await workspace.connect(), await workspace.connect()];
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
  await workspace.disconnected("c1");
  expect(await workspace.ask("state.get", { key: "last" })).toMatchObject({ entry: { value: 1 } });
  expect(await workspace.ask("chats.get", { chat: "c1" })).toMatchObject({ status: "busy", isConnected: false });
});
