import { metrics } from "../contract/metrics.ts";
import type { Refusal } from "../contract/errors.ts";

const codes: readonly string[] = metrics.shim_requests_refused_total.labels.code;

/** Requests that one object has refused since its start, by the codes that an operator acts on. */
export class RefusalCounts {
  readonly #counts = new Map(codes.map((code) => [code, 0]));

  add({ code }: Pick<Refusal, "code">): void {
    const count = this.#counts.get(code);
    if (count !== undefined) this.#counts.set(code, count + 1);
  }

  all(): readonly (readonly [code: string, count: number])[] {
    return [...this.#counts];
  }
}
