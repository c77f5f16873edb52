import { chmodSync } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { asObject, listAt } from "../shared/json-fields.ts";
import { diskPath, type RawPath } from "./git.ts";
import { entryWith, objectIn, type FileEntry } from "./file-entry.ts";
import { readStats } from "./selection.ts";

/** Stored. The rights of a project's files; git keeps one bit of them. */
export interface FileModes {
  /** Rights of most files that are no programs. */
  readonly usual: number;
  readonly others: ModeList;
  /** Rights of folders that are not those of a usual program; 0: it is not on the disk. */
  readonly folders?: ModeList;
}

type ModeList = readonly (readonly [path: RawPath, mode: number])[];

/** Folders of a file in the project, the outermost first. */
export function foldersOf(path: RawPath): RawPath[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, at) => names.slice(0, at + 1).join("/"));
}

/** Stored. Times of the last changes of files, in whole epoch ms by the file system's clock. */
export type ChangeTimes = readonly (readonly [path: RawPath, changedMs: number])[];

/** Files in a turn of the event loop. */
const filesPerTurn = 500;
/** A snapshot has the list. */
const maxTimes = 5_000;

/** @param since epoch ms: the times of files that were changed later are listed */
export async function readListing(
  top: string,
  paths: readonly RawPath[],
  since: number,
): Promise<{ readonly modes: FileModes; readonly times: ChangeTimes }> {
  const modes: [RawPath, number][] = [];
  const times: [RawPath, number][] = [];
  const counts = new Map<number, number>();
  const folders = new Map<RawPath, number>();
  for (const [at, path] of paths.entries()) {
    if (at % filesPerTurn === 0) await breathe();
    const stats = readStats(top, path);
    if (stats && stats.ctimeMs >= since && times.length < maxTimes) times.push([path, Math.floor(stats.ctimeMs)]);
    for (const folder of foldersOf(path).toReversed()) {
      if (folders.has(folder)) break;
      folders.set(folder, (readStats(top, folder)?.mode ?? 0) & 0o777);
    }
    if (!stats?.isFile()) continue;
    const mode = stats.mode & 0o777;
    modes.push([path, mode]);
    if ((mode & 0o111) === 0) counts.set(mode, (counts.get(mode) ?? 0) + 1);
  }
  const [[usual] = [0o644]] = [...counts].toSorted(([, one], [, other]) => other - one);
  const program = asProgram(usual);
  const others = modes.filter(([, mode]) => mode !== usual && mode !== program);
  return { modes: { usual, others, folders: [...folders].filter(([, mode]) => mode !== program) }, times };
}

/** A program may be run by all who may read it. */
function asProgram(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

/** Rights of the files of a snapshot. */
export class KnownModes {
  readonly #usual: number;
  readonly #others: ReadonlyMap<RawPath, number>;
  /** An older snapshot has none: null. */
  readonly #folders: ReadonlyMap<RawPath, number> | null;

  /** @param modes {@link FileModes}, perhaps of another machine */
  constructor(modes: unknown) {
    const known = asObject(modes);
    const usual = known?.["usual"];
    this.#usual = typeof usual === "number" ? usual & 0o666 : 0o644;
    const listed = (name: string) =>
      (listAt(known, name) as ModeList).map(([path, mode]) => [path, mode & 0o777] as const);
    this.#others = new Map(listed("others"));
    this.#folders = known?.["folders"] === undefined ? null : new Map(listed("folders"));
  }

  /** @returns null: they are not known */
  ofFolder(folder: RawPath): number | null {
    return this.#folders && ((this.#folders.get(folder) ?? asProgram(this.#usual)) || null);
  }

  /** @returns null: any file may have other rights than then */
  differing(then: KnownModes): RawPath[] | null {
    if (this.#usual !== then.#usual) return null;
    const paths = [...this.#others.keys(), ...then.#others.keys()];
    return paths.filter((path) => this.#others.get(path) !== then.#others.get(path));
  }

  /** @param entry as a tree of git has it */
  fullEntry(path: RawPath, entry: string): string {
    const mode = this.of(path, entry);
    return mode === null ? entry : entryWith(mode, objectIn(entry));
  }

  /** @returns null: it is no file */
  of(path: RawPath, entry: FileEntry): number | null {
    if (entry === null || !entry.startsWith("100")) return null;
    const usual = entry.startsWith("100755") ? asProgram(this.#usual) : this.#usual;
    return this.#others.get(path) ?? usual;
  }
}

/** @param mode null: it is neither file nor folder, or not known */
export function setMode(top: string, path: RawPath, mode: number | null): void {
  const now = readStats(top, path);
  if (mode === null || !(now?.isFile() || now?.isDirectory())) return;
  if ((now.mode & 0o777) !== mode) chmodSync(diskPath(top, path), mode);
}
