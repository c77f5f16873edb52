import type { InputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/values.ts";
import type { Change } from "#src/contract/state.ts";
import type { Answer, Client } from "./client.ts";

const prefixes = ["", "", "count/", "acct/", "tmp/", "$leader/", "$chat/"];

/** A copy of the keys below a prefix, kept up by a watch of the client. */
export class Copy {
  readonly prefix: string;
  /** 0: nothing was read yet. */
  revision = 0;
  readonly #entries = new Map<string, Json>();
  readonly #client: Client;
  #last = 0;
  /** Changes that arrived during a reading of everything; null: none is under way. */
  #waiting: Change[] | null = [];
  #readings = 0;

  constructor(client: Client) {
    this.#client = client;
    this.prefix = client.world.sim.rng.pick(prefixes);
  }

  follow(): void {
    this.#client.edge.onChanges(this.prefix, (changes) => {
      if (changes === null) this.#begin();
      else this.#receive(changes);
    });
  }

  #begin(): void {
    this.#client.world.sim.count("copy begun");
    this.#waiting = [];
    const reading = (this.#readings += 1);
    this.#client.run(() => this.#readAll(reading));
  }

  async #readAll(reading: number): Promise<void> {
    const found = new Map<string, Json>();
    let first: number | null = null;
    for (let cursor: string | null = ""; cursor !== null;) {
      const input: InputOf<"state.list"> = { prefix: this.prefix, limit: 50, cursor };
      const page: Answer<"state.list"> = await this.#client.call("state.list", input);
      if (reading !== this.#readings) return;
      if (!page.ok)
        return this.#client.later(1_000, "reads everything again", () =>
          this.#client.run(() => this.#readAll(reading)),
        );
      for (const { key, value } of page.value.entries) found.set(key, value);
      first ??= page.value.revision;
      ({ cursor } = page.value);
    }
    this.#entries.clear();
    for (const [key, value] of found) this.#entries.set(key, value);
    this.revision = first ?? 0;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#apply(waiting.filter(({ revision }) => revision > this.revision));
  }

  /** Each change comes once and in order. */
  #receive(changes: readonly Change[]): void {
    const { sim } = this.#client.world;
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
      // Announcements of the coordinator are no keys.
      if (key.startsWith("$")) continue;
      if (op === "set") this.#entries.set(key, value);
      else this.#entries.delete(key);
    }
  }

  /** @returns a key that differs from the state; null: none. An expired key may be in the copy or not. */
  differs(state: ReadonlyMap<string, Json>, isOver: (key: string) => boolean): string | null {
    const keys = new Set([...state.keys(), ...this.#entries.keys()]);
    for (const key of keys) {
      if (!key.startsWith(this.prefix) || isOver(key)) continue;
      if (JSON.stringify(this.#entries.get(key)) !== JSON.stringify(state.get(key))) return key;
    }
    return null;
  }
}
