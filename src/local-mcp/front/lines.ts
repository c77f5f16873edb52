import type { Readable } from "node:stream";
import { RequestScan } from "./request-scan.ts";

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
