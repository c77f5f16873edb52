export const maxInputBytes = 32_000_000;

/** Larger fields are left out: only a tool's output can be that large. */
const maxFieldBytes = 16_000_000;

const byte = { quote: 0x22, comma: 0x2c, backslash: 0x5c, brace: 0x7b };
const opening: ReadonlySet<number> = new Set(Buffer.from("{["));
const closing: ReadonlySet<number> = new Set(Buffer.from("}]"));

/** Finds the first JSON object in bytes of any parts. Reads in bounded memory. */
export class JsonObjectReader {
  readonly #fields: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isWhole = false;
  #field: Buffer[] = [];
  #fieldBytes = 0;
  #skippedBytes = 0;
  #rest: Buffer = Buffer.alloc(0);

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Bytes before the object. */
  get skippedBytes(): number {
    return this.#skippedBytes;
  }

  /** The bytes behind the object in the part that has its end. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** The fields that are complete, in their order, as JSON. */
  get fields(): string[] {
    return this.#fields.map((field) => field.toString());
  }

  /** The field in whose middle the input ends, as far as it has come. */
  get openField(): string {
    return Buffer.concat(this.#field).toString();
  }

  push(part: Buffer): void {
    let from = 0;
    for (let at = 0; at < part.length && !this.#isWhole; at++) {
      // Most of a long input is the text of one value.
      if (this.#isInString && !this.#isEscaped) at = endOfPlainText(part, at);
      if (at === part.length) break;
      const isBoundary = this.#step(part[at] ?? 0);
      if (!isBoundary) continue;
      this.#append(part.subarray(from, at));
      this.#endField();
      from = at + 1;
    }
    if (this.#isWhole) this.#rest = part.subarray(from);
    else if (this.#depth > 0) this.#append(part.subarray(from));
  }

  text(): string {
    return `{${this.fields.join(",")}}`;
  }

  /** @returns whether the byte begins or ends a field of the object */
  #step(next: number): boolean {
    if (this.#depth === 0) return this.#begin(next);
    if (this.#isInString) {
      this.#stepInString(next);
      return false;
    }
    if (next === byte.quote) this.#isInString = true;
    if (opening.has(next)) this.#depth += 1;
    if (!closing.has(next)) return next === byte.comma && this.#depth === 1;
    this.#depth -= 1;
    this.#isWhole = this.#depth === 0;
    return this.#isWhole;
  }

  #begin(next: number): boolean {
    if (next === byte.brace) this.#depth = 1;
    else this.#skippedBytes += 1;
    return this.#depth === 1;
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
    return this.#fieldBytes > maxFieldBytes || this.#bytes + this.#fieldBytes > maxInputBytes;
  }

  #endField(): void {
    // Blanks before the first field are none.
    const field = Buffer.concat(this.#field);
    if (!this.#isFieldTooLarge && field.includes(":")) {
      this.#fields.push(field);
      this.#bytes += field.length;
    }
    this.#field = [];
    this.#fieldBytes = 0;
  }
}

function endOfPlainText(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== byte.quote && bytes[at] !== byte.backslash) at += 1;
  return at;
}
