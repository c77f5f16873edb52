import type { Reply, Request, SimHost } from "./host/sim-host.ts";
import type { Rng } from "./rng.ts";
import type { Sim } from "./sim.ts";

/** One end of the network. */
export interface Endpoint {
  /** Cut off: nothing comes through. */
  readonly isCut: boolean;
  /** Runs now, or when the process goes on; never when it is dead. */
  deliver(work: () => void): boolean | void;
}

/** Faults of the next request, for scripted runs. */
export interface NextRequest {
  isLost?: boolean;
  isReplyLost?: boolean;
  copyAfterMs?: number;
  delayMs?: number;
}

/** Loses, delays, doubles and reorders what goes between clients and the host. */
export class Network {
  readonly #sim: Sim;
  readonly #host: SimHost;
  readonly #rng: Rng;
  /** Null: chance decides. */
  next: NextRequest | null = null;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
    this.#rng = sim.rng;
  }

  /**
   * @param onReply may be called twice, when the request came twice
   * @param onSilence called at most once, when nothing was heard for a while; a reply may still come
   */
  send(from: Endpoint, request: Request, onReply: (reply: Reply) => void, onSilence: () => void): void {
    const plan = this.#takePlan();
    const way = this.#way(from, request, onReply, onSilence, plan.isReplyLost);
    const delayMs = plan.delayMs ?? this.delay();
    const { loss, duplicate } = this.#host.weather;
    if (plan.isLost ?? this.#rng.chance(loss)) {
      this.#sim.count("request lost");
      way.fails();
    } else this.#sim.later(delayMs, "request", () => way.arrives());
    const copyMs = plan.copyAfterMs ?? (this.#rng.chance(duplicate) ? this.delay() + this.#rng.below(3_000) : null);
    if (copyMs !== null) this.#sim.later(delayMs + copyMs, "request again", () => way.arrives());
  }

  delay(): number {
    const { slow, verySlow } = this.#host.weather;
    if (this.#rng.chance(verySlow)) return this.#rng.between(2_000, 40_000);
    return this.#rng.chance(slow) ? this.#rng.between(50, 2_000) : this.#rng.between(2, 40);
  }

  isLost(): boolean {
    return this.#rng.chance(this.#host.weather.loss);
  }

  /** One request on its way there and back. */
  #way(
    from: Endpoint,
    request: Request,
    onReply: (reply: Reply) => void,
    onSilence: () => void,
    isReplyLost: boolean | undefined,
  ): { arrives: () => void; fails: () => void } {
    const sim = this.#sim;
    const until = sim.now + this.#rng.between(2_000, 6_000);
    let isWatched = false;
    let isAnswered = false;
    const fails = (): void => {
      if (isWatched) return;
      isWatched = true;
      sim.later(until - sim.now, "patience over", () => (isAnswered ? false : from.deliver(onSilence)));
    };
    const answer = (reply: Reply): void => {
      const delayMs = this.delay();
      if (sim.now + delayMs >= until) fails();
      sim.later(delayMs, "reply", () => {
        if (from.isCut) {
          fails();
          return;
        }
        return from.deliver(() => {
          isAnswered = true;
          onReply(reply);
        });
      });
    };
    const arrives = (): void => {
      const reply = from.isCut ? null : this.#host.handle(request);
      sim.note(() => `  ${request.name} ${JSON.stringify(request.input)} -> ${JSON.stringify(reply)}`);
      if (reply && !(isReplyLost ?? this.isLost())) return answer(reply);
      if (reply) sim.count("reply lost");
      fails();
    };
    return { arrives, fails };
  }

  #takePlan(): NextRequest {
    const plan = this.next;
    this.next = null;
    return plan ?? {};
  }
}
