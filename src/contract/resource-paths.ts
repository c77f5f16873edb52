const scheme = "file:";

/** One spelling for all names of a file, where case does not count. */
export function foldName(resource: string): string {
  return resource.toLowerCase().normalize("NFC");
}

export type Shape =
  | { readonly kind: "exact"; readonly path: string }
  | { readonly kind: "children"; readonly folder: string }
  | { readonly kind: "tree"; readonly folder: string };

function shapeOf(resource: string): Shape {
  if (resource.startsWith(scheme) && resource.endsWith("/**")) return { kind: "tree", folder: resource.slice(0, -3) };
  if (resource.startsWith(scheme) && resource.endsWith("/*"))
    return { kind: "children", folder: resource.slice(0, -2) };
  return { kind: "exact", path: resource };
}

/** Answers whether some file may match both. */
export function overlap(one: string, other: string): boolean {
  const set = new OverlapSet();
  set.add(one);
  return set.overlaps(other);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Names, beside ranges, of everything that can overlap: at most as many as the path has parts. */
export function namesAbove(resource: string): string[] {
  if (!resource.startsWith(scheme)) return [resource];
  const shape = shapeOf(resource);
  const names = new Set([resource]);
  let folder = shape.kind === "exact" ? parentOf(shape.path) : shape.folder;
  if (shape.kind !== "tree") names.add(`${folder}/*`);
  for (; folder.length >= scheme.length; folder = parentOf(folder)) names.add(`${folder}/**`);
  return [...names];
}

/** Range of names below a pattern, `to` excluded; null for an exact resource. */
export function rangeBelow(resource: string): { readonly from: string; readonly to: string } | null {
  const shape = shapeOf(resource);
  if (shape.kind === "exact") return null;
  // The character after "/" is "0".
  return { from: `${shape.folder}/`, to: `${shape.folder}0` };
}

/** Prefix of everything that overlaps a path, the path included; null: only itself does. */
export function projectOf(resource: string): string | null {
  const end = resource.startsWith(scheme) ? resource.indexOf("/") : -1;
  return end < 0 ? null : resource.slice(0, end + 1);
}

/** Set of resources; an overlap test costs as much as the tested resource is deep. */
export class OverlapSet {
  readonly #names = new Set<string>();
  readonly #trees = new Set<string>();
  readonly #parents = new Set<string>();

  add(resource: string): void {
    if (this.#names.has(resource)) return;
    this.#names.add(resource);
    if (!resource.startsWith(scheme)) return;
    const shape = shapeOf(resource);
    if (shape.kind === "exact") this.#parents.add(parentOf(shape.path));
    let folder = shape.kind === "exact" ? parentOf(shape.path) : shape.folder;
    for (; folder.length >= scheme.length && !this.#trees.has(folder); folder = parentOf(folder)) {
      this.#trees.add(folder);
    }
  }

  overlaps(resource: string): boolean {
    if (namesAbove(resource).some((name) => this.#names.has(name))) return true;
    const shape = shapeOf(resource);
    if (shape.kind === "exact") return false;
    return shape.kind === "tree" ? this.#trees.has(shape.folder) : this.#parents.has(shape.folder);
  }
}
