import { closeSync, openSync, writeSync } from "node:fs";

/** The time of a recorded session, which programs with `preload.mjs` read from a file. It goes on by itself. */
export class SessionClock {
  readonly path: string;
  readonly #file: number;
  #aheadMs = 0;

  /** @param at epoch ms */
  constructor(path: string, at: number) {
    this.path = path;
    this.#file = openSync(path, "w");
    this.#set(at - Date.now());
  }

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Never puts it back. */
  putOnTo(at: number): void {
    if (at > this.now()) this.#set(at - Date.now());
  }

  close(): void {
    closeSync(this.#file);
  }

  #set(aheadMs: number): void {
    this.#aheadMs = aheadMs;
    writeSync(this.#file, new Float64Array([aheadMs]), 0, Float64Array.BYTES_PER_ELEMENT, 0);
  }
}
