import { statSync } from "node:fs";
import type { ClaimedTask } from "../contract/tasks.ts";
import { noMergedInputs, type TaskFolder, type TaskFolders } from "./task-folder.ts";

export class FixedFolder implements TaskFolders {
  readonly #folder: string;
  readonly #machine: string;

  constructor(folder: string, machine: string) {
    this.#folder = folder;
    this.#machine = machine;
  }

  open(task: ClaimedTask): Promise<TaskFolder> {
    const folder = this.#folder;
    const machine = this.#machine;
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      return Promise.reject(new Error(`there is no folder ${folder}`));
    }
    return Promise.resolve({
      folder,
      isContinued: task.checkpoint !== null,
      notes: [],
      merged: noMergedInputs,
      location: () => ({ machine, folder }),
      save: () => Promise.resolve(),
      problem: () => Promise.resolve(null),
      finish: () => Promise.resolve(null),
      publish: (work) => Promise.resolve({ work, note: null }),
      release: () => Promise.resolve(null),
    });
  }
}
