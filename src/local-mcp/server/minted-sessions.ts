import { uuidv7 } from "../../shared/ids.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Session } from "../sessions/sessions.ts";

/** The sessions that the calls of one MCP process have made: one for each project, and one for calls that name no project. */
export class MintedSessions {
  readonly #runtime: Pick<Runtime, "now" | "random">;
  /** Ids by project; "" for none. */
  readonly #ids = new Map<string, string>();
  /** The one that was used last. */
  #last: string | null = null;

  constructor(runtime: Pick<Runtime, "now" | "random">) {
    this.#runtime = runtime;
  }

  /** @param open the sessions that the worker before this one has made, in their order */
  adoptOpen(open: readonly Session[]): void {
    for (const { id, project } of open) this.#ids.set(project ?? "", id);
    this.#last = open.at(-1)?.id ?? null;
  }

  get last(): string | null {
    return this.#last;
  }

  ids(): string[] {
    return [...this.#ids.values()];
  }

  has(id: string): boolean {
    return this.ids().includes(id);
  }

  findFor(project: string | undefined): string | null {
    return this.#ids.get(project ?? "") ?? null;
  }

  /** Finds or makes the session of a project; without a project, that of the last call. */
  findOrMake(project: string | undefined): string {
    const known = project === undefined ? this.#last : (this.findFor(project) ?? this.#adopt(project));
    const id = known ?? `ses_${uuidv7(this.#runtime.now(), this.#runtime.random(16))}`;
    if (!known) this.#ids.set(project ?? "", id);
    this.#last = id;
    return id;
  }

  /** The first calls named no project: their session becomes that of the first project that is named. */
  #adopt(project: string): string | null {
    const id = this.findFor(undefined);
    if (id === null) return null;
    this.#ids.delete("");
    this.#ids.set(project, id);
    return id;
  }
}
