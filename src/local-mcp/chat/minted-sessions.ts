import { uuidv7 } from "../../shared/ids.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Session } from "../sessions/sessions.ts";

/** One session per project, and one for calls without a project. */
export class MintedSessions {
  readonly #runtime: Pick<Runtime, "now" | "random">;
  /** Keyed by project; "" for none. */
  readonly #ids = new Map<string, string>();
  /** Those of chats that were followed by another one of the same project. */
  readonly #earlier = new Set<string>();
  #last: string | null = null;

  constructor(runtime: Pick<Runtime, "now" | "random">) {
    this.#runtime = runtime;
  }

  /** @param open in the order of their creation */
  adoptOpen(open: readonly Session[]): void {
    for (const { id, project } of open) this.#set(project ?? "", id);
    this.#last = open.at(-1)?.id ?? null;
  }

  get last(): string | null {
    return this.#last;
  }

  ids(): string[] {
    return [...this.#earlier, ...this.#ids.values()];
  }

  has(id: string): boolean {
    return this.ids().includes(id);
  }

  findFor(project: string | undefined): string | null {
    return this.#ids.get(project ?? "") ?? null;
  }

  findOrMake(project: string | undefined): string {
    const known = project === undefined ? this.#last : (this.findFor(project) ?? this.#adopt(project));
    if (known === null) return this.begin(project);
    this.#last = known;
    return known;
  }

  /** A new session, also where the project has one. */
  begin(project: string | undefined): string {
    const id = `ses_${uuidv7(this.#runtime.now(), this.#runtime.random(16))}`;
    this.#set(project ?? "", id);
    this.#last = id;
    return id;
  }

  #set(project: string, id: string): void {
    const before = this.#ids.get(project);
    if (before !== undefined) this.#earlier.add(before);
    this.#ids.set(project, id);
  }

  #adopt(project: string): string | null {
    const id = this.findFor(undefined);
    if (id === null) return null;
    this.#ids.delete("");
    this.#ids.set(project, id);
    return id;
  }
}
