import type { Outside } from "./outside.ts";

export type Passed = "open" | "late" | "full" | "closed";

/** Where calls wait, first come first served, until requests get through. */
export class Gate {
  readonly #setTimer: Outside["setTimer"];
  readonly #limit: number;
  readonly #waiting = new Set<(passed: Passed) => void>();
  #state: "open" | "shut" | "closed" = "shut";

  constructor(setTimer: Outside["setTimer"], limit: number) {
    this.#setTimer = setTimer;
    this.#limit = limit;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** [EC8] Waits at most so long; when as many as may wait do, it answers at once. */
  pass(timeoutMs: number): Promise<Passed> {
    if (this.#state !== "shut") return Promise.resolve(this.#state);
    if (timeoutMs <= 0) return Promise.resolve("late");
    if (this.#waiting.size >= this.#limit) return Promise.resolve("full");
    return new Promise((resolve) => {
      const settle = (passed: Passed): void => {
        this.#waiting.delete(settle);
        cancel();
        resolve(passed);
      };
      const cancel = this.#setTimer(() => settle("late"), timeoutMs);
      this.#waiting.add(settle);
    });
  }

  open(): void {
    this.#become("open");
    this.#letGo("open");
  }

  shut(): void {
    this.#become("shut");
  }

  /** For ever. */
  close(): void {
    this.#become("closed");
    this.#letGo("closed");
  }

  #become(state: "open" | "shut" | "closed"): void {
    if (this.#state !== "closed") this.#state = state;
  }

  #letGo(passed: Passed): void {
    for (const settle of this.#waiting) settle(passed);
  }
}
