import { DurableObject } from "cloudflare:workers";
import type { Failure } from "../contract/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";

const factsKey = "facts";

export interface BoxFacts {
  /** Id of the token that made it. */
  readonly owner: string;
  /** Epoch ms; then everything is deleted. */
  readonly until: number;
}

/** Outside of any workspace, for callers without a token; a machine of a workspace owns it. */
export abstract class SealedBox<Facts extends BoxFacts> extends DurableObject {
  /** Refuses a wrong owner and a wrong secret alike, and every caller once nothing is stored. */
  protected abstract readonly unknown: Failure;

  /** Epoch ms; the only clock of the object. */
  protected now(): number {
    return Date.now();
  }

  /** Deletes everything at once. */
  async remove(owner: string): Promise<Result<null>> {
    const facts = this.owned(owner);
    if (!facts.ok) return facts;
    await this.clear();
    return ok(null);
  }

  override async alarm(): Promise<void> {
    const facts = this.#stored();
    if (facts === undefined || facts.until <= this.now()) await this.clear();
    else await this.ctx.storage.setAlarm(facts.until);
  }

  /** @returns null: nothing is stored, or its time is over */
  protected facts(): Facts | null {
    const facts = this.#stored();
    return facts !== undefined && facts.until > this.now() ? facts : null;
  }

  protected owned(owner: string): Result<Facts> {
    const facts = this.facts();
    return facts?.owner === owner ? ok(facts) : err(this.unknown);
  }

  protected endsInMs({ until }: Facts): number {
    return Math.max(0, until - this.now());
  }

  protected save(facts: Facts): void {
    this.ctx.storage.kv.put(factsKey, facts);
  }

  /** Saves, and sets the end. */
  protected async begin(facts: Facts): Promise<void> {
    this.save(facts);
    await this.ctx.storage.setAlarm(facts.until);
  }

  protected async clear(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  #stored(): Facts | undefined {
    return this.ctx.storage.kv.get<Facts>(factsKey);
  }
}
