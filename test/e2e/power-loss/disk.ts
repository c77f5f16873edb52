import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join, basename, dirname } from "node:path";
import type { Rng } from "../../sim/sim.ts";

/** One change of the disk, an fsync, or a line that a process printed, in the order in which they happened. */
export interface Record {
  /** See `apply`; M: a line that begins with `+`, which is what a process has acknowledged. */
  readonly kind: string;
  readonly inode: bigint;
  /** An offset, a length, or the flags of an open. */
  readonly number: number;
  /** What is written, a path, or the line. */
  readonly data: Buffer;
  /** The new name. */
  readonly to: string;
}

const HEAD = 25;
const O_TRUNC = 0o1000;

export function readRecording(trace: string): Record[] {
  const bytes = readFileSync(trace);
  const records: Record[] = [];
  for (let at = 0; at < bytes.length;) {
    const kind = String.fromCharCode(bytes.readUInt8(at));
    const [inode, number] = [bytes.readBigUInt64LE(at + 1), Number(bytes.readBigUInt64LE(at + 9))];
    const end = at + HEAD + bytes.readUInt32LE(at + 17);
    const next = end + bytes.readUInt32LE(at + 21);
    const [data, to] = [bytes.subarray(at + HEAD, end), bytes.subarray(end, next).toString()];
    records.push({ kind, inode, number, data, to });
    at = next;
  }
  return records;
}

/** A disk writes whole sectors of so many bytes: what is torn is torn between two of them. */
const SECTOR = 512;

type Change = { readonly at: number; readonly data: Buffer } | { readonly length: number };

class File {
  /** What an fsync has put on the disk. */
  #synced: Buffer = Buffer.alloc(0);
  readonly pending: Change[] = [];

  sync(): void {
    this.#synced = this.read();
    this.pending.length = 0;
  }

  /** What is there when these of the changes have reached the disk. */
  #with(changes: readonly Change[]): Buffer {
    const endOf = (change: Change): number => ("data" in change ? change.at + change.data.length : change.length);
    const bytes = Buffer.alloc(Math.max(this.#synced.length, ...changes.map(endOf)));
    let end = this.#synced.copy(bytes);
    for (const change of changes) {
      if ("data" in change) {
        change.data.copy(bytes, change.at);
        end = Math.max(end, endOf(change));
      } else {
        bytes.fill(0, Math.min(end, change.length), end);
        end = change.length;
      }
    }
    return bytes.subarray(0, end);
  }

  read(): Buffer {
    return this.#with(this.pending);
  }

  /** What of it is left after a power cut. */
  left(fate: Fate): Buffer {
    return this.#with(this.pending.flatMap((change) => fate.ofChange(change)));
  }
}

class Folder {
  readonly names = new Map<string, File | Folder>();
  /** What an fsync has put on the disk. */
  readonly synced = new Map<string, File | Folder>();
}

interface Name {
  readonly folder: Folder;
  readonly name: string;
  readonly node: File | Folder | null;
}

/** A rename changes two names, of one folder or of two, and is on the disk as a whole or not at all. */
type Renaming = readonly Name[];

/** Decides what of the unsynced changes has reached the disk when the power goes. */
interface Fate {
  ofChange(change: Change): Change[];
  ofNames(pending: readonly Renaming[]): readonly Renaming[];
}

/**
 * A file system that keeps exactly what was synced, and of the rest whatever it likes: it writes in any order, and half a write. A folder is
 * a file of its own: the name of a new, renamed or deleted file is on the disk once the folder is synced.
 */
export class Disk {
  readonly #root: string;
  readonly #top = new Folder();
  readonly #byInode = new Map<bigint, File | Folder>();
  #pending: Renaming[] = [];

  /** @param root the folder that was recorded; it was there before */
  constructor(root: string) {
    this.#root = root;
  }

  apply({ kind, inode, number, data, to }: Record): void {
    const node = this.#byInode.get(inode);
    const path = (): string => data.toString();
    switch (kind) {
      case "O":
        return this.#open(inode, path(), (number & O_TRUNC) !== 0);
      case "D":
        return void this.#byInode.set(inode, this.#find(path()) ?? missing(path()));
      case "F":
        return void this.#byInode.set(inode, this.#name(path(), new Folder()));
      case "W":
        return void (node instanceof File && node.pending.push({ at: number, data }));
      case "T":
        return void (node instanceof File && node.pending.push({ length: number }));
      case "S":
        return this.#sync(node);
      case "R":
      case "L":
        return this.#rename(path(), to, kind === "R");
      case "U":
        return this.#change([{ ...this.#at(path()), node: null }]);
      case "M":
        return undefined;
      default:
        throw new Error(`a record of an unknown kind: ${kind}`);
    }
  }

  #open(inode: bigint, path: string, isCut: boolean): void {
    const file = this.#find(path) ?? this.#name(path, new File());
    this.#byInode.set(inode, file);
    if (isCut && file instanceof File && file.read().length > 0) file.pending.push({ length: 0 });
  }

