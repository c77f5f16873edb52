import type { Client } from "./client/client.ts";
import type { Rng } from "./rng.ts";
import type { Sim } from "./sim.ts";
import type { Weather } from "./weather.ts";

/** Faults of the next request, for scripted runs. A socket on which something is lost is dead. */
export interface NextRequest {
  isLost?: boolean;
  isReplyLost?: boolean;
  copyAfterMs?: number;
  delayMs?: number;
}

/** What becomes of a request over HTTP. */
export interface Exchange<Reply> {
  /** @returns null: no reply leaves the host */
  readonly serve: () => Reply | null;
  /** May be called twice, when the request came twice. */
  readonly onReply: (reply: Reply) => void;
  /** Its connection was reset. It may have arrived, and a copy of it may arrive yet. */
  readonly onReset: () => void;
}

/** Loses, delays, doubles and reorders what goes between clients and the host, each by itself. Sockets keep an order of their own. */
export class Network {
  /** Null: chance decides. */
  next: NextRequest | null = null;
  readonly #sim: Sim;
  readonly #weather: () => Weather;
  readonly #rng: Rng;

  constructor(sim: Sim, weather: () => Weather) {
    this.#sim = sim;
    this.#weather = weather;
    this.#rng = sim.rng;
  }

  send<Reply>(from: Client, exchange: Exchange<Reply>): void {
    const plan = this.takePlan();
    const delayMs = plan.delayMs ?? this.delay();
    const { loss, duplicate } = this.#weather();
    const arrives = (): void => this.#arrives(from, exchange, plan.isReplyLost);
    if (plan.isLost ?? this.#rng.chance(loss)) {
      this.#sim.count("request lost");
      this.#fails(from, exchange);
    } else this.#sim.later(delayMs, "request", arrives);
    const copyMs = plan.copyAfterMs ?? (this.#rng.chance(duplicate) ? this.delay() + this.#rng.below(3_000) : null);
    if (copyMs !== null) this.#sim.later(delayMs + copyMs, "request again", arrives);
  }

  delay(): number {
    const { slow, verySlow } = this.#weather();
    if (this.#rng.chance(verySlow)) return this.#rng.between(2_000, 40_000);
    return this.#rng.chance(slow) ? this.#rng.between(50, 2_000) : this.#rng.between(2, 40);
  }

  /** @param part of the share of messages that are lost */
  isLost(part = 1): boolean {
    return this.#rng.chance(part * this.#weather().loss);
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

  /** Mostly its connection is reset at some time; else nobody tells. */
  #fails<Reply>(from: Client, { onReset }: Exchange<Reply>): void {
    if (this.#rng.chance(0.3)) return;
    this.#sim.later(this.#rng.between(100, 6_000), "connection reset", () => from.deliver(onReset));
  }
}
