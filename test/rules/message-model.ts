import * as fc from "fast-check";
import { expect } from "vitest";
import type { Priority, Target } from "#src/contract/messages.ts";
import { type RuleHost } from "#harness/coordinator/engine-host.ts";
import { Correspondent, day, hour, minute, some, toAll, toTopic } from "#harness/coordinator/state-calls.ts";
import { standsFor } from "./message-receivers.ts";
import type { RuleTest } from "./rule-test.ts";
import { step } from "./steps.ts";

/** Messages against a model, behind any host. */
export function messageModelRules(it: RuleTest): void {
  it("each receiver pulls the messages of the model", async ({ open, runs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
        const host = await open();
        const post = new Post(host, await some(host, "c0", "c1", "c2"));
        for (const one of acts) await post.act(one);
        await post.compareAll();
      }),
      runs(100),
    );
  });
}

const topics = ["a", "a.b", "a.c", "b"];
const ranks: readonly Priority[] = ["low", "normal", "high"];

const who = fc.nat(2);
const target = fc.oneof(
  fc.constantFrom("c0", "c1", "c2").map((chat): Target => ({ to: "chat", chat })),
  fc.constantFrom(...topics).map(toTopic),
  fc.constant<Target>(toAll),
);
const priority = fc.constantFrom(...ranks);
const pattern = fc.constantFrom("a", "a.*", "a.**", "**", "*.b", "b");
const ids = fc.array(fc.nat(30), { maxLength: 6 });

/** Sorted by how often it is drawn. */
const act = fc.oneof(
  step(8, "send", { who, target, priority, ttlMs: fc.constantFrom(1_000, minute, day) }),
  step(5, "pull", { who, limit: fc.integer({ min: 1, max: 6 }), priority }),
  step(4, "ack", { who, cursor: fc.constant(0), ids }),
  step(3, "ack", { who, cursor: fc.nat(30), ids }),
  step(2, "subscribe", { who, pattern }),
  step(2, "wait", { ms: fc.constantFrom(999, 1, 40_000, hour) }),
  step(1, "unsubscribe", { who, pattern }),
  step(1, "leave", { who }),
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;
type ActOf<Kind extends Act["kind"]> = Extract<Act, { readonly kind: Kind }>;

interface Sent {
  readonly id: number;
  readonly from: string;
  readonly target: Target;
  readonly rank: number;
  readonly until: number;
}

/** What one chat has subscribed to and acknowledged. */
class Reader {
  readonly chat: Correspondent;
  /** Each with the number after which it holds. */
  readonly patterns = new Map<string, number>();
  readonly acknowledged = new Set<number>();
  cursor = 0;

  constructor(chat: Correspondent) {
    this.chat = chat;
  }

  isFor({ id, from, target }: Sent): boolean {
    if (target.to === "chat") return target.chat === this.chat.chat;
    if (from === this.chat.chat) return false;
    if (target.to === "all") return true;
    return [...this.patterns].some(([one, since]) => id > since && standsFor(one.split("."), target.topic.split(".")));
  }
}

/** Who has to get what, by the rules alone. */
class Post {
  readonly #host: RuleHost;
  readonly #readers: readonly Reader[];
  readonly #sent: Sent[] = [];

  constructor(host: RuleHost, chats: readonly Correspondent[]) {
    this.#host = host;
    this.#readers = chats.map((chat) => new Reader(chat));
  }

  async act(one: Act): Promise<void> {
    if (one.kind === "wait") {
      this.#host.wait(one.ms);
      await this.#host.ring();
      return;
    }
    const reader = this.#readers[one.who];
    if (!reader) return;
    await reader.chat.back();
    if (one.kind === "leave") await reader.chat.leave();
    else await this.#work(reader, one);
  }

  #work(reader: Reader, one: Exclude<Act, { readonly kind: "wait" | "leave" }>): Promise<unknown> {
    switch (one.kind) {
      case "send":
        return this.#send(reader, one);
      case "pull":
        return this.#pull(reader, one.limit, one.priority);
      case "ack":
        return this.#ack(reader, one);
      case "subscribe":
        if (!reader.patterns.has(one.pattern)) reader.patterns.set(one.pattern, this.#newest());
        return reader.chat.subscribe(one.pattern);
      case "unsubscribe":
        reader.patterns.delete(one.pattern);
        return reader.chat.unsubscribe(one.pattern);
    }
  }

  #newest(): number {
    return this.#sent.at(-1)?.id ?? 0;
  }

  async #send({ chat }: Reader, { target, priority, ttlMs }: ActOf<"send">): Promise<void> {
    const sent = await chat.trySend(target, null, { priority, ttlMs });
    if (!sent.ok) return expect(sent.error.code).toBe("throttled");
    const { id } = sent.value;
    expect(id).toBe(this.#newest() + 1);
    const until = this.#host.now() + ttlMs;
    this.#sent.push({ id, from: chat.chat, target, rank: ranks.indexOf(priority), until });
  }

  async #ack(reader: Reader, { cursor, ids }: ActOf<"ack">): Promise<void> {
    for (const { id } of this.#sent) if (id <= cursor || ids.includes(id)) reader.acknowledged.add(id);
    const answered = await reader.chat.ack({ cursor, ids });
    const unread = this.#unread(reader);
    expect(answered.unread).toBe(unread.length);
    expect(answered.cursor).toBeGreaterThanOrEqual(reader.cursor);
    expect(answered.cursor).toBeLessThan(unread[0]?.id ?? Number.POSITIVE_INFINITY);
    reader.cursor = answered.cursor;
  }

  #unread(reader: Reader): Sent[] {
    const isOver = ({ until }: Sent): boolean => until <= this.#host.now();
    return this.#sent.filter((one) => reader.isFor(one) && !isOver(one) && !reader.acknowledged.has(one.id));
  }

  async #pull(reader: Reader, limit: number, minPriority: Priority): Promise<void> {
    const pulled = await reader.chat.pull({ limit, minPriority });
    const unread = this.#unread(reader);
    const wanted = unread
      .filter(({ rank }) => rank >= ranks.indexOf(minPriority))
      .toSorted((a, b) => b.rank - a.rank || a.id - b.id);
    expect(pulled.messages.map(({ id }) => id)).toEqual(wanted.slice(0, limit).map(({ id }) => id));
    expect(pulled).toMatchObject({ unread: unread.length, isMore: wanted.length > limit });
  }

  async compareAll(): Promise<void> {
    for (const reader of this.#readers) {
      await reader.chat.back();
      await this.#pull(reader, 100, "low");
    }
  }
}
