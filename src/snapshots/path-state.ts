import type { FileEntry } from "./file-entry.ts";
import type { ChangeTimes, KnownModes } from "./file-modes.ts";
import { leavesTree, type RawPath } from "./git.ts";
import { submoduleReason } from "./selection.ts";
import { submoduleMode } from "./work-tree.ts";

/**
 * A path as a reading of the project knows it. Only a listing that saw that nothing is there
 * knows that it is absent; of what a reading did not enter, or whose content it left out, it
 * knows nothing.
 */
export type PathState =
  | { readonly is: "held"; readonly entry: string }
  | { readonly is: "absent" }
  | { readonly is: "unknown"; readonly reason: string };

/** A file that a call of a chat named, as it was before and after it. */
export interface FileImage {
  /** Absolute. */
  readonly path: string;
  readonly before: PathState;
  readonly after: PathState;
}

/**
 * Stored. Paths whose state a reading does not know, by the reason; one with a slash at the end
 * is a folder with all in it that the tree lacks.
 */
export type Exclusions = Readonly<Record<string, readonly RawPath[]>>;

export const sparseReason = "it is outside of the sparse checkout";

/** Paths as one reading of the project knows them: by its tree, and the facts beside that. */
export class Reading {
  /** Modes and objects, as its tree has them. */
  readonly entries: ReadonlyMap<RawPath, string>;
  readonly #reasons: ReadonlyMap<RawPath, string>;
  readonly #modes: KnownModes;
  readonly #times: ReadonlyMap<RawPath, number>;

  /** @param excluded null: the reading has no list of them */
  constructor(
    entries: ReadonlyMap<RawPath, string>,
    excluded: Exclusions | null,
    modes: KnownModes,
    times: ChangeTimes = [],
  ) {
    this.entries = entries;
    this.#modes = modes;
    this.#times = new Map(times);
    const lists = Object.entries(excluded ?? { "it is not known what its reading had left out": ["/"] });
    this.#reasons = new Map(lists.flatMap(([reason, paths]) => paths.map((path): [RawPath, string] => [path, reason])));
  }

  /** Paths that may be in another state than in an earlier reading. */
  differing(earlier: Reading): Set<RawPath> {
    const rights = this.#modes.differing(earlier.#modes);
    const all = [...this.entries.keys(), ...earlier.entries.keys()];
    if (rights === null) return new Set(all);
    return new Set([...all.filter((path) => this.entries.get(path) !== earlier.entries.get(path)), ...rights]);
  }

  /** @returns time of its last change, of a file that had just been changed; else null */
  changedMs(path: RawPath): number | null {
    return this.#times.get(path) ?? null;
  }

  stateOf(path: RawPath): PathState {
    const entry = this.entries.get(path) ?? null;
    if (leavesTree(path)) return { is: "unknown", reason: "it is not in the project" };
    if (entry?.startsWith(submoduleMode)) return { is: "unknown", reason: submoduleReason };
    const folderReason = this.#folderReason(path);
    // The tree may have the last commit's version of what was left out, or is not there.
    const reason =
      this.#reasons.get(path) ?? (entry === null || folderReason === sparseReason ? folderReason : undefined);
    if (reason !== undefined) return { is: "unknown", reason };
    return entry === null ? { is: "absent" } : { is: "held", entry: this.#modes.fullEntry(path, entry) };
  }

  #folderReason(path: RawPath): string | undefined {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const reason = this.#reasons.get(path.slice(0, at + 1));
      if (reason !== undefined) return reason;
    }
    return this.#reasons.get("/");
  }
}

/** Lists each path once, with its first reason. */
export function exclusionsOf(paths: Iterable<readonly [path: RawPath, reason: string]>): Exclusions {
  const reasons = new Map<RawPath, string>();
  for (const [path, reason] of paths) if (!reasons.has(path)) reasons.set(path, reason);
  const lists: Record<string, RawPath[]> = {};
  for (const [path, reason] of reasons) (lists[reason] ??= []).push(path);
  return lists;
}

export function isSame(one: PathState, other: PathState): boolean {
  return one.is === "held" ? isEntry(other, one.entry) : one.is === other.is;
}

export function stateOf(entry: FileEntry): PathState {
  return entry === null ? { is: "absent" } : { is: "held", entry };
}

/** @returns null: nothing is there */
export function entryOf(state: PathState): FileEntry {
  return state.is === "held" ? state.entry : null;
}

export function isEntry(state: PathState, entry: FileEntry): boolean {
  return state.is === "held" ? state.entry === entry : state.is === "absent" && entry === null;
}
