import type { Readable } from "node:stream";
import { parseObject, isRecord, parseJson, endOfObject } from "../../shared/json-fields.ts";
import type { Message } from "./hello.ts";

/** The longest message between client, front and host: the limit of the MCP SDK's own reader. */
export const maxLineBytes = 10 * 1024 * 1024;
export const tooLongText = `it is longer than ${maxLineBytes / 1024 / 1024} MiB (${maxLineBytes} bytes), the most that SHIM takes or gives as one message`;

/** Limit up to which the id of a long line is read; nothing of a longer one is kept. */
const mostKeptBytes = 64 * 1024 * 1024;

/** A line that is too long, by its id if that could be read. A response has an id, too. */
export interface LongLine {
  readonly id: string | number | null;
  readonly isRequest: boolean;
}

export interface LineEvents {
  /** Without NULs, blanks and byte order marks around it; never empty. */
  readonly onLine: (line: string) => void;
  readonly onLongLine: (line: LongLine) => void;
}

/**
 * Reads lines of bounded length, so an endless one costs bounded memory. Only "\n" ends a line,
 * since a message may contain U+2028 (MCP specification, "Transports", stdio).
 */
export function eachLine(stream: Readable, { onLine, onLongLine }: LineEvents): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= mostKeptBytes) parts.push(part);
    else parts = [];
  };
  const end = (): void => {
    const line = trimmed(Buffer.concat(parts)).toString();
    const isTooLong = bytes > maxLineBytes;
    parts = [];
    bytes = 0;
    if (isTooLong) onLongLine(longLine(line));
    else if (line !== "") onLine(line);
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

function longLine(line: string): LongLine {
  const { id, method } = parseObject(line) ?? {};
  return { id: typeof id === "string" || typeof id === "number" ? id : null, isRequest: method !== undefined };
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
