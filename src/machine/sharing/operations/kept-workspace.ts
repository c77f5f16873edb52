import type { Result } from "../../../shared/result.ts";
import type { Workspace } from "./workspace.ts";

/** A host's own connection: opened at the first use, again after a failure. */
export class KeptWorkspace {
  readonly #openNew: () => Promise<Result<Workspace>>;
  #opened: Promise<Result<Workspace>> | null = null;
  #onChange: (() => void) | null = null;

  constructor(openNew: () => Promise<Result<Workspace>>) {
    this.#openNew = openNew;
  }

  async open(): Promise<Result<Workspace>> {
    if (this.#opened) return this.#opened;
    this.#opened = this.#openNew();
    const opened = await this.#opened.catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    if (!opened.ok) this.#opened = null;
    else if (this.#onChange) opened.value.onChange(this.#onChange);
    return opened;
  }

  /** @param onChange for a workspace that is opened from now on */
  follow(onChange: () => void): void {
    this.#onChange = onChange;
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => null);
    this.#opened = null;
    if (opened?.ok) opened.value.close();
  }
}
