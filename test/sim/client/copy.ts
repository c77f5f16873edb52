import type { Entry } from "#src/contract/state.ts";
import type { Json } from "#src/contract/json.ts";
import type { WatchEvent } from "#src/coordinator-client/edge/state-watch.ts";
import type { Sim } from "../sim.ts";
import type { Client } from "./client.ts";

/** Below which clients watch. */
const prefixes = ["", "", "count/", "acct/", "tmp/", "$leader/", "$chat/"];

/** A copy of what stands below a prefix, kept up by a watch of the client. */
export class Copy {
  readonly prefix: string;
  readonly copy = new Map<string, Json>();
  /** 0: it has nothing yet. */
  revision = 0;
  readonly #client: Client;

  /** @param before what an earlier process of the chat has kept: it goes on from there */
  constructor(client: Client, before: Copy | null) {
    this.#client = client;
    this.prefix = before?.prefix ?? client.around.sim.rng.pick(prefixes);
    this.revision = before?.revision ?? 0;
    for (const [key, value] of before?.copy ?? []) this.copy.set(key, value);
  }

  follow(): void {
    const after = this.revision === 0 ? {} : { after: this.revision };
    this.#client.edge.watch({ prefix: this.prefix, ...after }, (event) => this.#take(event));
  }

  /** [EC15] Each change once and in order. */
  #take(event: WatchEvent): void {
    const sim: Sim = this.#client.around.sim;
    if (event.type === "failed") {
      const { code, message } = event.error;
      return sim.must(code === "closed", "client", () => `the watch of ${this.#client.name} ended: ${message}`);
    }
    if (event.type === "snapshot") {
      sim.count("copy begun");
      this.copy.clear();
      for (const { key, value } of event.entries) this.copy.set(key, value);
    } else {
      sim.count("copy changed");
      for (const { key, op, value, revision } of event.changes) {
        const isNew = revision > this.revision && key.startsWith(this.prefix);
        if (!isNew) sim.fail("client", `${this.#client.name}: ${key} at ${revision} after ${this.revision}`);
        // What the coordinator tells of itself is told, not kept.
        if (key.startsWith("$")) continue;
        if (op === "set") this.copy.set(key, value);
        else this.copy.delete(key);
      }
    }
    this.revision = event.revision;
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
