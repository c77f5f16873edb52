import { parseJson } from "../../shared/json-fields.ts";

/** Longer keys and ids are not those of a request. */
const maxTokenBytes = 1_024;
const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openBrace, openBracket, closeBrace, closeBracket] = [0x7b, 0x5b, 0x7d, 0x5d];
const blanks: ReadonlySet<number> = new Set([0x00, 0x09, 0x0d, 0x20]);

/**
 * Finds the id of a JSON-RPC message in its bytes, wherever it stands, and keeps nothing else: the
 * TypeScript SDK writes the id behind the parameters.
 */
export class RequestScan {
  id: string | number | null = null;
  #hasMethod = false;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** Bytes of the message's own key or value that is being read. */
  #token: number[] = [];
  #key: unknown = null;

  /** A response has an id, too, which the other side has chosen. */
  get isRequest(): boolean {
    return this.id !== null && this.#hasMethod;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.isRequest; at++) {
      // Most of a long line is the text of one parameter.
      if (this.#isInString && this.#depth !== 1 && !this.#isEscaped) at = endOfPlainText(bytes, at);
      if (at < bytes.length) this.#take(bytes[at] ?? 0);
    }
  }

  #take(byte: number): void {
    if (this.#isInString) return this.#takeOfString(byte);
    if (byte === quote) this.#isInString = true;
    if (byte === openBrace || byte === openBracket) this.#depth += 1;
    else if (byte === closeBrace || byte === closeBracket) this.#close();
    else if (this.#depth === 1 && byte === comma) this.#endField();
    else if (this.#depth === 1 && byte === colon) {
      this.#key = this.#read();
      if (this.#key === "method") this.#hasMethod = true;
    } else this.#keep(byte);
  }

  #takeOfString(byte: number): void {
    this.#keep(byte);
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) this.#isInString = false;
  }

  #close(): void {
    if (this.#depth === 1) this.#endField();
    this.#depth -= 1;
  }

  #endField(): void {
    const value = this.#read();
    if (this.#key === "id" && (typeof value === "string" || typeof value === "number")) this.id = value;
    this.#key = null;
  }

  #keep(byte: number): void {
    const isKept = this.#depth === 1 && this.#token.length <= maxTokenBytes;
    if (isKept && (this.#isInString || !blanks.has(byte))) this.#token.push(byte);
  }

  #read(): unknown {
    const token = Buffer.from(this.#token).toString();
    this.#token = [];
    return parseJson(token);
  }
}

function endOfPlainText(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== quote && bytes[at] !== backslash) at += 1;
  return at;
}
