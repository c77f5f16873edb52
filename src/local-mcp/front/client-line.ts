import { isRecord, parseJson } from "../../shared/json-fields.ts";
import { endOfObject } from "../../shared/json-object-end.ts";
import type { Message } from "./hello.ts";

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
