/** Larger top-level values are dropped: only a tool's output can be that large. */
const maxValueBytes = 16_000_000;
const maxBytes = 32_000_000;

const byte = { quote: 0x22, comma: 0x2c, backslash: 0x5c };
const opening: ReadonlySet<number> = new Set(Buffer.from("{["));
const closing: ReadonlySet<number> = new Set(Buffer.from("}]"));

/** Reads in bounded memory. [HO40] [HO41] */
export class JsonObjectReader {
  readonly #fields: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isWhole = false;
  #field: Buffer[] = [];
  #fieldBytes = 0;

  get isWhole(): boolean {
    return this.#isWhole;
  }

  push(part: Buffer): void {
    let from = 0;
    for (let at = 0; at < part.length && !this.#isWhole; at++) {
      const isBoundary = this.#step(part[at] ?? 0);
      if (!isBoundary) continue;
      this.#append(part.subarray(from, at));
      this.#endField();
      from = at + 1;
    }
    if (!this.#isWhole && this.#depth > 0) this.#append(part.subarray(from));
  }

  text(): string {
    return `{${this.#fields.map((field) => field.toString()).join(",")}}`;
  }

  /** @returns whether the byte begins or ends a field of the object */
  #step(next: number): boolean {
    if (this.#isInString) {
      this.#stepInString(next);
      return false;
    }
    if (next === byte.quote) this.#isInString = true;
    if (opening.has(next)) return (this.#depth += 1) === 1;
    if (!closing.has(next)) return next === byte.comma && this.#depth === 1;
    this.#depth -= 1;
    this.#isWhole = this.#depth === 0;
    return this.#isWhole;
  }

  #stepInString(next: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (next === byte.backslash) this.#isEscaped = true;
    else if (next === byte.quote) this.#isInString = false;
  }

  #append(part: Buffer): void {
    this.#fieldBytes += part.length;
    if (this.#isFieldTooLarge) this.#field = [];
    else this.#field.push(part);
  }

  get #isFieldTooLarge(): boolean {
    return this.#fieldBytes > maxValueBytes || this.#bytes + this.#fieldBytes > maxBytes;
  }

  #endField(): void {
    // Only white space precedes the first field.
    const field = Buffer.concat(this.#field);
    if (!this.#isFieldTooLarge && field.includes(":")) {
      this.#fields.push(field);
      this.#bytes += this.#fieldBytes;
    }
    this.#field = [];
    this.#fieldBytes = 0;
  }
}
