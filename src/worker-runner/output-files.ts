import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ClaimedTask } from "../contract/tasks.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { redact } from "../redaction/redact.ts";

const maxFiles = 200;

export class OutputFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns the path; no file is written for an empty text */
  save({ task, claim }: Pick<ClaimedTask, "task" | "claim">, text: string): string {
    const path = join(this.#folder, `task-${task}-${claim}.txt`);
    if (text === "") return path;
    createPrivateFolder(this.#folder);
    writeAtomically(path, redact(text).text);
    this.#prune();
    return path;
  }

  /** Another worker may prune at the same time. */
  #prune(): void {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith(".txt"));
    if (names.length <= maxFiles) return;
    const files = names.flatMap((name) => {
      const path = join(this.#folder, name);
      const at = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
      return at === undefined ? [] : [{ path, at }];
    });
    const oldFiles = files.toSorted((a, b) => b.at - a.at).slice(maxFiles);
    for (const { path } of oldFiles) rmSync(path, { force: true });
  }
}

export class BoundedOutput {
  readonly #maxChars: number;
  #head = "";
  #tail = "";
  #chars = 0;

  /** @param maxChars of the beginning, and of the end */
  constructor(maxChars = 32_768) {
    this.#maxChars = maxChars;
  }

  push(text: string): void {
    this.#chars += text.length;
    const freeChars = this.#maxChars - this.#head.length;
    this.#head += text.slice(0, freeChars);
    this.#tail += text.slice(freeChars);
    // Cutting copies the whole tail: not at each line.
    if (this.#tail.length > 2 * this.#maxChars) this.#tail = this.#end;
  }

  get text(): string {
    const end = this.#end;
    const omittedChars = this.#chars - this.#head.length - end.length;
    return omittedChars === 0 ? this.#head + end : `${this.#head}\n[... ${omittedChars} characters ...]\n${end}`;
  }

  get #end(): string {
    return this.#tail.slice(-this.#maxChars);
  }
}
