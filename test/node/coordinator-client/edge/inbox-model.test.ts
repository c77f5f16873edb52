import * as fc from "fast-check";
import { expect, it } from "vitest";
import { aChat, registered, value } from "#harness/edge/edge-clients.ts";
import { FakeEdge, type Passing } from "#harness/edge/fake-edge.ts";

const act = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("send"), chars: fc.constantFrom(10, 10, 10, 5_000) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.constantFrom(1, 4, 6, 9, 30, 400) }) },
  // What goes wrong, until the next one of its kind.
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("lose"), what: fc.constantFrom("hints", "acks", "pulls", "") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("slow"), ms: fc.constantFrom(5, 5, 40) }) },
  // A hint for no reason of the reader's: a message to all does not come back to its sender.
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("hint") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("close", "deploy", "cut", "older", "newer") }) },
);
type Act = { kind: string; chars?: number; ms?: number; what?: string };

function losing(what: string): (passing: Passing) => boolean {
  const name = { hints: "messages.new", acks: "messages.ack", pulls: "messages.pull" }[what];
  return ({ text, way }) => name !== undefined && way === "socket" && text.includes(name);
}

/** Another chat sends numbers to a chat whose reader keeps what it is given. */
class Post {
  readonly edge = new FakeEdge();
  readonly read: number[] = [];
  sent = 0;
  #self = { chat: "sender", incarnation: 0 };

  static async open(): Promise<Post> {
    const post = new Post();
    const { client } = await registered(post.edge, "a");
    const { incarnation } = value(await post.edge.host.call("chats.register", aChat("sender")));
    post.#self = { chat: "sender", incarnation };
    client.inbox(async ({ body }) => {
      await Promise.resolve();
      post.read.push((body as { n: number }).n);
    });
    await post.edge.time.pass(100);
    return post;
  }

  async act({ kind, chars = 0, ms = 0, what = "" }: Act): Promise<void> {
    const { edge } = this;
    const acts: Record<string, () => unknown> = {
      send: () => this.#send(chars),
      wait: () => edge.time.pass(ms),
      hint: () => this.#hint(),
      lose: () => (edge.faults.loses = losing(what)),
      slow: () => (edge.faults.latencyMs = ms),
      close: () => edge.closeAll(),
      deploy: () => edge.deploy(),
      cut: () => edge.connections.forEach((connection) => connection.freeze()),
      older: () => (edge.carriesMessages = false),
      newer: () => (edge.carriesMessages = true),
    };
    await acts[kind]?.();
  }

  #hint(): void {
    this.edge.host.hints.push({ kind: "message", chat: null, topic: null });
    this.edge.tell();
  }

  async #send(chars: number): Promise<void> {
    const body = { n: (this.sent += 1), text: "x".repeat(chars) };
    const input = { self: this.#self, target: { to: "chat", chat: "a" } as const, body };
    // It may count as gone.
    const result = await this.edge.host.call("messages.send", input);
    if (!result.ok) {
      this.#self = { ...this.#self, ...value(await this.edge.host.call("chats.register", aChat("sender"))) };
      value(await this.edge.host.call("messages.send", { ...input, self: this.#self }));
    }
    this.edge.tell();
  }
}

it("[EC48] [EC47] whatever is lost, and over reconnects, the reader gets each message once and in order @night", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (acts) => {
      const post = await Post.open();
      for (const one of acts) await post.act(one);
      post.edge.faults.loses = () => false;
      await post.edge.time.pass(100_000);
      expect(post.read).toEqual(Array.from({ length: post.sent }, (_, at) => at + 1));
    }),
    { numRuns: 100 },
  );
});

it("[EC48] a message that comes with its hint is read without a pull, and acknowledged", async () => {
  const post = await Post.open();
  const pulls = post.edge.count("messages.pull");
  for (let sent = 0; sent < 5; sent++) {
    await post.act({ kind: "send", chars: 10 });
    await post.act({ kind: "wait", ms: 30 });
  }
  expect([post.read, post.edge.count("messages.pull") - pulls]).toEqual([[1, 2, 3, 4, 5], 0]);
  expect(post.edge.count("messages.ack")).toBe(5);
  // Too long for a hint, then two at once: neither comes with its hint.
  await post.act({ kind: "send", chars: 5_000 });
  await post.act({ kind: "wait", ms: 60 });
  await post.act({ kind: "send", chars: 10 });
  await post.act({ kind: "send", chars: 10 });
  await post.act({ kind: "wait", ms: 60 });
  expect([post.read, post.edge.count("messages.pull") - pulls]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8], 2]);
});

it("[EC48] an older coordinator sends hints alone, and a hint with what cannot be read counts as one", async () => {
  const post = await Post.open();
  post.edge.carriesMessages = false;
  await post.act({ kind: "send", chars: 10 });
  await post.act({ kind: "wait", ms: 60 });
  post.edge.faults.loses = losing("hints");
  await post.act({ kind: "send", chars: 10 });
  await post.act({ kind: "wait", ms: 60 });
  expect(post.read).toEqual([1]);
  post.edge.faults.loses = () => false;
  post.edge.connections[0]?.notify("messages.new", { chat: "a", message: { id: "two" } });
  await post.act({ kind: "wait", ms: 60 });
  expect(post.read).toEqual([1, 2]);
});

it("[EC48] while it handles a message, and of one that it has had, the reader takes none from a hint", async () => {
  const { edge, client, send } = await slowReader();
  const [connection] = edge.connections;
  await send(1);
  await edge.time.pass(20);
  const hint = { id: 2, from: "b", target: { to: "all" }, priority: "normal", body: 2, isData: true, ageMs: 0 };
  connection?.notify("messages.new", { message: hint });
  await edge.time.pass(20);
  expect(client.started).toEqual([1]);
  client.finish();
  await edge.time.pass(100);
  // It was never sent, and the pull does not bring it.
  expect(client.started).toEqual([1]);
  connection?.notify("messages.new", { message: { ...hint, id: 1, body: 1 } });
  await edge.time.pass(100);
  expect([client.started, edge.count("messages.ack")]).toEqual([[1], 1]);
});

/** Its handler ends when the test says so. */
async function slowReader() {
  const edge = new FakeEdge();
  const { client } = await registered(edge, "a");
  const { incarnation } = value(await edge.host.call("chats.register", aChat("sender")));
  const handled = Promise.withResolvers<void>();
  const started: unknown[] = [];
  client.inbox(async ({ body }) => {
    started.push(body);
    await handled.promise;
  });
  await edge.time.pass(100);
  const send = async (body: number): Promise<void> => {
    const self = { chat: "sender", incarnation };
    value(await edge.host.call("messages.send", { self, target: { to: "chat", chat: "a" }, body }));
    edge.tell();
  };
  return { edge, client: { started, finish: () => handled.resolve() }, send };
}
