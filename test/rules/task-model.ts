import * as fc from "fast-check";
import { expect } from "vitest";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import { codeOf, second } from "#harness/coordinator/peers.ts";
import { type RuleHost, type OpenHost } from "#harness/coordinator/engine-host.ts";
import { ask, minute } from "#harness/coordinator/state-calls.ts";
import { calm, type Claimed, Hand } from "#harness/coordinator/task-calls.ts";
import { backoff, type ModelChat, type ModelTask, TaskModel, type Wished } from "#harness/coordinator/task-model.ts";
import type { TaskTest } from "./rule-test.ts";
import { step } from "./steps.ts";

const names = ["a", "b", "c"] as const;
const kinds: Readonly<Record<(typeof names)[number], Omit<ModelChat, "isHere">>> = {
  a: { capabilities: [], capacity: 1 },
  b: { capabilities: ["gpu"], capacity: 3 },
  c: { capabilities: ["gpu", "arm"], capacity: 2 },
};

const name = fc.constantFrom(...names);
const pick = fc.nat(200);
const times = fc.constantFrom(1 * second, 10 * second, 29 * second, 30 * second, 31 * second, 70 * second, 2 * minute);
const wished: fc.Arbitrary<Wished> = fc.record({
  type: fc.constantFrom("x", "y"),
  priority: fc.integer({ min: 0, max: 9 }),
  capabilities: fc.constantFrom([], [], ["gpu"], ["arm", "gpu"]),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  delayMs: fc.constantFrom(0, 0, 0, 5 * second),
  queueMs: fc.constantFrom(null, null, 20 * second),
  closeMs: fc.constantFrom(30 * second, 10 * minute),
  heartbeatMs: fc.constantFrom(30 * second, 5 * minute),
  isIgnoring: fc.boolean(),
});

const deed = fc.constantFrom("ack", "nack", "nack for good", "release", "beat", "news");
const anyStep = fc.oneof(
  step(7, "submit", { wished, needs: fc.array(pick, { maxLength: 2 }) }),
  step(5, "claim", {
    name,
    limit: fc.integer({ min: 1, max: 3 }),
    types: fc.constantFrom(undefined, undefined, ["y"]),
    isStarted: fc.boolean(),
    isRepeated: fc.boolean(),
  }),
  step(6, "work", { pick, deed, isRepeated: fc.boolean() }),
  step(1, "late", { pick, deed }),
  step(1, "cancel", { pick }),
  step(3, "pass", { ms: times }),
  step(1, "go", { name, isLost: fc.boolean() }),
  step(2, "back", { name }),
);
type Step = typeof anyStep extends fc.Arbitrary<infer One> ? One : never;
type StepOf<Kind extends string> = Extract<Step, { kind: Kind }>;
type Deed = typeof deed extends fc.Arbitrary<infer One> ? One : never;
type Line = OutputOf<"tasks.list">["tasks"][number];

/** A claim that a chat has got, present or not. */
interface Ticket {
  readonly hand: Hand;
  readonly claimed: Claimed;
}

/** A host and the model beside it. */
class Bench {
  readonly host: RuleHost;
  readonly model: TaskModel;
  readonly hands: ReadonlyMap<string, Hand>;
  readonly tickets: Ticket[] = [];
  #requests = 0;

  private constructor(host: RuleHost, hands: ReadonlyMap<string, Hand>) {
    this.host = host;
    this.hands = hands;
    this.model = new TaskModel(host.now(), new Map(names.map((one) => [one, { ...kinds[one], isHere: true }])));
  }

  static async open(open: OpenHost): Promise<Bench> {
    const host = await calm(open);
    const hands = new Map<string, Hand>();
    for (const one of names) {
      const { capabilities, capacity } = kinds[one];
      hands.set(one, await Hand.join(host, one, { capabilities: [...capabilities], capacity }));
    }
    return new Bench(host, hands);
  }

  hand(chat: string): Hand {
    const hand = this.hands.get(chat);
    if (!hand) throw new Error(`no chat ${chat}`);
    return hand;
  }

