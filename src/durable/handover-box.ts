import type { Failure } from "../contract/errors.ts";
import type { HandoverStatus } from "../contract/handovers.ts";
import type { CheckedInputOf } from "../contract/operations.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import { SealedBox, type BoxFacts } from "./sealed-box.ts";

interface Taking {
  /** Secret of the machine that takes it. */
  readonly claimant: string;
  readonly by: string;
  readonly isDone: boolean;
}

interface Facts extends BoxFacts {
  readonly claimHash: string;
  readonly parts: number;
  /** Characters that all parts may have. */
  readonly chars: number;
  /** Characters of the parts that are here, by number. */
  readonly received: Readonly<Record<number, number>>;
  readonly taking: Taking | null;
}

/** A claim as the Worker has hashed it. */
export interface HashedClaim {
  readonly claimHash: string;
  readonly claimant: string;
  readonly by: string;
}

/**
 * Holds the sealed parts of one hand-over, for one machine to take within its time. An object of
 * its own: who has the link has no token, and must not reach a workspace.
 */
export class HandoverBox extends SealedBox<Facts> {
  protected override readonly unknown: Failure = {
    code: "unknown_handover",
    message: "there is no such hand-over, or its time is over: ask for a new link",
  };

  async create({ claimHash, parts, chars }: CheckedInputOf<"boxes.create">, until: number): Promise<void> {
    await this.begin({ claimHash, parts, chars, received: {}, until, taking: null });
  }

  put(part: number, envelope: string): Result<null> {
    const facts = this.present();
    if (!facts.ok) return facts;
    const { parts, taking, chars } = facts.value;
    if (part >= parts) return fail("bad_input", `it has ${parts} parts, numbered from 0`);
    if (taking !== null) return fail("handover_taken", "it is being taken, and changes no more");
    const received = { ...facts.value.received, [part]: envelope.length };
    const sum = Object.values(received).reduce((total, one) => total + one, 0);
    if (sum > chars) return fail("too_large", `its parts have more than the ${chars} characters that were reserved`);
    this.ctx.storage.kv.put(partKey(part), envelope);
    this.save({ ...facts.value, received });
    return ok(null);
  }

  status(): Result<HandoverStatus> {
    const facts = this.present();
    if (!facts.ok) return facts;
    const { taking } = facts.value;
    const state = taking === null ? "open" : taking.isDone ? "taken" : "taking";
    return ok({ state, by: taking?.by ?? null, endsInMs: this.endsInMs(facts.value) });
  }

  /** Binds it to the first machine that shows the claim; its repeat changes nothing. */
  claim(claim: HashedClaim): Result<{ readonly parts: number }> {
    const facts = this.#claimed(claim);
    if (!facts.ok) return facts;
    const { parts, taking, received } = facts.value;
    if (Object.keys(received).length < parts)
      return fail("handover_incomplete", "its machine is still sending it: try again in a moment");
    const { claimant, by } = claim;
    if (taking === null) this.save({ ...facts.value, taking: { claimant, by, isDone: false } });
    return ok({ parts });
  }

  read(claim: HashedClaim, part: number): Result<{ readonly envelope: string }> {
    const facts = this.#claimed(claim);
    if (!facts.ok) return facts;
    const { taking } = facts.value;
    if (taking?.isDone === true) return fail("handover_taken", "it was taken: ask for a new link");
    const envelope = taking === null ? undefined : this.ctx.storage.kv.get<string>(partKey(part));
    return envelope === undefined ? err(this.unknown) : ok({ envelope });
  }

  /** Deletes the parts: the machine that took it has all. */
  finish(claim: HashedClaim): Result<null> {
    const facts = this.#claimed(claim);
    if (!facts.ok) return facts;
    const { taking, parts } = facts.value;
    if (taking === null) return err(this.unknown);
    for (let part = 0; part < parts; part += 1) this.ctx.storage.kv.delete(partKey(part));
    this.save({ ...facts.value, taking: { ...taking, isDone: true } });
    return ok(null);
  }

  /** Refused alike: no hand-over, another claim. */
  #claimed({ claimHash, claimant }: HashedClaim): Result<Facts> {
    const facts = this.facts();
    if (facts?.claimHash !== claimHash) return err(this.unknown);
    if (facts.taking === null || facts.taking.claimant === claimant) return ok(facts);
    const message = `the machine ${facts.taking.by} has taken it already: ask for a new link`;
    return fail("handover_taken", message);
  }
}

function partKey(part: number): string {
  return `part ${part}`;
}
