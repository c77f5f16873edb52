import { isUtf8 } from "node:buffer";
import { objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { endOfObject } from "../../shared/json-object-end.ts";

/** Pure. Bytes of a transcript as rows; bytes that hold no row are counted, never dropped. */

export interface TranscriptRow {
  /** The row; null: the bytes could not be read, or not as they were written. */
  readonly row: JsonObject | null;
  /** In bytes, from the start of the file. */
  readonly position: number;
  readonly bytes: number;
}

const newline = 0x0a;

/** Cut at bytes, before decoding: no other UTF-8 character has a newline byte. */
export function* rowsIn(bytes: Buffer, begin = 0, end = bytes.length, base = 0): Generator<TranscriptRow> {
  for (let at = begin; at < end;) {
    const found = bytes.indexOf(newline, at);
    const next = found < 0 || found > end ? end : found;
    yield* rowsOfLine(bytes.subarray(at, next), base + at);
    at = next + 1;
  }
}

export function* rowsOfLine(line: Buffer, position: number): Generator<TranscriptRow> {
  const text = line.toString("utf8");
  // `trim` takes a byte order mark for a blank.
  const trimmed = text.trim();
  if (trimmed === "") return;
  // Its words are not what the client wrote.
  if (text.includes("\u{FFFD}") && !isUtf8(line)) yield { row: null, position, bytes: line.length };
  const row = parseObject(trimmed);
  if (row) yield { row, position, bytes: line.length };
  else yield* rowsOfBrokenLine(text, position);
}

/** Times that the whole search reads a line at most, so that its time is linear. */
const maxReadings = 16;

/** Rows without a break between them, behind zeros, or behind a row that is cut. */
function* rowsOfBrokenLine(text: string, position: number): Generator<TranscriptRow> {
  const toBytes = (from: number, to: number): Pick<TranscriptRow, "position" | "bytes"> => {
    return {
      position: position + Buffer.byteLength(text.slice(0, from)),
      bytes: Buffer.byteLength(text.slice(from, to)),
    };
  };
  let work = maxReadings * text.length;
  let lostFrom: number | null = null;
  for (let at = skipBlanks(text, 0); at < text.length;) {
    const end = work > 0 && text[at] === "{" ? endOfObject(text, at) : null;
    work -= (end ?? text.length) - at;
    const row = end === null ? null : parseObject(text.slice(at, end));
    if (row === null || end === null || (lostFrom !== null && !isWholeRow(row, text, end))) {
      lostFrom ??= at;
      const next = work > 0 ? text.indexOf('{"', at + 1) : -1;
      at = next < 0 ? text.length : next;
      continue;
    }
    if (lostFrom !== null) yield { row: null, ...toBytes(lostFrom, at) };
    lostFrom = null;
    yield { row, ...toBytes(at, end) };
    at = skipBlanks(text, end);
  }
  if (lostFrom !== null) yield { row: null, ...toBytes(lostFrom, text.length) };
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charAt(at).trim() === "") at += 1;
  return at;
}

/** Behind a lost part an object may belong to a row; a whole row ends the line, or precedes one. */
function isWholeRow(row: JsonObject, text: string, end: number): boolean {
  const next = text.charAt(skipBlanks(text, end));
  return (next === "" || next === "{" || next === "\0") && hasFrame(row);
}

/** Fields that each client gives all of its rows. */
function hasFrame(row: JsonObject): boolean {
  const isMessage = ["id", "type", "timestamp"].every((name) => textAt(row, name) !== null);
  const isEvent = textAt(row, "type") !== null && (objectAt(row, "payload") ?? objectAt(row, "data")) !== null;
  return textAt(row, "sessionId") !== null || isEvent || isMessage || objectAt(row, "$set") !== null;
}
