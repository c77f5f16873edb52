import type { Reply, Request } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";

const dayMs = 86_400_000;

/** First answers to requests with an id that anybody may send: a repeat gets the same, whatever has become of the task since. */
export class Repeats {
  readonly #sim: Sim;
  readonly #answers = new Map<string, { answer: string; at: number }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** [RQ8] Whether it is answered as the first time. One that changed nothing then may also be carried out now. */
  isRepeat({ name, input, actor }: Request, result: Reply): boolean {
    const { requestId } = input as { requestId?: string };
    if (requestId === undefined || !result.ok) return false;
    const id = `${name} ${actor.machine} ${requestId}`;
    const answer = JSON.stringify(result.value);
    const first = this.#answers.get(id);
    if (first?.answer === answer && first.at > this.#sim.hostNow - dayMs) {
      this.#sim.count("answer repeated");
      return true;
    }
    this.#trim();
    this.#answers.set(id, { answer, at: this.#sim.hostNow });
    return false;
  }

  #trim(): void {
    for (const [id, { at }] of this.#answers) {
      if (at > this.#sim.hostNow - dayMs) return;
      this.#answers.delete(id);
    }
  }
}
