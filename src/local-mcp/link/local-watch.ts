import type { InputOf, OutputOf } from "../../contract/operations.ts";
import type { Change } from "../../contract/state.ts";
import type { Result } from "../../shared/result.ts";
import type { Trouble } from "./chat-link.ts";

type Name = "state.changes" | "state.list";
export type Ask = <Asked extends Name>(name: Asked, input: InputOf<Asked>) => Promise<Result<OutputOf<Asked>, Trouble>>;

/** In one answer. */
const page = 500;

/** A watch where nothing is pushed: it reads on from its own revision whenever somebody says that the file has changed. */
export class LocalWatch {
  readonly #ask: Ask;
  readonly #prefix: string;
  readonly #heed: (changes: readonly Change[] | null) => void;
  /** Null: where it begins is not known. */
  #revision: number | null = null;
  #isChecking = false;
  #isWanted = false;
  #isClosed = false;

  constructor(ask: Ask, prefix: string, heed: (changes: readonly Change[] | null) => void) {
    this.#ask = ask;
    this.#prefix = prefix;
    this.#heed = heed;
  }

  /** One look at a time; what is asked meanwhile is looked at once more. */
  async check(): Promise<void> {
    this.#isWanted = true;
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      while (this.#isWanted && !this.#isClosed) {
        this.#isWanted = false;
        await (this.#revision === null ? this.#begin() : this.#read(this.#revision));
      }
    } finally {
      this.#isChecking = false;
    }
  }

  close(): void {
    this.#isClosed = true;
  }

  /** A file that cannot be read now is read at the next change. */
  async #begin(): Promise<void> {
    const list = await this.#ask("state.list", { prefix: this.#prefix, limit: 1 });
    if (!list.ok || this.#isClosed) return;
    this.#revision = list.value.revision;
    this.#heed(null);
  }

  async #read(after: number): Promise<void> {
    const answer = await this.#ask("state.changes", { prefix: this.#prefix, after, limit: page });
    if (this.#isClosed) return;
    if (answer.ok) {
      const { changes, revision, isMore } = answer.value;
      this.#revision = revision;
      this.#isWanted ||= isMore;
      if (changes.length > 0) this.#heed(changes);
    } else if (answer.error.code === "compacted") {
      this.#revision = null;
      this.#isWanted = true;
    }
  }
}
