import type { Target } from "#src/contract/messages.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import { type Commit, readAccepted, type Readers, type Reply } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import type { Change, Guard } from "#src/contract/state.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { ChangeFact } from "../host/recording-sql.ts";
import type { LeaseLedger } from "./oracle.ts";

type Sent = Readonly<{ id: number; from: string; target: Target; rank: number; body: string; expiresAt: number }>;

type Box = Readonly<{ pending: Map<number, Sent>; patterns: Map<string, number> }>;

const ranks = { low: 0, normal: 1, high: 2 } as const;
/** Unread messages that the engine reads at most. */
const mostRead = 1_000;

export class MessageModel {
  readonly #sim: Sim;
  readonly #boxes = new Map<string, Box>();
  readonly #known: Answered<number>;
  /** Over all histories. */
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

  keep(): PutBack {
    return all(keepMap(this.#boxes), this.#known.keep());
  }

  trim(): void {
    for (const box of this.#boxes.values()) this.#live(box);
  }

  #box(chat: string): Box {
    return this.#boxes.get(chat) ?? this.#sim.fail("messages", `${chat} acts and has no inbox`);
  }

  #sent(input: CheckedInputOf<"messages.send">, { id, isRepeat }: OutputOf<"messages.send">): void {
    const sim: Sim = this.#sim;
    const { self, requestId, target, body, priority, ttlMs } = input;
    const key = `${self.chat} ${requestId}`;
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

/** Restores a part of the oracle as it was when it was kept. */
export type PutBack = () => void;

export function keepMap<Key, Value>(map: Map<Key, Value>): PutBack {
  const kept = structuredClone(map);
  return () => {
    map.clear();
    for (const [key, value] of structuredClone(kept)) map.set(key, value);
  };
}

export function all(...parts: readonly PutBack[]): PutBack {
  return () => {
    for (const putBack of parts) putBack();
  };
}

const dayMs = 86_400_000;

/** First answers to requests with an id, which the coordinator stores for a day. */
export class Answered<Answer> {
  readonly #sim: Sim;
  readonly #first = new Map<string, { readonly answer: Answer; readonly at: number }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  get(id: string): Answer | undefined {
    const first = this.#first.get(id);
    return first && !this.#isOver(first.at) ? first.answer : undefined;
  }

  add(id: string, answer: Answer): void {
    for (const [old, { at }] of this.#first) {
      if (!this.#isOver(at)) break;
      this.#first.delete(old);
    }
    this.#first.set(id, { answer, at: this.#sim.hostNow });
  }

  keep(): PutBack {
    return keepMap(this.#first);
  }

  #isOver(at: number): boolean {
    return at <= this.#sim.hostNow - dayMs;
  }
}

/** Rows that the engine keeps at most; older ones may go whatever their age. */
const mostKept = 100_000;

export class ChangeLog {
  readonly #sim: Sim;
  readonly #keepMs: () => number;
  #log: ChangeFact[] = [];
  #floor = 0;
  /** Over all histories. */
  #highest = 0;

  constructor(sim: Sim, keepMs: () => number) {
    this.#sim = sim;
    this.#keepMs = keepMs;
  }

  between(prefix: string, after: number, upTo: number): ChangeFact[] {
    return this.#log.slice(this.#after(after), this.#after(upTo)).filter(({ key }) => key.startsWith(prefix));
  }

  newestBelow(prefix: string): number {
    return this.#log.findLast(({ key }) => key.startsWith(prefix))?.revision ?? 0;
  }

  committed({ request, result, facts }: Commit): void {
    for (const fact of facts) {
      if (fact.kind === "changed") this.#append(fact.change);
      if (fact.kind === "compacted") this.#compacted(fact.before);
    }
    if (request?.name === "state.changes") this.#pulled(request.input as CheckedInputOf<"state.changes">, result);
  }

  keep(): PutBack {
    const [log, floor] = [[...this.#log], this.#floor];
    return () => {
      this.#log = [...log];
      this.#floor = floor;
    };
  }

  trim(): void {
    if (this.#log.length > 3 * mostKept) this.#log = this.#log.slice(-2 * mostKept);
  }

  /** Revisions are consecutive, except for the first one of an epoch. */
  #append(change: ChangeFact): void {
    const { revision } = change;
    const newest = this.#newest;
    const isFirstOfEpoch = revision > newest && revision % numbersPerEpoch === 1;
    if (revision <= this.#highest) this.#sim.fail("watch", `revision ${revision} was given a second time`);
    this.#highest = revision;
    if (revision !== newest + 1 && !isFirstOfEpoch) this.#sim.fail("watch", `revision ${revision} follows ${newest}`);
    this.#log.push(change);
  }

  get #newest(): number {
    return this.#log.at(-1)?.revision ?? 0;
  }

  #after(revision: number): number {
    let [low, high] = [0, this.#log.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#log[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #pulled({ prefix, after, limit }: CheckedInputOf<"state.changes">, reply: Reply): void {
    if (!reply.ok) return this.#refused(after);
    const { changes, revision, isMore } = reply.value as OutputOf<"state.changes">;
    const sim: Sim = this.#sim;
    sim.count("watch read");
    const expected = this.between(prefix, after, revision);
    const where = (): string => `a watch of "${prefix}" after ${after} up to ${revision}`;
    const [want, got] = [expected.length, changes.length];
    sim.must(want === got, "watch", () => `${where()} got ${got} changes of ${want}`);
    const wrong = expected.find((change, index) => !isSame(change, changes[index]));
    sim.must(!wrong, "watch", () => `${where()} got something else than ${JSON.stringify(wrong)}`);
    if (this.#isCutAt(this.#after(revision))) sim.fail("watch", `an update was cut at revision ${revision}`);
    if (changes.length > limit && changes.some(({ group }) => group !== changes[0]?.group))
      sim.fail("watch", `${where()} got ${changes.length} changes, with a limit of ${limit}`);
    if (isMore !== revision < this.#newest) sim.fail("watch", `${where()} got isMore ${isMore} at ${this.#newest}`);
  }

  #isCutAt(index: number): boolean {
    const [last, next] = [this.#log[index - 1], this.#log[index]];
    return last !== undefined && last.grp === next?.grp;
  }

  #compacted(before: number): void {
    const index = this.#after(before - 1);
    const last = this.#log[index - 1];
    if (!last) return;
    this.#floor = last.revision;
    if (index === this.#log.length) return;
    const ageMs = this.#sim.hostNow - last.at;
    const isOld = ageMs >= this.#keepMs() || this.#log.length - index >= mostKept;
    if (!isOld) this.#sim.fail("watch", `revision ${last.revision} is gone after ${ageMs} ms`);
    if (this.#isCutAt(index)) this.#sim.fail("watch", `an update was cut by the compaction before ${before}`);
  }

  #refused(after: number): void {
    this.#sim.count("watch compacted");
    const isKnown =
      after === this.#floor || (after > this.#floor && this.#log[this.#after(after) - 1]?.revision === after);
    if (isKnown) this.#sim.fail("watch", `a watch after ${after} was refused, though all after ${this.#floor} is kept`);
  }
}

function isSame({ revision, key, op, value }: ChangeFact, got: Change | undefined): boolean {
  const isChange = got?.revision === revision && got.key === key && got.op === op;
  return isChange && JSON.stringify(got.value) === (value ?? "null");
}

type Update = Readonly<{ guards: readonly Guard[]; id: string }>;

/** Writes to the state: the leases judge their guards, and no request is done twice. */
export class WriteModel {
  readonly #sim: Sim;
  readonly #ledger: LeaseLedger;
  readonly #known: Answered<true>;

  constructor(sim: Sim, ledger: LeaseLedger) {
    this.#sim = sim;
    this.#known = new Answered(sim);
    this.#ledger = ledger;
  }

  committed({ request, result, facts }: Commit): void {
    const update = request && updateOf(request.name, request.input);
    if (!update) return;
    const hasChanged = facts.some((fact) => fact.kind === "changed" && !fact.change.key.startsWith("$"));
    if (this.#known.get(update.id)) {
      this.#sim.count("write repeated");
      this.#sim.must(result.ok && !hasChanged, "requests", () => `${update.id} was done twice`);
    } else if (!result.ok) this.#refused(update, result.error.code);
    else {
      // A request without effect is not stored.
      if (hasChanged) this.#known.add(update.id, true);
      this.#accepted(update);
    }
  }

  keep(): PutBack {
    return this.#known.keep();
  }

  #accepted({ guards }: Update): void {
    for (const { resource, token } of guards) {
      const why = this.#ledger.whyStale(resource, token);
      this.#sim.must(why === null, "guard", () => `a write for ${resource} with token ${token} was accepted: ${why}`);
      this.#sim.count("guarded write accepted");
    }
  }

  #refused({ guards }: Update, code: string): void {
    this.#sim.count(`write refused: ${code}`);
    if (code !== "stale_token") return;
    const isGood = guards.every(({ resource, token }) => {
      const lease = [...this.#ledger.leases.values()].find((one) => one.token === token);
      return !this.#ledger.whyStale(resource, token) && lease?.isBound === 0 && lease.expiresAt > this.#sim.hostNow;
    });
    if (isGood) this.#sim.fail("guard", "a guarded write was refused, though its lease is held");
  }
}

function updateOf(name: string, input: object): Update | null {
  if (name !== "state.update" && name !== "state.set" && name !== "state.delete") return null;
  const { by = "", requestId, guard, guards = guard ? [guard] : [] } = input as Written;
  return { guards, id: `${name} ${by} ${requestId}` };
}

type Written = Partial<Pick<CheckedInputOf<"state.set">, "by" | "requestId" | "guard"> & Pick<Update, "guards">>;
