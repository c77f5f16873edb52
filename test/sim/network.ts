import type { Client } from "./client/client.ts";
import type { Sim } from "./sim.ts";

/** Shares of the cases in which something goes wrong. */
export const stormy = {
  /** Messages to the host and back that are lost. */
  loss: 0.03,
  /** HTTP requests that arrive a second time. */
  duplicate: 0.1,
  /** Delays of up to 2 s, and of up to 40 s. */
  slow: 0.05,
  verySlow: 0.01,
  /** Deaths of the host before the commit, and after it before anything is sent. */
  crash: 0.004,
  eviction: 0.006,
  alarmLost: 0.03,
  alarmLate: 0.1,
  /** Late alarms that ring up to a minute late. */
  alarmVeryLate: 0.2,
  alarmTwice: 0.05,
  /** Tokens of the dispatch queue. */
  queueLoss: 0.1,
  queueTwice: 0.15,
  queueSlow: 0.2,
  /** Rows that one sweep handles. */
  sweepLimit: 20,
  /** Requests that the host sheds or would shed. */
  overload: 0,
};
export type Weather = typeof stormy;

const names = Object.keys(stormy) as (keyof Weather)[];
export const calm = { ...(Object.fromEntries(names.map((name) => [name, 0])) as Weather), sweepLimit: 100 };

/** Faults of the next request, for lists of commands. A socket on which something is lost is dead. */
export interface NextRequest {
  isLost?: boolean;
  isReplyLost?: boolean;
  copyAfterMs?: number;
  delayMs?: number;
}

/** One request over HTTP. */
export interface Exchange<Reply> {
  /** @returns null: no reply leaves the host */
  readonly serve: () => Reply | null;
  /** Called twice when the request arrived twice. */
  readonly onReply: (reply: Reply) => void;
  /** The connection was reset. The request may have arrived, and a copy of it may still arrive. */
  readonly onReset: () => void;
}

/** Loses, delays, doubles and reorders HTTP requests. Sockets keep their own order. */
export class Network {
  /** Null: chance decides. */
  next: NextRequest | null = null;
  readonly #sim: Sim;
  readonly #weather: () => Weather;

  constructor(sim: Sim, weather: () => Weather) {
    this.#sim = sim;
    this.#weather = weather;
  }

  send<Reply>(from: Client, exchange: Exchange<Reply>): void {
    const { rng } = this.#sim;
    const plan = this.takePlan();
    const delayMs = plan.delayMs ?? this.delay();
    const { loss, duplicate } = this.#weather();
    const arrives = (): void => this.#arrives(from, exchange, plan.isReplyLost);
    if (plan.isLost ?? rng.chance(loss)) {
      this.#sim.count("request lost");
      this.#fails(from, exchange);
    } else this.#sim.later(delayMs, "request", arrives);
    const copyMs = plan.copyAfterMs ?? (rng.chance(duplicate) ? this.delay() + rng.below(3_000) : null);
    if (copyMs !== null) this.#sim.later(delayMs + copyMs, "request again", arrives);
  }

  delay(): number {
    const { rng } = this.#sim;
    const { slow, verySlow } = this.#weather();
    if (rng.chance(verySlow)) return rng.between(2_000, 40_000);
    return rng.chance(slow) ? rng.between(50, 2_000) : rng.between(2, 40);
  }

  isLost(part = 1): boolean {
    return this.#sim.rng.chance(part * this.#weather().loss);
  }

  takePlan(): NextRequest {
    const plan = this.next;
    this.next = null;
    return plan ?? {};
  }

  #arrives<Reply>(from: Client, exchange: Exchange<Reply>, isReplyLost: boolean | undefined): void {
    const reply = from.isCut ? null : exchange.serve();
    if (reply !== null && !(isReplyLost ?? this.isLost())) {
      return this.#sim.later(this.delay(), "reply", () =>
        from.isCut ? this.#fails(from, exchange) : from.deliver(() => exchange.onReply(reply)),
      );
    }
    if (reply !== null) this.#sim.count("reply lost");
    this.#fails(from, exchange);
  }

  /** Most connections are reset some time later; the others stay silent. */
  #fails<Reply>(from: Client, { onReset }: Exchange<Reply>): void {
    const { rng } = this.#sim;
    if (rng.chance(0.3)) return;
    this.#sim.later(rng.between(100, 6_000), "connection reset", () => from.deliver(onReset));
  }
}
