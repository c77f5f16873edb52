import type { Refusal } from "#src/contract/errors.ts";
import { elapsedMs, type Instant } from "#src/coordinator-client/edge/trust.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import type { Client } from "./client.ts";

/** Stands between the client that is shipped and the network: it forgets renewals, and with a planted bug it reads answers wrongly. */

type Read = (text: string) => string;

/** What an answer says of a lease or a leadership. */
interface Said {
  ttlMs: number;
  remainingMs: number;
}

/** What an answer says to one who asks for it. */
interface Asked {
  readonly state: string;
  readonly lease: Said & { readonly token?: number; readonly term?: number };
  readonly leader: Asked["lease"];
}

const grants = new Set(["leases.acquire", "leases.renew", "elections.campaign", "elections.renew"]);
const forgotten: Refusal = { code: "throttled", message: "this renewal is forgotten" };

export class Reading {
  readonly #client: Client;
  /** Tokens that are not renewed any more. */
  readonly #forgotten = new Set<number>();
  /** Requests that wait in line. */
  readonly #waiting = new Set<unknown>();
  /** By token: what was granted to one who has waited, and is not confirmed. */
  readonly #supposed = new Map<number, Said>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** @returns the answer to a request that never leaves the process; null: it is sent */
  instead(name: string, input: unknown): Result<object, Refusal> | null {
    if (name !== "leases.renew" && name !== "elections.renew") return null;
    const { token, term = 0 } = input as { token?: number; term?: number };
    const supposed = this.#supposed.get(token ?? term);
    if (!supposed) return this.#forgets(token ?? term) ? err(forgotten) : null;
    this.#supposed.delete(token ?? term);
    return ok({ ...supposed, remainingMs: supposed.ttlMs });
  }

  /** Now and then a renewal is forgotten, and all later ones of the same token: so what it stands for runs out. */
  #forgets(token: number): boolean {
    const { sim, habits } = this.#client.around;
    if (habits.isNight) return false;
    if (sim.rng.chance(habits.forgets)) this.#forgotten.add(token);
    return this.#forgotten.has(token);
  }

  /** A request is sent. @returns reads its answer; null: as it stands */
  sent(name: string, input: object): Read | null {
    const { hasMargin, trustsFrom, ignoresRemaining, trustsWhileWaiting } = this.#client.around.bugs;
    const isSound = hasMargin && trustsFrom === "request" && !ignoresRemaining && !trustsWhileWaiting;
    if (isSound || !grants.has(name)) return null;
    const sentAt = this.#client.stamp();
    return (text) =>
      JSON.stringify(JSON.parse(text), (_, value: unknown) => {
        if (typeof value !== "object" || value === null) return value;
        if (trustsWhileWaiting) this.#waited(input, value);
        return "remainingMs" in value && "ttlMs" in value ? this.#misread({ ...value } as Said, sentAt) : value;
      });
  }

  #misread(said: Said, sentAt: Instant): Said {
    const { hasMargin, trustsFrom, ignoresRemaining } = this.#client.around.bugs;
    if (ignoresRemaining) said.remainingMs = said.ttlMs;
    // The client takes its margin off what it reads.
    const marginMs = hasMargin ? 0 : (500 + said.ttlMs / 100) / 0.99;
    const moreMs = marginMs + (trustsFrom === "reply" ? elapsedMs(sentAt, this.#client.stamp()) : 0);
    said.remainingMs = Math.round(said.remainingMs + moreMs);
    said.ttlMs = Math.round(said.ttlMs + moreMs);
    return said;
  }

  #waited(input: { requestId?: unknown }, answer: object): void {
    const { requestId } = input;
    const { state, lease, leader } = answer as Partial<Asked>;
    if (state === "waiting" || state === "following") this.#waiting.add(requestId);
    const grant = state === "leading" ? leader : lease;
    if (grant && this.#waiting.delete(requestId)) this.#supposed.set(grant.token ?? grant.term ?? 0, grant);
  }
}
