import type { Target } from "#src/contract/messages.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import { type Commit, readAccepted, type Readers } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";

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
  readonly patterns: Map<string, number>;
}

const ranks = { low: 0, normal: 1, high: 2 } as const;
/** Unread messages that the engine reads at most. */
const mostRead = 1_000;

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
    "chats.register": ({ chat }) => {
      if (!this.#boxes.has(chat)) this.#boxes.set(chat, { pending: new Map(), patterns: new Map() });
    },
    "messages.send": (input, value) => this.#sent(input, value),
    "messages.subscribe": ({ self, pattern }) => {
      const { patterns } = this.#box(self.chat);
      if (!patterns.has(pattern)) patterns.set(pattern, this.#newest);
    },
    "messages.unsubscribe": ({ self, pattern }) => {
      const box = this.#box(self.chat);
      box.patterns.delete(pattern);
      for (const sent of box.pending.values()) if (!isFor(self.chat, box, sent)) box.pending.delete(sent.id);
    },
    "messages.pull": (input, value) => this.#pulled(input, value),
    "messages.ack": ({ self, cursor, ids }) => {
      const { pending } = this.#box(self.chat);
      for (const id of pending.keys()) if (id <= (cursor ?? 0) || ids.includes(id)) pending.delete(id);
    },
  };

  trim(): void {
    for (const box of this.#boxes.values()) this.#live(box);
  }

  #box(chat: string): Box {
    return this.#boxes.get(chat) ?? this.#sim.fail("messages", `${chat} acts and has no inbox`);
  }

  #sent(input: CheckedInputOf<"messages.send">, { id, isRepeat }: OutputOf<"messages.send">): void {
    const sim: Sim = this.#sim;
    const { self, requestId, target, body, priority, ttlMs } = input;
    const key = requestId === undefined ? null : `${self.chat} ${requestId}`;
    const first = this.#known.get(key);
    if (first !== undefined) {
      sim.count("message repeated");
      return sim.must(first === id && isRepeat, "requests", () => `message ${first} was sent again as ${id}`);
    }
    sim.must(!isRepeat, "requests", () => `message ${id} counts as a repeat and is none`);
    sim.must(id > this.#newest, "messages", () => `message ${id} follows ${this.#newest}`);
    this.#newest = id;
    this.#known.add(key, id);
    const expiresAt = sim.hostNow + ttlMs;
    const sent = { id, from: self.chat, target, rank: ranks[priority], body: JSON.stringify(body), expiresAt };
    for (const [chat, box] of this.#boxes) if (isFor(chat, box, sent)) box.pending.set(id, sent);
  }

  #live({ pending }: Box): Sent[] {
    for (const { id, expiresAt } of pending.values()) if (expiresAt <= this.#sim.hostNow) pending.delete(id);
    return [...pending.values()];
  }

  #pulled({ self, limit, minPriority }: CheckedInputOf<"messages.pull">, got: OutputOf<"messages.pull">): void {
    const { chat } = self;
    const live = this.#live(this.#box(chat));
    if (live.length > mostRead) return;
    const wanted = live.filter(({ rank }) => rank >= ranks[minPriority ?? "low"]);
    const expected = wanted.sort((a, b) => b.rank - a.rank || a.id - b.id).slice(0, limit);
    const sim: Sim = this.#sim;
    sim.count("messages read");
    const [want, is] = [expected.map(({ id }) => id).join(" "), got.messages.map(({ id }) => id).join(" ")];
    sim.must(want === is, "messages", () => `${chat} got messages ${is}, not ${want}`);
    const wrong = got.messages.find(({ body }, index) => JSON.stringify(body) !== expected[index]?.body);
    sim.must(!wrong, "messages", () => `message ${wrong?.id} arrived as ${JSON.stringify(wrong?.body)}`);
    sim.must(got.isMore === wanted.length > limit, "messages", () => `${chat} got isMore ${got.isMore}`);
  }
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

const dayMs = 86_400_000;

/** First answers to requests with an id, which the coordinator stores for a day. */
export class Answered<Answer> {
  readonly #sim: Sim;
  readonly #first = new Map<string, { readonly answer: Answer; readonly at: number }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** @param id null: the request has none, so it is never a repeat */
  get(id: string | null): Answer | undefined {
    const first = id === null ? undefined : this.#first.get(id);
    return first && !this.#isOver(first.at) ? first.answer : undefined;
  }

  add(id: string | null, answer: Answer): void {
    if (id === null) return;
    for (const [old, { at }] of this.#first) {
      if (!this.#isOver(at)) break;
      this.#first.delete(old);
    }
    this.#first.set(id, { answer, at: this.#sim.hostNow });
  }

  #isOver(at: number): boolean {
    return at <= this.#sim.hostNow - dayMs;
  }
}
