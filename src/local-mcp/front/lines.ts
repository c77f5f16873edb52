import type { Readable } from "node:stream";
import { JsonObjectReader } from "../../platform/json-object-reader.ts";
import { parseObject, isRecord, parseJson, endOfObject } from "../../shared/json-fields.ts";
import type { Message } from "./hello.ts";

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
  /** Whether the message is a batch; null: no part of it has come that says so. */
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

/** The longest message between client, front and host: the limit of the MCP SDK's own reader. */
export const maxLineBytes = 10 * 1024 * 1024;
export const tooLongText = `it is longer than ${maxLineBytes / 1024 / 1024} MiB (${maxLineBytes} bytes), the most that SHIM takes or gives as one message`;

export interface LineEvents {
  /** Without NULs, blanks and byte order marks around it; never empty. */
  readonly onLine: (line: string) => void;
  /** Called once for a line that is too long, of which nothing is kept. */
  readonly onLongLine: (scan: RequestScan) => void;
}

/**
 * Reads lines of bounded length, so an endless one costs no memory. Only "\n" ends a line, since a
 * message may contain U+2028 (MCP specification, "Transports", stdio).
 */
export function eachLine(stream: Readable, { onLine, onLongLine }: LineEvents): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  /** Reads on in a line that is too long. */
  let scan: RequestScan | null = null;
  let isReported = false;
  const report = (found: RequestScan): void => {
    if (!isReported) onLongLine(found);
    isReported = true;
  };
  const take = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= maxLineBytes) return void parts.push(part);
    scan ??= new RequestScan();
    for (const each of [...parts, part]) scan.push(each);
    parts = [];
    if (scan.isRequest) report(scan);
  };
  const end = (): void => {
    const line = scan === null ? trimmed(Buffer.concat(parts)).toString() : "";
    const found = scan;
    parts = [];
    bytes = 0;
    scan = null;
    if (found) report(found);
    else if (line !== "") onLine(line);
    isReported = false;
  };
  stream.on("data", (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      take(chunk.subarray(from, at));
      from = at + 1;
      end();
      // A stream that was paused gives no further line, however many came together.
      if (stream.isPaused()) return void (from < chunk.length && stream.unshift(chunk.subarray(from)));
    }
    if (from < chunk.length) take(chunk.subarray(from));
  });
}

const newline = 0x0a;
/** NUL, tab, carriage return and space. */
const blanks: ReadonlySet<number | undefined> = new Set([0x00, 0x09, 0x0d, 0x20]);
const byteOrderMark = Buffer.from("\u{FEFF}");

function trimmed(line: Buffer): Buffer {
  let from = 0;
  for (;;) {
    if (blanks.has(line[from])) from += 1;
    else if (byteOrderMark.equals(line.subarray(from, from + byteOrderMark.length))) from += byteOrderMark.length;
    else break;
  }
  let to = line.length;
  while (to > from && blanks.has(line[to - 1])) to -= 1;
  return line.subarray(from, to);
}

/** Codes of JSON-RPC 2.0, section 5.1. */
const parseError = -32_700;
export const invalidRequest = -32_600;

const oneALine = "MCP over stdio is one JSON-RPC message a line";

/** A line of the client: messages with their texts, or the error that answers it. */
export type ClientLine =
  | { readonly messages: readonly ReceivedMessage[] }
  | { readonly error: { readonly code: number; readonly message: string } };

export interface ReceivedMessage {
  readonly text: string;
  readonly message: Message;
}

/** Pure. Messages without a line break between them are unambiguous, and all are taken. */
export function readClientLine(line: string): ClientLine {
  const value = parseJson(line);
  if (Array.isArray(value))
    return refused(invalidRequest, `this is a batch, which MCP has not had since its revision 2025-06-18; ${oneALine}`);
  if (value !== undefined && !isRecord(value))
    return refused(invalidRequest, `this line is JSON but no message; ${oneALine}`);
  if (value) return { messages: [{ text: line, message: value }] };
  const messages = splitMessages(line);
  return messages.length > 0 ? { messages } : refused(parseError, `this line is not JSON; ${oneALine}`);
}

function refused(code: number, message: string): ClientLine {
  return { error: { code, message } };
}

export const framingError = {
  code: parseError,
  message: `this client frames its messages with "Content-Length", as LSP does; ${oneALine}, without headers. Further headers are not answered`,
} as const;

/** A header of LSP's framing, which follows the message before it without a line break. */
export function isFramed(line: string): boolean {
  return /^content-(?:length|type) *:/i.test(line) || /content-length: *\d{1,15}$/i.test(line.slice(-40));
}

/** @returns nothing unless the whole line is messages */
function splitMessages(line: string): ReceivedMessage[] {
  const found: ReceivedMessage[] = [];
  for (let from = 0; from < line.length;) {
    const to = endOfObject(line, from) ?? line.length;
    const text = line.slice(from, to);
    const message = parseJson(text);
    if (!isRecord(message)) return [];
    found.push({ text, message });
    from = to;
    while (between.has(line.charAt(from))) from += 1;
  }
  return found;
}

const between: ReadonlySet<string> = new Set([" ", "\t", "\r", "\0", "\u{FEFF}"]);
