import type { Io } from "../../../io.ts";

/** A reader that takes nothing for so long counts as stuck, in ms. */
const maxWaitMs = 1_000;

/**
 * [SU30] What programs print, no faster than the reader of stdout takes it. Where nobody reads, lines are left out and counted: the programs
 * go on, and no more than a little waits in memory.
 */
export class PacedOutput {
  readonly #io: Pick<Io, "stdout" | "drained">;
  #isStuck = false;
  #droppedLines = 0;

  constructor(io: Pick<Io, "stdout" | "drained">) {
    this.#io = io;
  }

  /** Null: more may be read from the program now. */
  pace(): Promise<void> | null {
    const drained = this.#io.drained(maxWaitMs);
    if (!drained) return null;
    return this.#wait(drained);
  }

  async #wait(drained: Promise<boolean>): Promise<void> {
    this.#isStuck = !(await drained);
  }

  /** @param formatDropped makes a line that says how many were left out */
  write(text: string, lines: number, formatDropped: (droppedLines: number) => string): void {
    if (this.#isStuck && this.#io.drained(maxWaitMs)) {
      this.#droppedLines += lines;
      return;
    }
    this.#isStuck = false;
    const before = this.#droppedLines > 0 ? formatDropped(this.#droppedLines) : "";
    this.#droppedLines = 0;
    this.#io.stdout(before + text);
  }
}
