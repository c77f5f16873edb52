const uuidChars = 36;
/** Numbers that hold a UUID. */
const words = 4;

/**
 * Numbers ids from 0 in the order in which they are added. A UUID, as all clients write them,
 * takes 24 to 48 bytes; any other id what a string and its entry in a map take.
 */
export class RowIds {
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
export function doubled<T extends Uint8Array | Int32Array | Uint32Array | Float64Array>(
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
