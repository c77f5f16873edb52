import type { Runtime } from "../../runtime/runtime.ts";
import { readProjectFacts, type NamingContext } from "./find-project.ts";
import { projectKey } from "./project-key.ts";
import * as names from "./project-names.ts";
import { isWithin } from "../../shared/elapsed.ts";

interface CachedProject {
  readonly name: string;
  readonly remote: string | null;
  readonly at: number;
}

/** Lifetime in ms: a remote may be added later. */
const validForMs = 86_400_000;

export class ProjectNameCache {
  readonly #runtime: Pick<Runtime, "store" | "now" | "env">;
  readonly #context: NamingContext;
  readonly #entries = new Map<string, CachedProject>();

  constructor(runtime: Pick<Runtime, "store" | "now" | "env">, context: NamingContext) {
    this.#runtime = runtime;
    this.#context = context;
  }

  async refresh(root: string): Promise<void> {
    const { store, now, env } = this.#runtime;
    const cached = this.#entries.get(root);
    if (cached && isWithin(now() - cached.at, validForMs)) return;
    const { key, machine, workspace } = this.#context;
    const facts = await readProjectFacts(env, root, machine);
    const name = projectKey(key, facts);
    this.#entries.set(root, { name, remote: facts.remote, at: now() });
    store.write((sql) => names.save(sql, workspace, root, name, now()));
  }

  find(root: string): CachedProject | null {
    return this.#entries.get(root) ?? null;
  }
}
