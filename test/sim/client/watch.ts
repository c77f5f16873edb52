import type { Change, Entry } from "../../../src/contract/state.ts";
import type { Json } from "../../../src/contract/values.ts";
import type { Client } from "./client.ts";

/** Below which clients watch. */
const prefixes = ["", "", "count/", "acct/", "tmp/", "$leader/", "$chat/"];

/** A copy of what stands below a prefix, kept up by pulling changes from the last revision on. */
export class Watch {
  readonly prefix: string;
  /** Null: it has to begin with a list. */
  revision: number | null = null;
  readonly copy = new Map<string, Json>();
  readonly #client: Client;

  /** @param before what an earlier process of the chat has kept: it goes on from there */
  constructor(client: Client, before: Watch | null) {
    this.#client = client;
    this.prefix = before?.prefix ?? client.around.sim.rng.pick(prefixes);
    this.revision = before?.revision ?? null;
    for (const [key, value] of before?.copy ?? []) this.copy.set(key, value);
  }

  pull(limit: number): void {
    const after = this.revision;
    if (after === null) return this.#list();
    this.#client.call(
      "state.changes",
      { prefix: this.prefix, after, limit },
      (reply) => {
        // A reply that was overtaken says nothing new.
        if (!reply || this.revision !== after) return;
        if (!reply.ok) {
          this.revision = null;
          return;
        }
        this.revision = reply.value.revision;
        this.#apply(reply.value.changes);
        if (reply.value.isMore) this.pull(limit);
      },
      { tries: 2 },
    );
  }

  #list(): void {
    this.#client.call(
      "state.list",
      { prefix: this.prefix, limit: 500 },
      (reply) => {
        if (!reply?.ok || this.revision !== null) return;
        this.copy.clear();
        for (const entry of reply.value.entries) this.copy.set(entry.key, entry.value);
        this.revision = reply.value.revision;
      },
      { tries: 2 },
    );
  }

  #apply(changes: readonly Change[]): void {
    for (const { key, op, value } of changes) {
      // What the coordinator tells of itself is told, not kept.
      if (key.startsWith("$")) continue;
      if (op === "set") this.copy.set(key, value);
      else this.copy.delete(key);
    }
  }

  /** What differs from the truth at the same revision; null: nothing. A key that is over, and whose end was not told yet, may be there or not. */
  differs(entries: readonly Entry[], isOver: (key: string) => boolean): string | null {
    const expected = new Map(
      entries.filter(({ key }) => key.startsWith(this.prefix)).map(({ key, value }) => [key, value]),
    );
    const keys = new Set([...expected.keys(), ...this.copy.keys()]);
    const isWrong = (key: string): boolean =>
      !isOver(key) && JSON.stringify(this.copy.get(key)) !== JSON.stringify(expected.get(key));
    return [...keys].find((key) => isWrong(key)) ?? null;
  }
}
