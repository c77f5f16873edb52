import type { OutputOf } from "#src/contract/operations.ts";
import type { Change, Entry } from "#src/contract/state.ts";
import type { Result } from "#src/shared/result.ts";
import type { Json } from "#src/contract/json.ts";
import type { Sim } from "../sim.ts";
import type { Client } from "./client.ts";

/** Below which clients watch. */
const prefixes = ["", "", "count/", "acct/", "tmp/", "$leader/", "$chat/"];

const againMs = 1_000;

/** A copy of what stands below a prefix, kept up by a watch of the client. */
export class Copy {
  readonly prefix: string;
  readonly copy = new Map<string, Json>();
  /** 0: it has nothing yet. */
  revision = 0;
  readonly #client: Client;
  #last = 0;
  /** Changes that came while everything is read; null: it was read. */
  #waiting: Change[] | null = [];
  #readings = 0;

  constructor(client: Client) {
    this.#client = client;
    this.prefix = client.around.sim.rng.pick(prefixes);
  }

  follow(): void {
    this.#client.edge.onChanges(this.prefix, (changes) => {
      if (changes === null) this.#begin();
      else this.#take(changes);
    });
  }

  #begin(): void {
    this.#client.around.sim.count("copy begun");
    this.#waiting = [];
    this.#readings += 1;
    const reading = this.#readings;
    this.#client.run(() => this.#readAll(reading));
  }

  async #readAll(reading: number): Promise<void> {
    const found = new Map<string, Json>();
    let first: number | null = null;
    for (let cursor: string | null = ""; cursor !== null;) {
      const page: Result<OutputOf<"state.list">, unknown> = await this.#client.call("state.list", {
        prefix: this.prefix,
        limit: 50,
        cursor,
      });
      if (reading !== this.#readings) return;
      if (!page.ok) {
        const again = (): void => this.#client.run(() => this.#readAll(reading));
        return this.#client.later(againMs, "reads all again", again);
      }
      for (const { key, value } of page.value.entries) found.set(key, value);
      first ??= page.value.revision;
      ({ cursor } = page.value);
    }
    this.copy.clear();
    for (const [key, value] of found) this.copy.set(key, value);
    this.revision = first ?? 0;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#apply(waiting.filter(({ revision }) => revision > this.revision));
  }

  /** Each change once and in order. */
  #take(changes: readonly Change[]): void {
    const sim: Sim = this.#client.around.sim;
    sim.count("copy changed");
    for (const { key, revision } of changes) {
      const isNew = revision > this.#last && key.startsWith(this.prefix);
      if (!isNew) sim.fail("client", `${this.#client.name}: ${key} at ${revision} after ${this.#last}`);
      this.#last = revision;
    }
    if (this.#waiting) this.#waiting.push(...changes);
    else this.#apply(changes);
  }

  #apply(changes: readonly Change[]): void {
    for (const { key, op, value, revision } of changes) {
      this.revision = Math.max(this.revision, revision);
      // What the coordinator tells of itself is told, not kept.
      if (key.startsWith("$")) continue;
      if (op === "set") this.copy.set(key, value);
      else this.copy.delete(key);
    }
  }

  /** What differs from the truth; null: nothing. A key that is over, and whose end was not told yet, may be there or not. */
  differs(entries: readonly Pick<Entry, "key" | "value">[], isOver: (key: string) => boolean): string | null {
    const expected = new Map(
      entries.filter(({ key }) => key.startsWith(this.prefix)).map(({ key, value }) => [key, value]),
    );
    const keys = new Set([...expected.keys(), ...this.copy.keys()]);
    const isWrong = (key: string): boolean =>
      !isOver(key) && JSON.stringify(this.copy.get(key)) !== JSON.stringify(expected.get(key));
    return [...keys].find((key) => isWrong(key)) ?? null;
  }
}
