import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ClaimedTask } from "../contract/tasks.ts";
import { redact } from "../redaction/redact.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";

const maxFiles = 200;

export class OutputFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  save({ task, claim }: Pick<ClaimedTask, "task" | "claim">, text: string): void {
    if (text === "") return;
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, `task-${task}-${claim}.txt`), redact(text).text);
    this.#prune();
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
