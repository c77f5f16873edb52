import { DurableObject } from "cloudflare:workers";
import type { Failure } from "../contract/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";

const factsKey = "facts";

export interface BoxFacts {
  /** Epoch ms; then everything is deleted. */
  readonly until: number;
}

/**
 * An object of a workspace for callers without a token. The workspace has a row of it, lets its
 * machine use it, and clears it.
 */
export abstract class SealedBox<Facts extends BoxFacts> extends DurableObject {
  /** Refuses a wrong secret, and every caller once nothing is stored. */
  protected abstract readonly unknown: Failure;

  /** Epoch ms; the only clock of the object. */
  protected now(): number {
    return Date.now();
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

  protected present(): Result<Facts> {
    const facts = this.facts();
    return facts === null ? err(this.unknown) : ok(facts);
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

  /** Deletes everything at once. */
  async clear(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  #stored(): Facts | undefined {
    return this.ctx.storage.kv.get<Facts>(factsKey);
  }
}
