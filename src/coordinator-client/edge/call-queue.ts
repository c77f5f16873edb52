import type { Platform } from "./platform.ts";

export type WaitResult = "open" | "late" | "full" | "closed";

export class CallQueue {
  readonly #setTimer: Platform["setTimer"];
  readonly #maxWaiting: number;
  readonly #waiting = new Set<(result: WaitResult) => void>();
  #state: "open" | "shut" | "closed" = "shut";

  constructor(setTimer: Platform["setTimer"], maxWaiting: number) {
    this.#setTimer = setTimer;
    this.#maxWaiting = maxWaiting;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  wait(timeoutMs: number): Promise<WaitResult> {
    if (this.#state !== "shut") return Promise.resolve(this.#state);
    if (timeoutMs <= 0) return Promise.resolve("late");
    if (this.#waiting.size >= this.#maxWaiting) return Promise.resolve("full");
    return new Promise((resolve) => {
      const finish = (result: WaitResult): void => {
        this.#waiting.delete(finish);
        cancel();
        resolve(result);
      };
      const cancel = this.#setTimer(() => finish("late"), timeoutMs);
      this.#waiting.add(finish);
    });
  }

  open(): void {
    this.#setState("open");
    this.#releaseAll("open");
  }

  pause(): void {
    this.#setState("shut");
  }

  close(): void {
    this.#setState("closed");
    this.#releaseAll("closed");
  }

  #setState(state: "open" | "shut" | "closed"): void {
    if (this.#state !== "closed") this.#state = state;
  }

  #releaseAll(result: WaitResult): void {
    for (const finish of this.#waiting) finish(result);
  }
}
