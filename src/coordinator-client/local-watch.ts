import type { CallError } from "../contract/errors.ts";
import type { InputOf, OutputOf } from "../contract/operations.ts";
import type { Change } from "../contract/state.ts";
import type { Result } from "../shared/result.ts";

type StateReadName = "state.changes" | "state.list";
export type StateRead = <Read extends StateReadName>(
  name: Read,
  input: InputOf<Read>,
) => Promise<Result<OutputOf<Read>, CallError>>;

const pageSize = 500;

export class LocalWatch {
  readonly #request: StateRead;
  readonly #prefix: string;
  readonly #onChanges: (changes: readonly Change[] | null) => void;
  #revision: number | null = null;
  #isChecking = false;
  #isCheckWanted = false;
  #isClosed = false;

  constructor(request: StateRead, prefix: string, onChanges: (changes: readonly Change[] | null) => void) {
    this.#request = request;
    this.#prefix = prefix;
    this.#onChanges = onChanges;
  }

  async check(): Promise<void> {
    this.#isCheckWanted = true;
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      while (this.#isCheckWanted && !this.#isClosed) {
        this.#isCheckWanted = false;
        await (this.#revision === null ? this.#start() : this.#readChanges(this.#revision));
      }
    } finally {
      this.#isChecking = false;
    }
  }

  close(): void {
    this.#isClosed = true;
  }

  /** A file that cannot be read now is read at the next change. */
  async #start(): Promise<void> {
    const list = await this.#request("state.list", { prefix: this.#prefix, limit: 1 });
    if (!list.ok || this.#isClosed) return;
    this.#revision = list.value.revision;
    this.#onChanges(null);
  }

  async #readChanges(after: number): Promise<void> {
    const answer = await this.#request("state.changes", { prefix: this.#prefix, after, limit: pageSize });
    if (this.#isClosed) return;
    if (answer.ok) {
      const { changes, revision, isMore } = answer.value;
      this.#revision = revision;
      this.#isCheckWanted ||= isMore;
      if (changes.length > 0) this.#onChanges(changes);
    } else if (answer.error.code === "compacted") {
      this.#revision = null;
      this.#isCheckWanted = true;
    }
  }
}
