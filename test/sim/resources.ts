/**
 * What leases are taken on, as sets of atoms: the single things of which only one client may believe that it has them. Two resources exclude
 * each other when they share an atom; that is found by listing the atoms here, not by the rules of the engine.
 */

const plain = ["build", "deploy", "port:8080"];
export const elections = ["main", "review"];
/** `new` files stand for all that might be created. */
const files = [
  "p/a/x",
  "p/a/y",
  "p/a/new",
  "p/a/b/x",
  "p/a/b/new",
  "p/a/b/c/new",
  "p/d/x",
  "p/d/new",
  "p/d/e/new",
  "p/c",
  "p/new",
  "q/x",
  "q/new",
];
const patterns = ["p/*", "p/**", "p/a/*", "p/a/**", "p/a/b/*", "p/a/b/**", "p/d/*", "p/d/**", "q/*", "q/**"];

export const atoms: readonly string[] = [
  ...plain,
  ...elections.map((name) => `leader:${name}`),
  ...files.map((path) => `file:${path}`),
];

/** What clients ask for; leaders apart. */
export const resources: readonly string[] = [
  ...plain,
  ...["p/a/x", "p/a/y", "p/a/b/x", "p/d/x", "p/c", "q/x"].map((path) => `file:${path}`),
  ...patterns.map((path) => `file:${path}`),
];

const masks = new Map<string, number>();

/** One bit for each atom that a resource stands for. */
export function maskOf(resource: string): number {
  const known = masks.get(resource);
  if (known !== undefined) return known;
  const shape = new RegExp(`^${resource.replace(/\*\*$/, ".+").replace(/\*$/, "[^/]+")}$`);
  const mask = atoms.reduce((bits, atom, place) => (shape.test(atom) ? bits | (1 << place) : bits), 0);
  if (mask === 0) throw new Error(`${resource} stands for no atom`);
  masks.set(resource, mask);
  return mask;
}

/** The places of the atoms of a mask. */
export function placesOf(mask: number): readonly number[] {
  let places = placeLists.get(mask);
  if (!places) {
    places = atoms.flatMap((_, place) => (mask & (1 << place) ? [place] : []));
    placeLists.set(mask, places);
  }
  return places;
}

const placeLists = new Map<number, readonly number[]>();
