import { closeSync, constants, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { namesIn } from "./paths.ts";
import { codeOf } from "../shared/error.ts";

/** Flags of libuv: no other process opens the file, and Windows deletes it with this process. */
const [alone, temporary] = [0x1000_0000, 0x40];

/**
 * Files that SHIM's processes hold on Windows, where nothing but its number tells a process from a
 * later one. The name has the number and the start; the system takes the file away whatever ends
 * the process.
 */
export class LiveFiles {
  readonly #folder: string;
  #own: string | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns null: the process is none of SHIM's, or has not asked for its own start */
  startOf(pid: number): string | null {
    if (pid === process.pid) return (this.#own ??= this.#hold());
    const name = namesIn(this.#folder).find((one) => one.startsWith(`${pid}-`) && this.#isHeld(one));
    return name?.slice(name.indexOf("-") + 1) ?? null;
  }

  #hold(): string | null {
    const start = String(Date.now());
    try {
      mkdirSync(this.#folder, { recursive: true });
      openSync(join(this.#folder, `${process.pid}-${start}`), constants.O_RDWR | constants.O_CREAT | alone | temporary);
      return start;
    } catch {
      return null;
    }
  }

  /** A file that no process holds is one of before a power cut. */
  #isHeld(name: string): boolean {
    const path = join(this.#folder, name);
    try {
      closeSync(openSync(path, constants.O_RDONLY));
      rmSync(path, { force: true });
      return false;
    } catch (error) {
      return codeOf(error) !== "ENOENT";
    }
  }
}
