import { DurableObject } from "cloudflare:workers";
import type { Refusal } from "../contract/errors.ts";
import type { HandoverStatus } from "../contract/handovers.ts";
import { err, ok, type Result } from "../shared/result.ts";

const factsKey = "facts";

interface Taking {
  /** Secret of the machine that takes it. */
  readonly claimant: string;
  readonly by: string;
  readonly isDone: boolean;
}

interface Facts {
  /** Id of the token that made it. */
  readonly owner: string;
  readonly claimHash: string;
  readonly parts: number;
  /** Numbers of the parts that are here. */
  readonly received: readonly number[];
  /** Epoch ms; then everything is deleted. */
  readonly until: number;
  readonly taking: Taking | null;
}

/** A claim as the Worker has hashed it. */
export interface HashedClaim {
  readonly claimHash: string;
  readonly claimant: string;
  readonly by: string;
}

const unknown: Refusal = {
  code: "unknown_handover",
  message: "there is no such hand-over, or its time is over: ask for a new link",
};

/**
 * Holds the sealed parts of one hand-over, for one machine to take within its time. An object of
 * its own: who has the link has no token, and must not reach a workspace.
 */
export class HandoverBox extends DurableObject {
  /** Epoch ms; the only clock of the object. */
  protected now(): number {
    return Date.now();
  }

  async create(owner: string, { claimHash, parts }: Pick<Facts, "claimHash" | "parts">, forMs: number): Promise<void> {
    const until = this.now() + forMs;
    this.#save({ owner, claimHash, parts, received: [], until, taking: null });
    await this.ctx.storage.setAlarm(until);
  }

  put(owner: string, part: number, envelope: string): Result<null, Refusal> {
    const facts = this.#owned(owner);
    if (!facts.ok) return facts;
    const { parts, taking, received } = facts.value;
    if (part >= parts) return err({ code: "bad_input", message: `it has ${parts} parts, numbered from 0` });
    if (taking !== null) return err({ code: "handover_taken", message: "it is being taken, and changes no more" });
    this.ctx.storage.kv.put(partKey(part), envelope);
    if (!received.includes(part)) this.#save({ ...facts.value, received: [...received, part] });
    return ok(null);
  }

  status(owner: string): Result<HandoverStatus, Refusal> {
    const facts = this.#owned(owner);
    if (!facts.ok) return facts;
    const { taking, until } = facts.value;
    const state = taking === null ? "open" : taking.isDone ? "taken" : "taking";
    return ok({ state, by: taking?.by ?? null, endsInMs: Math.max(0, until - this.now()) });
  }

  /** Withdraws it; one that was taken stays taken. */
  async cancel(owner: string): Promise<Result<null, Refusal>> {
    const facts = this.#owned(owner);
    if (!facts.ok) return facts;
    await this.#clear();
    return ok(null);
  }

  /** Binds it to the first machine that shows the claim; its repeat changes nothing. */
  claim(claim: HashedClaim): Result<{ readonly parts: number }, Refusal> {
    const facts = this.#claimed(claim);
    if (!facts.ok) return facts;
    const { parts, taking, received } = facts.value;
    if (received.length < parts)
      return err({ code: "handover_incomplete", message: "its machine is still sending it: try again in a moment" });
    const { claimant, by } = claim;
    if (taking === null) this.#save({ ...facts.value, taking: { claimant, by, isDone: false } });
    return ok({ parts });
  }

  read(claim: HashedClaim, part: number): Result<{ readonly envelope: string }, Refusal> {
    const facts = this.#claimed(claim);
    if (!facts.ok) return facts;
    const { taking } = facts.value;
    if (taking?.isDone === true) return err({ code: "handover_taken", message: "it was taken: ask for a new link" });
    const envelope = taking === null ? null : this.#read(part);
    return envelope === null ? err(unknown) : ok({ envelope });
  }

  /** Deletes the parts: the machine that took it has all. */
  finish(claim: HashedClaim): Result<null, Refusal> {
    const facts = this.#claimed(claim);
    if (!facts.ok) return facts;
    const { taking, parts } = facts.value;
    if (taking === null) return err(unknown);
    for (let part = 0; part < parts; part += 1) this.ctx.storage.kv.delete(partKey(part));
    this.#save({ ...facts.value, taking: { ...taking, isDone: true } });
    return ok(null);
  }

  override async alarm(): Promise<void> {
    await this.#clear();
  }

  #facts(): Facts | null {
    const facts = this.ctx.storage.kv.get<Facts>(factsKey) ?? null;
    return facts !== null && facts.until > this.now() ? facts : null;
  }

  #owned(owner: string): Result<Facts, Refusal> {
    const facts = this.#facts();
    return facts?.owner === owner ? ok(facts) : err(unknown);
  }

  /** Refused alike: no hand-over, another claim. */
  #claimed({ claimHash, claimant }: HashedClaim): Result<Facts, Refusal> {
    const facts = this.#facts();
    if (facts?.claimHash !== claimHash) return err(unknown);
    if (facts.taking === null || facts.taking.claimant === claimant) return ok(facts);
    const message = `another machine (${facts.taking.by}) has taken it: ask for a new link`;
    return err({ code: "handover_taken", message });
  }

  #read(part: number): string | null {
    return this.ctx.storage.kv.get<string>(partKey(part)) ?? null;
  }

  #save(facts: Facts): void {
    this.ctx.storage.kv.put(factsKey, facts);
  }

  async #clear(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }
}

function partKey(part: number): string {
  return `part ${part}`;
}
