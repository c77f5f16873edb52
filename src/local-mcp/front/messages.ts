import type { Readable } from "node:stream";
import { parseObject } from "../../shared/json-fields.ts";

/** An id of JSON-RPC is a string or a number, which differ. */
export function requestKey(id: unknown): string {
  return JSON.stringify(id) ?? "";
}

/** A message of JSON-RPC, as far as a front reads it. */
export interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: {
    readonly name?: unknown;
    readonly arguments?: unknown;
    readonly requestId?: unknown;
    readonly isOver?: unknown;
  };
  readonly [field: string]: unknown;
}

/** A message may contain U+2028 (MCP specification, "Transports", stdio). */
export function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      chunks.push(chunk.subarray(from, end));
      const line = Buffer.concat(chunks).toString();
      chunks = [];
      from = end + 1;
      if (line.trim() !== "") onLine(line);
    }
    if (from < chunk.length) chunks.push(chunk.subarray(from));
  });
}

const newline = 0x0a;

export function parseMessage(line: string): Message | null {
  return parseObject(line);
}
