import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { redact } from "../../redaction/redact.ts";

const maxFiles = 200;

/**
 * Keeps the newest files of a folder, redacted.
 *
 * @returns the path; no file is written for an empty text
 */
export function keepOutput(folder: string, { task, claim }: Pick<ClaimedTask, "task" | "claim">, text: string): string {
  const path = join(folder, `task-${task}-${claim}.txt`);
  if (text === "") return path;
  createPrivateFolder(folder);
  writeAtomically(path, redact(text).text);
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  if (names.length <= maxFiles) return path;
  const files = names.flatMap((name) => {
    // Another worker may prune at the same time.
    const at = statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs;
    return at === undefined ? [] : [{ name, at }];
  });
  const oldFiles = files.toSorted((a, b) => b.at - a.at).slice(maxFiles);
  for (const { name } of oldFiles) rmSync(join(folder, name), { force: true });
  return path;
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
