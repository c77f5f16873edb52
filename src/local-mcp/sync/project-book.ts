import type { Runtime } from "../runtime.ts";
import { factsOf, type Naming } from "./find-project.ts";
import { projectKey } from "./project-key.ts";
import * as names from "./project-names.ts";
import { isWithin } from "../../shared/elapsed.ts";

interface Entry {
  readonly name: string;
  readonly remote: string | null;
  readonly at: number;
}

/** A remote may be added later, in ms. */
const goodForMs = 86_400_000;

/** What projects of this machine are called, found out by git before anything of them is sealed. */
export class ProjectBook {
  readonly #runtime: Pick<Runtime, "store" | "now" | "env">;
  readonly #naming: Naming;
  readonly #entries = new Map<string, Entry>();

  constructor(runtime: Pick<Runtime, "store" | "now" | "env">, naming: Naming) {
    this.#runtime = runtime;
    this.#naming = naming;
  }

  async learn(root: string): Promise<void> {
    const { store, now, env } = this.#runtime;
    const known = this.#entries.get(root);
    if (known && isWithin(now() - known.at, goodForMs)) return;
    const { key, machine, workspace } = this.#naming;
    const facts = await factsOf(env, root, machine);
    const name = projectKey(key, facts);
    this.#entries.set(root, { name, remote: facts.remote, at: now() });
    store.write((sql) => names.keep(sql, workspace, root, name, now()));
  }

  /** Null: it was not learned. */
  of(root: string): Entry | null {
    return this.#entries.get(root) ?? null;
  }
}
