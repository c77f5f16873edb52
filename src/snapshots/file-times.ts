import { posix } from "node:path";
import type { RawPath } from "./git.ts";
import { readStats } from "./selection.ts";

/** Times of the files of a project, in whole epoch ms by the clock of its file system. */
export class FileTimes {
  readonly #top: string;

  constructor(top: string) {
    this.#top = top;
  }

  /** Time of the last change, which no program can set; of a path that is gone, a later one. */
  changedMs(path: RawPath): number {
    for (let at = path; ; at = posix.dirname(at)) {
      const stats = readStats(this.#top, at);
      if (stats !== undefined || at === ".") return Math.floor(stats?.ctimeMs ?? Infinity);
    }
  }

  /** Time of the last change of the file or of a folder that came with it, which is not `known`. */
  movedMs(path: RawPath, known: ReadonlySet<RawPath>): number {
    const parent = posix.dirname(path);
    return Math.max(this.changedMs(path), parent === "." || known.has(parent) ? 0 : this.movedMs(parent, known));
  }

  /** Time of the last change of the content, as the program says that wrote it. */
  writtenMs(path: RawPath): number {
    return Math.floor(readStats(this.#top, path)?.mtimeMs ?? Infinity);
  }
}
