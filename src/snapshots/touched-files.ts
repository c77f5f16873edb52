import { existsSync, readdirSync } from "node:fs";
import { authorOf, type CallTime } from "./change-author.ts";
import { diskPath, displayPath, type RawPath } from "./git.ts";
import { sparseReason, type Exclusions } from "./path-state.ts";
import { ignoredReason, installed, ownRepository, readStats, type ExcludedFile } from "./selection.ts";

/** Entries of all folders that are looked at. */
const mostEntries = 50_000;

/**
 * Names what no reading has and was changed while a call of the chat ran. Of what git ignores only
 * repositories count: builds change the rest.
 *
 * @param calls of the chat's turns, and of others
 */
export function touchedFiles(top: string, excluded: Exclusions, calls: readonly CallTime[]): ExcludedFile[] {
  const search: Search = { top, calls, left: mostEntries };
  return repositoriesAndOthers(top, excluded).flatMap(([path, reason]) => {
    const count = path.endsWith("/") ? countIn(search, path) : Number(isTouched(search, path));
    const named = { path: displayPath(path) };
    if (search.left <= 0) return [{ ...named, reason: `${reason}. What of it was changed is not known` }];
    if (count === 0) return [];
    if (!path.endsWith("/")) return [{ ...named, reason: `it was made or changed, and no snapshot has it: ${reason}` }];
    const what = "files and folders in it that were changed while a call of the chat ran";
    return [{ ...named, reason: `${reason}; ${what}: ${count}` }];
  });
}

interface Search {
  readonly top: string;
  readonly calls: readonly CallTime[];
  /** Entries that may still be looked at. */
  left: number;
}

function repositoriesAndOthers(top: string, excluded: Exclusions): [path: RawPath, reason: string][] {
  return Object.entries(excluded).flatMap(([reason, paths]) => {
    if (reason === sparseReason) return [];
    if (reason !== ignoredReason) return paths.map((path): [RawPath, string] => [path, reason]);
    const repositories = paths.filter((path) => path.endsWith("/") && existsSync(diskPath(top, `${path}.git`)));
    return repositories.map((path): [RawPath, string] => [path, ownRepository]);
  });
}

function isTouched({ top, calls }: Search, path: RawPath): boolean {
  const changedMs = readStats(top, path)?.ctimeMs;
  return changedMs !== undefined && authorOf(Math.floor(changedMs), calls).is !== "other";
}

function countIn(search: Search, folder: RawPath): number {
  let count = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined && search.left > 0; next = folders.pop()) {
    for (const { path, isFolder } of entriesIn(search.top, next)) {
      search.left -= 1;
      if (isFolder) folders.push(`${path}/`);
      if (isTouched(search, path)) count += 1;
    }
  }
  return count;
}

/** Empty for a folder that is closed, or gone by now. */
function entriesIn(top: string, folder: RawPath): { readonly path: RawPath; readonly isFolder: boolean }[] {
  try {
    const entries = readdirSync(diskPath(top, folder), { withFileTypes: true, encoding: "buffer" });
    return entries.flatMap((entry) => {
      const name = entry.name.toString("latin1");
      return name === ".git" || installed.has(name)
        ? []
        : [{ path: `${folder}${name}`, isFolder: entry.isDirectory() }];
    });
  } catch {
    return [];
  }
}
