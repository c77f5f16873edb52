/**
 * Resources of leases as sets of atoms, of which at most one process may trust each. Two resources exclude each
 * other when they share an atom, which this list shows without the rules of the engine.
 */

const plain = ["build", "deploy", "port:8080"];
export const elections = ["main", "review"];
/** The files called `new` stand for any that might be created. */
const files = "p/a/x p/a/y p/a/new p/a/b/x p/a/b/new p/a/b/c/new p/d/x p/d/new p/d/e/new p/c p/new q/x q/new".split(
  " ",
);
const requested = "p/a/x p/a/y p/a/b/x p/d/x p/c q/x p/* p/** p/a/* p/a/** p/a/b/* p/a/b/** p/d/* p/d/** q/* q/**";

export const atoms: readonly string[] = [
  ...plain,
  ...elections.map((name) => `leader:${name}`),
  ...files.map((path) => `file:${path}`),
];

/** Resources that processes ask for, without elections. */
export const resources: readonly string[] = [...plain, ...requested.split(" ").map((path) => `file:${path}`)];

const masks = new Map<string, number>();
const indexLists = new Map<number, readonly number[]>();

/** One bit for each atom of a resource. */
export function maskOf(resource: string): number {
  const known = masks.get(resource);
  if (known !== undefined) return known;
  const shape = new RegExp(`^${resource.replace(/\*\*$/, ".+").replace(/\*$/, "[^/]+")}$`);
  const mask = atoms.reduce((bits, atom, index) => (shape.test(atom) ? bits | (1 << index) : bits), 0);
  if (mask === 0) throw new Error(`${resource} has no atom`);
  masks.set(resource, mask);
  return mask;
}

export function indexesOf(mask: number): readonly number[] {
  let indexes = indexLists.get(mask);
  if (!indexes) {
    indexes = atoms.flatMap((_, index) => (mask & (1 << index) ? [index] : []));
    indexLists.set(mask, indexes);
  }
  return indexes;
}
