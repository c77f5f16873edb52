/** Which resources overlap, said by the files of a small world that each stands for. */

const names = ["a", "b", "b.", "b0", "ü"] as const;
const folders = (depth: number): string[] =>
  depth === 0 ? ["p"] : folders(depth - 1).flatMap((folder) => names.map((name) => `${folder}/${name}`));
/** Of two projects; one below the other in spelling only. */
const files = [1, 2, 3, 4].flatMap((depth) => folders(depth)).flatMap((path) => [path, path.replace(/^p/, "p0")]);

/** All files of a small world that a resource stands for; what is no path stands for itself. */
function filesOf(resource: string): ReadonlySet<string> {
  if (!resource.startsWith("file:")) return new Set([`not a file: ${resource}`]);
  const parts = resource.slice(5).split("/");
  const last = parts.at(-1);
  if (last !== "*" && last !== "**") return new Set([parts.join("/")]);
  const folder = parts.slice(0, -1);
  const isBelow = (file: string[]): boolean =>
    file.length > folder.length && folder.every((part, at) => file[at] === part);
  const fits = (file: string[]): boolean => isBelow(file) && (last === "**" || file.length === folder.length + 1);
  return new Set(files.filter((file) => fits(file.split("/"))));
}

const sets = new Map<string, ReadonlySet<string>>();

function known(resource: string): ReadonlySet<string> {
  const set = sets.get(resource) ?? filesOf(resource);
  sets.set(resource, set);
  return set;
}

export function meet(one: string, other: string): boolean {
  return [...known(one)].some((file) => known(other).has(file));
}

export function isWithin(one: string, other: string): boolean {
  return [...known(one)].every((file) => known(other).has(file));
}

/** Paths and patterns of that world, not deeper than that each folder has files below it and each of them, too. */
export const resources: readonly string[] = [0, 1, 2]
  .flatMap((depth) => folders(depth))
  .flatMap((folder) => (folder === "p" ? ["p/*", "p/**"] : [folder, `${folder}/*`, `${folder}/**`]))
  .flatMap((path) => [`file:${path}`, `file:${path.replace(/^p/, "p0")}`]);
