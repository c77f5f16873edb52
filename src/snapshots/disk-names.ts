import { existsSync, readdirSync } from "node:fs";
import { diskPath, type RawPath } from "./git.ts";

/**
 * Where letters of either case name a file, one that is there may have another name than that by
 * which it was asked for.
 *
 * @returns says whether a path is on the disk in exactly these letters
 */
export function exactNames(top: string): (path: RawPath) => boolean {
  const namesIn = folders(top);
  return (path) => {
    const names = path.split("/");
    return names.every((name, at) => namesIn(names.slice(0, at).join("/")).has(name));
  };
}

/** @returns gives a path the letters of the disk; one that is not there keeps its own */
export function namesOnDisk(top: string): (path: RawPath) => RawPath {
  const namesIn = folders(top);
  return (path) =>
    path.split("/").reduce((folder, name) => {
      const given = folder === "" ? name : `${folder}/${name}`;
      const names = namesIn(folder);
      if (names.has(name) || !existsSync(diskPath(top, given))) return given;
      const found = [...names].find((one) => folded(one) === folded(name));
      return found === undefined ? given : `${given.slice(0, -name.length)}${found}`;
    }, "");
}

function folded(name: RawPath): string {
  return Buffer.from(name, "latin1").toString().normalize("NFC").toLowerCase();
}

/** The names in a folder, each of which is read once. */
function folders(top: string): (folder: RawPath) => ReadonlySet<RawPath> {
  const known = new Map<RawPath, ReadonlySet<RawPath>>();
  return (folder) => {
    const names = known.get(folder) ?? new Set(listed(top, folder));
    known.set(folder, names);
    return names;
  };
}

function listed(top: string, folder: RawPath): RawPath[] {
  try {
    return readdirSync(diskPath(top, folder), { encoding: "buffer" }).map((name) => name.toString("latin1"));
  } catch {
    return [];
  }
}
