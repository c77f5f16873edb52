import { EarlierEnd } from "../../clients/transcript/earlier-end.ts";
import { Parents, type LinkRules } from "../../clients/transcript/row-links.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";

const uuidChars = 36;
/** Numbers that hold a UUID. */
const words = 4;

/**
 * Numbers ids from 0 in the order in which they are added. A UUID, as all clients write them,
 * takes 24 to 48 bytes; any other id what a string and its entry in a map take.
 */
class RowIds {
  #uuids = new Uint32Array(words * 512);
  /** Number of a UUID and 1, at the place of its hash or behind; 0: free. */
  #slots = new Int32Array(1_024);
  readonly #others = new Map<string, number>();
  readonly #given = new Uint32Array(words);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns null: it was not added */
  find(id: string): number | null {
    if (!readUuid(id, this.#given)) return this.#others.get(id) ?? null;
    const found = (this.#slots[this.#slotOf(this.#given, 0)] ?? 0) - 1;
    return found < 0 ? null : found;
  }

  /** @param id that was not added before */
  add(id: string): number {
    const number = this.#size;
    this.#size += 1;
    if (this.#size * words > this.#uuids.length) this.#uuids = doubled(this.#uuids, Uint32Array);
    if (!readUuid(id, this.#given)) {
      this.#others.set(id, number);
      return number;
    }
    this.#uuids.set(this.#given, number * words);
    if (this.#size * 2 > this.#slots.length) this.#growSlots();
    this.#slots[this.#slotOf(this.#given, 0)] = number + 1;
    return number;
  }

  #growSlots(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    for (const entry of old) if (entry > 0) this.#slots[this.#slotOf(this.#uuids, (entry - 1) * words)] = entry;
  }

  /** Place of the UUID that stands in `of` at `from`, or the free one that is to hold it. */
  #slotOf(of: Uint32Array, from: number): number {
    const last = this.#slots.length - 1;
    let hash = 0;
    for (let at = 0; at < words; at += 1) hash = Math.imul(hash ^ (of[from + at] ?? 0), 0x9e_37_79_b1) ^ (hash >>> 15);
    for (let slot = (hash ^ (hash >>> 16)) & last; ; slot = (slot + 1) & last) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0 || this.#isAt((entry - 1) * words, of, from)) return slot;
    }
  }

  #isAt(at: number, of: Uint32Array, from: number): boolean {
    for (let word = 0; word < words; word += 1) if (this.#uuids[at + word] !== of[from + word]) return false;
    return true;
  }
}

/** @returns an array of twice the length that begins with the same values */
function doubled<T extends Uint8Array | Int32Array | Uint32Array | Float64Array>(
  values: T,
  Kind: new (length: number) => T,
): T {
  const larger = new Kind(values.length * 2);
  larger.set(values);
  return larger;
}

const hyphen = 0x2d;

/** @returns false: it is no UUID in lower case */
function readUuid(id: string, into: Uint32Array): boolean {
  if (id.length !== uuidChars) return false;
  let [word, digits] = [0, 0];
  for (let at = 0; at < uuidChars; at += 1) {
    const code = id.charCodeAt(at);
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (code !== hyphen) return false;
      continue;
    }
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
    if (digit < 0) return false;
    word = (word << 4) | digit;
    digits += 1;
    if (digits % 8 === 0) into[digits / 8 - 1] = word;
  }
  return true;
}

/** Rows from one to where the way up ends. */
interface Walked {
  /** 1 at the number of each. */
  readonly found: Uint8Array;
  readonly end: number;
}

/** Rows of the conversation that a client does not find. */
export interface Lost {
  /** Line that names a row which is not there, from 1. */
  readonly line: number;
  /** after: the client continues from a row before the line, which it wrote down. */
  readonly where: "before" | "after";
}

export interface Sent {
  readonly prompts: number;
  /** Prompts that the client sends. */
  readonly sent: number;
  readonly lost: Lost | null;
}

/** Rows whose parents lead back to them. */
export interface Loop {
  /** Line of the first one, from 1. */
  readonly line: number;
  readonly rows: number;
}

/** Facts of rows that name each other. */
export interface ChainFacts {
  /** Ids that more than one row has, of which its client reads the last one. */
  readonly twins: ReadonlySet<string>;
  readonly loops: readonly Loop[];
  /** Rows that name one which is nowhere in the file: their number, and the first one's line. */
  readonly unlinked: { readonly count: number; readonly line: number } | null;
  /** Prompts that are sent, where each row names the one before it; null: all rows are. */
  readonly sent: Sent | null;
}

/** Facts of a file whose rows name none. */
export const unchained: ChainFacts = { twins: new Set(), loops: [], unlinked: null, sent: null };

const flags = { sideTrue: 1, sideFalse: 2, sideOther: 3, turn: 4, prompt: 8 } as const;
const anySide = 3;

function flagsOf(side: unknown, turn: "prompt" | "other" | null): number {
  if (side === true) return flags.sideTrue;
  const own = side === undefined ? 0 : side === false ? flags.sideFalse : flags.sideOther;
  return own | (turn === null ? 0 : flags.turn) | (turn === "prompt" ? flags.prompt : 0);
}

/** The row names none. */
const none = -1;
/** The row names one that was not there yet. */
const later = -2;

/**
 * Finds what a client sends of a file as it does itself. Seen with Claude Code 2.1.197 and
 * 2.1.328: a parent may stand later in the file, of twins the last one counts, a loop ends the way.
 * Rows are numbered from 0, and their facts stand in columns: 17 bytes a row beside its id.
 */
export class RowChain {
  readonly #rules: LinkRules;
  readonly #ids = new RowIds();
  readonly #parents = new Parents();
  readonly #earlierEnd = new EarlierEnd();
  /** Number of the row that each names, `none` or `later`. */
  #parent = new Int32Array(512);
  /** Lines from 0; of twins that of the first. */
  #index = new Int32Array(512);
  /** Times in epoch ms. */
  #at = new Float64Array(512);
  #flags = new Uint8Array(512);
  readonly #later = new Map<number, string>();
  #last: number | null = null;
  #newest: string | null = null;
  #boundary = -1;
  readonly #twins = new Set<string>();

  constructor(rules: LinkRules) {
    this.#rules = rules;
  }

  /** @param turn what the row is in the conversation; null: nothing */
  add(index: number, row: JsonObject, turn: "prompt" | "other" | null): void {
    this.#newest = this.#rules.newestIn?.(row) ?? this.#newest;
    this.#earlierEnd.add(row);
    const id = textAt(row, "uuid");
    if (id === null || !this.#rules.isLink(row)) return;
    const { parent, isPassedOver } = this.#parents.of(this.#rules, row);
    if (isPassedOver) return;
    const link = this.#linkOf(id, index);
    const known = parent === null ? none : (this.#ids.find(parent) ?? later);
    this.#parent[link] = known;
    if (known === later && parent !== null) this.#later.set(link, parent);
    this.#at[link] = Date.parse(textAt(row, "timestamp") ?? "");
    this.#flags[link] = flagsOf(row["isSidechain"], turn);
    if (!this.#isMain(link)) return;
    this.#last = link;
    if (this.#rules.isBoundary?.(row)) [this.#boundary, this.#newest] = [index, null];
  }

  /** The last of rows with one id counts, at the position of the first. */
  #linkOf(id: string, index: number): number {
    const known = this.#ids.find(id);
    if (known !== null) {
      if (this.#rules.areTwinsJoined !== true) this.#twins.add(id);
      this.#later.delete(known);
      return known;
    }
    const link = this.#ids.add(id);
    if (link === this.#parent.length) this.#grow();
    this.#index[link] = index;
    return link;
  }

  #grow(): void {
    this.#parent = doubled(this.#parent, Int32Array);
    this.#index = doubled(this.#index, Int32Array);
    this.#at = doubled(this.#at, Float64Array);
    this.#flags = doubled(this.#flags, Uint8Array);
  }

  #parentOf(link: number): number | null {
    const parent = this.#parent[link] ?? none;
    if (parent !== later) return parent === none ? null : parent;
    return this.#ids.find(this.#later.get(link) ?? "");
  }

  #isMain(link: number): boolean {
    return this.#sideOf(link) !== flags.sideTrue;
  }

  #sideOf(link: number): number {
    return (this.#flags[link] ?? 0) & anySide;
  }

  #is(link: number, flag: number): boolean {
    return ((this.#flags[link] ?? 0) & flag) !== 0;
  }

  #lineOf(link: number): number {
    return (this.#index[link] ?? 0) + 1;
  }

  get facts(): ChainFacts {
    return { twins: this.#twins, loops: this.#loops(), unlinked: this.#unlinked(), sent: this.#sent() };
  }

  #loops(): Loop[] {
    const loops: Loop[] = [];
    let walkOf: Int32Array | null = null;
    for (let link = 0; link < this.#ids.size; link += 1) {
      // The first row of a loop names a later one, or itself.
      if ((this.#parentOf(link) ?? none) < link) continue;
      walkOf ??= new Int32Array(this.#ids.size);
      let at: number | null = link;
      while (at !== null && walkOf[at] === 0) {
        walkOf[at] = link + 1;
        at = this.#parentOf(at);
      }
      if (at !== null && walkOf[at] === link + 1) loops.push(this.#loopWith(at));
    }
    return loops;
  }

  #loopWith(link: number): Loop {
    let [first, rows] = [link, 1];
    for (let at = this.#parentOf(link); at !== null && at !== link; at = this.#parentOf(at)) {
      first = Math.min(first, at);
      rows += 1;
    }
    return { line: this.#lineOf(first), rows };
  }

  #unlinked(): ChainFacts["unlinked"] {
    const gone = [...this.#later].filter(
      ([link, parent]) => this.#isMain(link) && parent !== this.#earlierEnd.parent && this.#ids.find(parent) === null,
    );
    if (gone.length === 0) return null;
    const first = gone.reduce((least, [link]) => Math.min(least, link), Infinity);
    return { count: new Set(gone.map(([, parent]) => parent)).size, line: this.#lineOf(first) };
  }

  has(id: string): boolean {
    return this.#ids.find(id) !== null;
  }

  #sent(): Sent | null {
    const last = this.#last;
    if (last === null) return null;
    const noted = this.#newest === null ? null : this.#ids.find(this.#newest);
    const fromLast = noted === null ? this.#walkFromLatest(last) : this.#walk(last);
    const isPast = noted === null || !this.#isMain(noted) || fromLast.found[noted] === 1;
    const { found, end } = isPast ? fromLast : this.#walk(noted);
    let [prompts, sent] = [0, 0];
    for (let link = 0; link < this.#ids.size; link += 1) {
      if (!this.#is(link, flags.prompt)) continue;
      prompts += 1;
      sent += found[link] ?? 0;
    }
    const lost = this.#lostBefore(found, end) ?? (isPast ? null : this.#lostFrom(fromLast.end));
    return { prompts, sent, lost };
  }

  #lostBefore(found: Uint8Array, end: number): Lost | null {
    const isUnlinked =
      this.#rules.bridgeMs > 0 && this.#parent.subarray(0, this.#ids.size).every((one) => one === none);
    if (this.#parent[end] === none && !isUnlinked) return null;
    for (let link = 0; link < end; link += 1) {
      const isAfter = (this.#index[link] ?? 0) > this.#boundary;
      if (isAfter && found[link] === 0 && this.#is(link, flags.turn))
        return { line: this.#lineOf(end), where: "before" };
    }
    return null;
  }

  #lostFrom(end: number): Lost | null {
    return this.#parent[end] === none ? null : { line: this.#lineOf(end), where: "after" };
  }

  /** Rows that stand twice may end a file. */
  #walkFromLatest(last: number): Walked {
    let latest = last;
    for (let link = 0; link < this.#ids.size; link += 1)
      if (this.#isMain(link) && (this.#at[link] ?? NaN) >= (this.#at[latest] ?? NaN)) latest = link;
    const walked = this.#walk(latest);
    return walked.found[last] === 1 ? walked : this.#walk(last);
  }

  #walk(from: number): Walked {
    const found = new Uint8Array(this.#ids.size);
    for (let link = from; ;) {
      found[link] = 1;
      if (this.#parent[link] === none) return { found, end: link };
      const named = this.#parentOf(link);
      const next = named !== null && found[named] === 0 ? named : this.#bridge(link, found);
      if (next === null) return { found, end: link };
      link = next;
    }
  }

  /** Rows in the order of their times, those of one time in that of the file backwards. */
  #timed: Int32Array | null = null;

  #bridge(from: number, found: Uint8Array): number | null {
    const { bridgeMs } = this.#rules;
    const at = this.#at[from] ?? NaN;
    if (bridgeMs === 0 || Number.isNaN(at)) return null;
    const times = this.#at;
    const timeOf = (link: number): number => times[link] ?? NaN;
    this.#timed ??= Int32Array.from({ length: this.#ids.size }, (_, link) => link)
      .filter((link) => !Number.isNaN(timeOf(link)))
      .toSorted((one, other) => timeOf(one) - timeOf(other) || other - one);
    let [low, high] = [0, this.#timed.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (timeOf(this.#timed[middle] ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    for (let index = low - 1; index >= 0; index -= 1) {
      const link = this.#timed[index];
      if (link === undefined || at - timeOf(link) > bridgeMs) return null;
      if (this.#sideOf(link) === this.#sideOf(from) && found[link] === 0) return link;
    }
    return null;
  }
}