  #name<Node extends File | Folder>(path: string, node: Node): Node {
    this.#change([{ ...this.#at(path), node }]);
    return node;
  }

  #rename(from: string, to: string, isMoved: boolean): void {
    if (from === to) return;
    const node = this.#find(from) ?? missing(from);
    const made: Name = { ...this.#at(to), node };
    this.#change(isMoved ? [made, { ...this.#at(from), node: null }] : [made]);
  }

  #change(names: Renaming): void {
    for (const one of names) put(one.folder.names, one);
    this.#pending.push(names);
  }

  #at(path: string): { folder: Folder; name: string } {
    const folder = this.#find(dirname(path));
    return { folder: folder instanceof Folder ? folder : missing(dirname(path)), name: basename(path) };
  }

  #find(path: string): File | Folder | undefined {
    let node: File | Folder | undefined = this.#top;
    for (const name of path.slice(this.#root.length).split("/").filter(Boolean))
      node = node instanceof Folder ? node.names.get(name) : undefined;
    return node;
  }

  #sync(node: File | Folder | undefined): void {
    if (node instanceof File) node.sync();
    if (node instanceof Folder) this.#syncNames(node);
  }

  /** What a rename has done in another folder goes along, and all that was done there before it. */
  #syncNames(folder: Folder): void {
    const folders = new Set([folder]);
    const kept: Renaming[] = [];
    const left: Renaming[] = [];
    for (const names of this.#pending.toReversed()) {
      const isMeant = names.some((one) => folders.has(one.folder));
      (isMeant ? kept : left).push(names);
      if (isMeant) for (const one of names) folders.add(one.folder);
    }
    for (const one of kept.toReversed().flat()) put(one.folder.synced, one);
    this.#pending = left.toReversed();
  }

  files(): Map<string, Buffer> {
    const files = new Map<string, Buffer>();
    const walk = (folder: Folder, path: string): void => {
      for (const [name, node] of folder.names) {
        if (node instanceof Folder) walk(node, join(path, name));
        else files.set(join(path, name), node.read());
      }
    };
    walk(this.#top, "");
    return files;
  }

  /** Writes down what is found when the power has gone and come again. */
  afterPowerLoss(into: string, rng: Rng): void {
    const fate = rng.pick(fates)(rng);
    const survived = new Map<Folder, Map<string, File | Folder>>();
    const namesOf = (folder: Folder): Map<string, File | Folder> => {
      const known = survived.get(folder) ?? new Map(folder.synced);
      survived.set(folder, known);
      return known;
    };
    for (const one of fate.ofNames(this.#pending).flat()) put(namesOf(one.folder), one);
    const write = (folder: Folder, path: string): void => {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      for (const [name, node] of namesOf(folder)) {
        if (node instanceof Folder) write(node, join(path, name));
        else writeFileSync(join(path, name), node.left(fate), { mode: 0o600 });
      }
    };
    write(this.#top, into);
  }
}

function missing(path: string): never {
  throw new Error(`the recording misses how ${path} was made`);
}

function put(names: Map<string, File | Folder>, { name, node }: Name): void {
  if (node) names.set(name, node);
  else names.delete(name);
}

/** Half of it, in sectors of the disk. */
function torn(change: Change, rng: Rng): Change[] {
  if (!("data" in change)) return rng.chance(0.5) ? [change] : [];
  const parts: Change[] = [];
  for (let from = 0; from < change.data.length;) {
    const to = Math.min(change.data.length, from + SECTOR - ((change.at + from) % SECTOR));
    if (rng.chance(0.5)) parts.push({ at: change.at + from, data: change.data.subarray(from, to) });
    from = to;
  }
  return parts;
}

function some(change: Change, rng: Rng): Change[] {
  const draw = rng.below(3);
  return draw === 0 ? [] : draw === 1 ? [change] : torn(change, rng);
}

const all = (change: Change): Change[] => [change];
const none = (): Change[] => [];
const everyName = (pending: readonly Renaming[]): readonly Renaming[] => pending;
const noName = (): readonly Renaming[] => [];

/** What file systems do: one keeps nothing, one all, one the names in their order and of the contents anything, one anything at all. */
const fates: readonly ((rng: Rng) => Fate)[] = [
  () => ({ ofChange: none, ofNames: noName }),
  () => ({ ofChange: all, ofNames: everyName }),
  () => ({ ofChange: none, ofNames: everyName }),
  () => ({ ofChange: all, ofNames: noName }),
  (rng) => ({
    ofChange: (change) => some(change, rng),
    ofNames: (pending) => pending.slice(0, rng.between(0, pending.length)),
  }),
  (rng) => ({ ofChange: (change) => some(change, rng), ofNames: (pending) => pending.filter(() => rng.chance(0.5)) }),
];