  async take(one: Step): Promise<void> {
    const deeds: { readonly [Kind in Step["kind"]]: (one: never) => Promise<void> } = {
      submit: (of: StepOf<"submit">) => this.#submit(of),
      claim: (of: StepOf<"claim">) => this.#claim(of),
      work: (of: StepOf<"work">) => this.#work(of),
      late: (of: StepOf<"late">) => this.#late(of),
      cancel: (of: StepOf<"cancel">) => this.#cancel(of),
      pass: (of: StepOf<"pass">) => this.#pass(of.ms),
      go: (of: StepOf<"go">) => this.#go(of),
      back: (of: StepOf<"back">) => this.#back(of.name),
    };
    await deeds[one.kind](one as never);
    await this.compare();
  }

  async #submit({ wished, needs }: StepOf<"submit">): Promise<void> {
    const { tasks } = this.model;
    const others = [...new Set(needs.flatMap((at) => tasks[at % Math.max(1, tasks.length)] ?? []))];
    const { capabilities, queueMs, closeMs, isIgnoring, ...same } = wished;
    const task = {
      ...same,
      capabilities: [...capabilities],
      startToCloseMs: closeMs,
      ...(queueMs === null ? {} : { scheduleToStartMs: queueMs }),
      onDependencyDeath: isIgnoring ? ("ignore" as const) : ("fail" as const),
      dependsOn: others.map((other) => other.task),
      backoff,
    };
    const [submitted] = (await ask(this.host, "tasks.submit", { tasks: [task] })).tasks;
    if (!submitted) throw new Error("nothing was submitted");
    this.model.submit(submitted.task, wished, others);
  }

  async #claim({ name: chat, limit, types, isStarted, isRepeated }: StepOf<"claim">): Promise<void> {
    if (!this.model.chats.get(chat)?.isHere) return;
    const hand = this.hand(chat);
    const requestId = `q${(this.#requests += 1)}`;
    const request = { requestId, limit, isStarted, ...(types ? { types: [...types] } : {}) };
    const expected = this.model.claim(chat, limit, types, isStarted);
    const claims = await hand.claim(request);
    expect(claims.map(({ task }) => task)).toEqual(expected.map(({ task }) => task));
    if (isRepeated && claims.length > 0) expect(await hand.claim(request)).toHaveLength(claims.length);
    for (const claimed of claims) this.#note(hand, claimed);
  }

  #note(hand: Hand, claimed: Claimed): void {
    const one = this.#modelOf(claimed.task);
    expect(claimed.attempt).toBe(one.failures + 1);
    expect(claimed.attempt).toBeLessThanOrEqual(claimed.maxAttempts);
    const older = this.tickets.filter((ticket) => ticket.claimed.task === claimed.task);
    expect(claimed.claim).toBeGreaterThan(Math.max(0, ...older.map((ticket) => ticket.claimed.claim)));
    this.tickets.push({ hand, claimed });
  }

  #modelOf(task: number): ModelTask {
    const one = this.model.tasks.find((known) => known.task === task);
    if (!one) throw new Error(`nobody submitted task ${task}`);
    return one;
  }

  #newest(task: number): Ticket | undefined {
    return this.tickets.findLast((ticket) => ticket.claimed.task === task);
  }

  async #work({ pick: at, deed: what, isRepeated }: StepOf<"work">): Promise<void> {
    const held = this.model.tasks.filter(({ chat }) => chat !== null);
    const one = held[at % Math.max(1, held.length)];
    const ticket = one && this.#newest(one.task);
    if (!one || !ticket) return;
    this.#expect(one, what);
    expect(await this.#do(ticket, what)).toBe("ok");
    // Sent twice it is done once.
    if (isRepeated) expect(await this.#do(ticket, what)).toBe("ok");
  }

  #expect(one: ModelTask, what: Deed): void {
    const { model } = this;
    if (what === "ack") model.ack(one);
    else if (what === "nack") model.nack(one, true);
    else if (what === "nack for good") model.nack(one, false);
    else if (what === "release") model.release(one);
    else model.beat(one, what === "news");
  }

  async #do({ hand, claimed }: Ticket, what: Deed): Promise<string> {
    if (what === "ack") return codeOf(await hand.try("tasks.ack", claimed, { result: claimed.claim }));
    if (what === "release") return codeOf(await hand.try("tasks.release", claimed, {}));
    if (what === "nack" || what === "nack for good") {
      return codeOf(await hand.try("tasks.nack", claimed, { reason: "broken", isRetryable: what === "nack" }));
    }
    const news = what === "news" ? { progress: { note: `${this.host.now()} ${(this.#requests += 1)}` } } : {};
    return codeOf(await hand.try("tasks.heartbeat", claimed, news));
  }

  /** What is over changes nothing, whatever is sent; at most it is answered as it was the first time. */
  async #late({ pick: at, deed: what }: StepOf<"late">): Promise<void> {
    const over = this.tickets.filter((one) => !this.#isPresent(one));
    const ticket = over[at % Math.max(1, over.length)];
    if (!ticket || !this.model.chats.get(ticket.hand.chat)?.isHere) return;
    const code = await this.#do(ticket, what);
    expect(
      ["ack", "nack", "nack for good", "release"].includes(what) ? ["ok", "stale_claim"] : ["stale_claim"],
    ).toContain(code);
  }

  #isPresent({ hand, claimed }: Ticket): boolean {
    return this.#modelOf(claimed.task).chat === hand.chat && this.#newest(claimed.task)?.claimed === claimed;
  }

  async #cancel({ pick: at }: StepOf<"cancel">): Promise<void> {
    const one = this.model.tasks[at % Math.max(1, this.model.tasks.length)];
    if (!one) return;
    this.model.cancel(one);
    expect((await ask(this.host, "tasks.cancel", { task: one.task, reason: "not wanted" })).state).toBe(one.state);
  }

  /** From one event to the next, each at its time. */
  async #pass(ms: number): Promise<void> {
    const end = this.model.now + ms;
    for (;;) {
      const next = this.model.nextEvent();
      if (next === null || next > end) break;
      await this.#passTo(next);
      this.model.settle();
      await this.compare();
    }
    await this.#passTo(end);
    for (const [chat, { isHere }] of this.model.chats) if (isHere) await this.hand(chat).beat();
  }

  async #passTo(at: number): Promise<void> {
    this.host.wait(at - this.model.now);
    this.model.now = at;
    await this.host.ring();
  }

  async #go({ name: chat, isLost }: StepOf<"go">): Promise<void> {
    if (!this.model.chats.get(chat)?.isHere) return;
    this.model.gone(chat, isLost);
    if (!isLost) return void (await this.hand(chat).leave());
    const { machine, process } = this.hand(chat).registration;
    await ask(this.host, "chats.attest-death", { chat, machine, process });
  }

  async #back(chat: string): Promise<void> {
    const known = this.model.chats.get(chat);
    if (!known || known.isHere) return;
    known.isHere = true;
    await this.hand(chat).back();
  }

  /** All that was accepted is there, as the model has it. */
  async compare(): Promise<void> {
    const lines: Line[] = [];
    for (let cursor: string | null = "0"; cursor !== null;) {
      const input: InputOf<"tasks.list"> = { limit: 200, cursor };
      const page: OutputOf<"tasks.list"> = await ask(this.host, "tasks.list", input);
      lines.push(...page.tasks);
      ({ cursor } = page);
    }
    const told = lines.map(({ task, state, reason, chat, failures }) => ({ task, state, reason, chat, failures }));
    expect(told).toEqual(
      this.model.tasks.map(({ task, state, reason, chat, failures }) => ({ task, state, reason, chat, failures })),
    );
    for (const { failures, maxAttempts } of lines) expect(failures).toBeLessThanOrEqual(maxAttempts);
  }
}

/** Whatever happens in whatever order. */
export function taskModelRules(it: TaskTest): void {
  it("any sequence of calls leaves the tasks of the model @night", async ({ open, runs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 60, size: "max" }), async (steps) => {
        const bench = await Bench.open(open);
        for (const one of steps) await bench.take(one);
      }),
      runs(60),
    );
  });
}
