import type { Target } from "#src/contract/messages.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import { type Commit, readAccepted, type Readers } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { Answered } from "./answered.ts";
import { all, keepMap, type PutBack } from "./keep.ts";

interface Sent {
  readonly id: number;
  readonly from: string;
  readonly target: Target;
  readonly rank: number;
  readonly body: string;
  readonly expiresAt: number;
}

interface Box {
  readonly pending: Map<number, Sent>;
  /** Pattern, and the newest message when it was made. */
  readonly patterns: Map<string, number>;
}

const ranks = { low: 0, normal: 1, high: 2 } as const;
/** What the engine counts at the most. */
const mostCounted = 1_000;

/** What every chat has yet to read, worked out from what was accepted. */
export class MessageModel {
  readonly #sim: Sim;
  readonly #boxes = new Map<string, Box>();
  readonly #known: Answered<number>;
  #newest = 0;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.#known = new Answered(sim);
  }

  committed(commit: Commit): void {
    for (const fact of commit.facts) if (fact.kind === "forgotten") this.#boxes.delete(fact.chat);
    readAccepted(this.#on, commit);
  }

  readonly #on: Readers = {
    "chats.register": ({ chat }) => this.#open(chat),
    "messages.send": (input, value) => this.#sent(input, value),
    "messages.subscribe": (input) => this.#subscribed(input),
    "messages.unsubscribe": (input) => this.#unsubscribed(input),
    "messages.pull": (input, value) => this.#pulled(input, value),
    "messages.ack": (input, value) => this.#acked(input, value),
  };

  /** Without the newest number: it counts over all histories. */
  keep(): PutBack {
    return all(keepMap(this.#boxes, copyOf), this.#known.keep());
  }

  trim(): void {
    for (const box of this.#boxes.values()) this.#live(box);
  }

  #open(chat: string): void {
    if (!this.#boxes.has(chat)) this.#boxes.set(chat, { pending: new Map(), patterns: new Map() });
  }

  #box(chat: string): Box {
    const box = this.#boxes.get(chat);
    return box ?? this.#sim.fail("messages", `${chat} acts and has no inbox`);
  }

  #sent(input: CheckedInputOf<"messages.send">, { id, isRepeat }: OutputOf<"messages.send">): void {
    const { self, requestId } = input;
    const key = requestId === undefined ? null : `${self.chat} ${requestId}`;
    const first = this.#known.get(key);
    if (first !== undefined) return this.#repeated(first, id, isRepeat);
    this.#sim.must(!isRepeat, "requests", () => `message ${id} counts as a repeat and is none`);
    this.#sim.must(id > this.#newest, "messages", () => `message ${id} follows ${this.#newest}`);
    this.#newest = id;
    this.#known.add(key, id);
    this.#deliver(input, id);
  }

  #repeated(first: number, id: number, isRepeat: boolean): void {
    this.#sim.count("message repeated");
    this.#sim.must(first === id && isRepeat, "requests", () => `message ${first} was sent again as ${id}`);
  }

  #deliver({ self, target, body, priority, ttlMs }: CheckedInputOf<"messages.send">, id: number): void {
    const expiresAt = this.#sim.hostNow + ttlMs;
    const sent = { id, from: self.chat, target, rank: ranks[priority], body: JSON.stringify(body), expiresAt };
    for (const [chat, box] of this.#boxes) if (isFor(chat, box, sent)) box.pending.set(id, sent);
  }

  #subscribed({ self, pattern }: CheckedInputOf<"messages.subscribe">): void {
    const { patterns } = this.#box(self.chat);
    if (!patterns.has(pattern)) patterns.set(pattern, this.#newest);
  }

  #unsubscribed({ self, pattern }: CheckedInputOf<"messages.subscribe">): void {
    const box = this.#box(self.chat);
    box.patterns.delete(pattern);
    for (const sent of box.pending.values()) if (!isFor(self.chat, box, sent)) box.pending.delete(sent.id);
  }

  /** Those whose time is not over. */
  #live({ pending }: Box): Sent[] {
    for (const { id, expiresAt } of pending.values()) if (expiresAt <= this.#sim.hostNow) pending.delete(id);
    return [...pending.values()];
  }

  #pulled({ self, limit, minPriority }: CheckedInputOf<"messages.pull">, told: OutputOf<"messages.pull">): void {
    const { chat } = self;
    const live = this.#live(this.#box(chat));
    if (live.length > mostCounted) return;
    const wanted = live.filter(({ rank }) => rank >= ranks[minPriority ?? "low"]);
    const expected = wanted.sort((a, b) => b.rank - a.rank || a.id - b.id).slice(0, limit);
    const sim: Sim = this.#sim;
    sim.count("messages read");
    const [want, got] = [expected.map(({ id }) => id).join(" "), told.messages.map(({ id }) => id).join(" ")];
    sim.must(want === got, "messages", () => `${chat} was given messages ${got}, not ${want}`);
    const wrong = told.messages.find(({ body }, place) => JSON.stringify(body) !== expected[place]?.body);
    sim.must(!wrong, "messages", () => `message ${wrong?.id} came as ${JSON.stringify(wrong?.body)}`);
    this.#lookAtUnread(chat, live.length, told.unread);
    sim.must(told.isMore === wanted.length > limit, "messages", () => `${chat} was told isMore ${told.isMore}`);
  }

  #acked({ self, cursor, ids }: CheckedInputOf<"messages.ack">, told: OutputOf<"messages.ack">): void {
    const box = this.#box(self.chat);
    for (const id of box.pending.keys()) if (id <= (cursor ?? 0) || ids.includes(id)) box.pending.delete(id);
    this.#lookAtUnread(self.chat, this.#live(box).length, told.unread);
  }

  #lookAtUnread(chat: string, count: number, told: number): void {
    const isRight = count > mostCounted || told === count;
    this.#sim.must(isRight, "messages", () => `${chat} has ${count} unread messages, and was told ${told}`);
  }
}

function copyOf({ pending, patterns }: Box): Box {
  return { pending: new Map(pending), patterns: new Map(patterns) };
}

function isFor(chat: string, { patterns }: Box, { id, from, target }: Sent): boolean {
  if (target.to === "chat") return target.chat === chat;
  if (from === chat) return false;
  if (target.to === "all") return true;
  return [...patterns].some(([pattern, since]) => since < id && shapeOf(pattern).test(target.topic));
}

const shapes = new Map<string, RegExp>();

/** `*` is one word, `**` one or more. */
function shapeOf(pattern: string): RegExp {
  let shape = shapes.get(pattern);
  if (!shape) {
    const words = pattern.split(".").map((word) => (word === "**" ? "[\\w.-]+" : word === "*" ? "[\\w-]+" : word));
    shapes.set(pattern, (shape = new RegExp(`^${words.join("\\.")}$`)));
  }
  return shape;
}
