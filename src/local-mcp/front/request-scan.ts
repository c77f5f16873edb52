import { parseObject } from "../../shared/json-fields.ts";
import { JsonObjectReader } from "../../platform/json-object-reader.ts";

/** Longer keys and ids are not those of a request. */
const maxFieldBytes = 1_024;
const [openBrace, openBracket] = [0x7b, 0x5b];

/**
 * Finds the id of a JSON-RPC message in its bytes, wherever it stands, and keeps nothing else: the
 * TypeScript SDK writes the id behind the parameters.
 */
export class RequestScan {
  id: string | number | null = null;
  #hasMethod = false;
  /** Null until it is known. */
  #isBatch: boolean | null = null;
  readonly #reader = new JsonObjectReader({ maxFieldBytes, onField: (field) => this.#take(field) });

  /** A response has an id, too, which the other side has chosen. */
  get isRequest(): boolean {
    return this.id !== null && this.#hasMethod;
  }

  push(bytes: Buffer): void {
    const first = this.#isBatch === null ? bytes.find((byte) => byte === openBrace || byte === openBracket) : undefined;
    if (first !== undefined) this.#isBatch = first === openBracket;
    if (this.#isBatch === false && !this.isRequest) this.#reader.push(bytes);
  }

  #take(field: Buffer): void {
    const value = parseObject(`{${field.toString()}}`);
    const id = value?.["id"];
    if (typeof id === "string" || typeof id === "number") this.id = id;
    if (value?.["method"] !== undefined) this.#hasMethod = true;
  }
}
