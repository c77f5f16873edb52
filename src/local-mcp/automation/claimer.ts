import type { ClaimedTask } from "../../contract/tasks.ts";
import { newId, type Outside } from "../edge/outside.ts";
import { read, type Instant } from "../edge/trust.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";

/** What a claim has brought, and the start of the request. */
export interface Claimed {
  readonly tasks: readonly ClaimedTask[];
  readonly since: Instant;
  /** Why there is nothing; null: there is nothing to be taken. */
  readonly trouble: Trouble | null;
}

const claimWithinMs = 30_000;

/** Asks for tasks. A request whose answer was lost is asked again under its id, so that what it has got is not left lying. [WK2] */
export class Claimer {
  readonly #link: ChatLink;
  readonly #outside: Pick<Outside, "clock" | "random">;
  readonly #types: string[];
  #requestId: string | null = null;

  constructor(link: ChatLink, outside: Pick<Outside, "clock" | "random">, types: readonly string[]) {
    this.#link = link;
    this.#outside = outside;
    this.#types = [...types];
  }

  async claim(limit: number): Promise<Claimed> {
    const since = read(this.#outside.clock);
    this.#requestId ??= newId(this.#outside);
    const wish = { requestId: this.#requestId, limit, types: this.#types, isStarted: true };
    const answer = await this.#link.call("tasks.claim", wish, claimWithinMs);
    if (answer.ok) {
      this.#requestId = null;
      return { tasks: answer.value.claims, since, trouble: null };
    }
    if (!isPassing(answer.error)) this.#requestId = null;
    return { tasks: [], since, trouble: answer.error };
  }
}
