import type { Io } from "../../io.ts";

/** A reader that takes nothing for so long counts as stuck. */
const maxWaitMs = 1_000;

/** [SU30] Prints no faster than stdout is read. [SU53] A stuck reader loses lines. */
export class PacedOutput {
  readonly #io: Pick<Io, "stdout" | "drained">;
  #isStuck = false;
  #droppedLines = 0;

  constructor(io: Pick<Io, "stdout" | "drained">) {
    this.#io = io;
  }

  pace(): Promise<void> | null {
    const drained = this.#io.drained(maxWaitMs);
    if (!drained) return null;
    return this.#wait(drained);
  }

  async #wait(drained: Promise<boolean>): Promise<void> {
    this.#isStuck = !(await drained);
  }

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
