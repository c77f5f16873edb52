import { createHash } from "node:crypto";
import { lstatSync, readdirSync, statSync, type Stats } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { ownFolder, turnMs } from "./selection.ts";

interface Entry {
  /** Path in the project; that of a folder ends with a slash. */
  readonly path: string;
  readonly stats: Stats;
  readonly isIgnored: boolean;
}

interface Scan {
  /** Digest of the names, sizes and times of the files. */
  readonly digest: string;
  readonly entries: number;
  /** Epoch ms of the latest change, by the clock of the file system. */
  readonly newestMs: number;
}

interface Scanned {
  readonly top: string;
  readonly ignored: readonly string[];
  /** Files beside the project that count, too. */
  readonly rules: readonly string[];
  readonly snapshots: string;
}

/** @returns null: too many entries, one that is closed or gone, or a name that is no UTF-8 */
export async function scanFiles(
  { top, ignored, rules, snapshots }: Scanned,
  mostEntries: number,
): Promise<Scan | null> {
  const hash = createHash("sha1").update(JSON.stringify(rules.map(stampOf)));
  let entries = 0;
  let turnAt = performance.now();
  try {
    let newestMs = lstatSync(top).ctimeMs;
    for (const { path, stats, isIgnored } of entriesIn(top, new Set(ignored), ownFolder(top, snapshots))) {
      if (++entries > mostEntries || path.includes("\uFFFD")) return null;
      // The name of a folder is enough: its times are those of its ignored files, too.
      const isByName = isIgnored || stats.isDirectory();
      hash.update(`${path}\0${isByName ? "" : `${stats.mode} ${stampIn(stats)}`}\0`);
      if (!isIgnored) newestMs = Math.max(newestMs, stats.ctimeMs);
      if (performance.now() - turnAt <= turnMs) continue;
      await breathe();
      turnAt = performance.now();
    }
    return { digest: hash.digest("hex"), entries, newestMs };
  } catch {
    return null;
  }
}

function* entriesIn(top: string, ignored: ReadonlySet<string>, isOwn: (path: string) => boolean): Generator<Entry> {
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const names = readdirSync(`${top}/${folder}`).sort();
    // No snapshot enters a repository in the project.
    if (folder !== "" && names.includes(".git")) continue;
    for (const name of names) {
      const stats = lstatSync(`${top}/${folder}${name}`);
      const path = `${folder}${name}${stats.isDirectory() ? "/" : ""}`;
      if (/^\.git\/?$/.test(path) || isOwn(path)) continue;
      const isIgnored = ignored.has(path);
      yield { path, stats, isIgnored };
      if (stats.isDirectory() && !isIgnored) folders.push(path);
    }
  }
}

/** Empty where there is no such file. */
export function stampOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? stampIn(stats) : "";
}

function stampIn({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}
