import { readdirSync } from "node:fs";
import { diskPath, type RawPath } from "./git.ts";

/**
 * Where letters of either case name a file, one that is there may have another name than that by
 * which it was asked for.
 *
 * @returns says whether a path is on the disk in exactly these letters
 */
export function exactNames(top: string): (path: RawPath) => boolean {
  const known = new Map<RawPath, ReadonlySet<RawPath>>();
  const namesIn = (folder: RawPath): ReadonlySet<RawPath> => {
    const names = known.get(folder) ?? new Set(listed(top, folder));
    known.set(folder, names);
    return names;
  };
  return (path) => {
    const names = path.split("/");
    return names.every((name, at) => namesIn(names.slice(0, at).join("/")).has(name));
  };
}

function listed(top: string, folder: RawPath): RawPath[] {
  try {
    return readdirSync(diskPath(top, folder), { encoding: "buffer" }).map((name) => name.toString("latin1"));
  } catch {
    return [];
  }
}
