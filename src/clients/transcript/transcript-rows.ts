import { isUtf8 } from "node:buffer";
import { objectAt, parseJson, asObject, textAt, type JsonObject, endOfObject } from "../../shared/json-fields.ts";

/** Pure. Bytes of a transcript as rows; each byte is in a row, in a damage, or blank. */

/**
 * torn: the row is cut, or only its rest is there; zeros: of a file that was extended and not
 * written; not_utf8: decoded with other characters than were written; foreign: no row of any
 * client; too_long: a line that is longer than {@link maxLineBytes}.
 */
export type ByteDamage = "torn" | "zeros" | "not_utf8" | "foreign" | "too_long";

export interface TranscriptRow {
  /** Row of these bytes; null: they hold none. */
  readonly row: JsonObject | null;
  /** The row as it is written; empty without a row. */
  readonly text: string;
  /** Kind of damage; null: the row was read as it was written. */
  readonly damage: ByteDamage | null;
  /** In bytes, from the start of the file. */
  readonly position: number;
  readonly bytes: number;
  /** Counts lines that are not empty, from 1. */
  readonly line: number;
  /** Its line holds nothing else, but for a byte order mark and zeros. */
  readonly isAlone: boolean;
  /** A line break ends its line. */
  readonly isEnded: boolean;
}

/** A row as far as its content goes. */
export type ContentRow = Pick<TranscriptRow, "row" | "damage" | "position" | "bytes">;

const newline = 0x0a;
/** A longer line is no row that a client reads, and would fill the memory. */
const maxLineBytes = 128 * 1_048_576;

/** Makes rows of bytes that come in parts. No other character has the byte of a line break. */
export class RowSplitter {
  /** Start of the line that is under way, in bytes. */
  #position: number;
  #unended: Buffer[] = [];
  #unendedBytes = 0;
  /** Bytes of a line that is too long, dropped so far. */
  #dropped = 0;
  #lines = 0;

  /** @param position of the first byte in its file */
  constructor(position = 0) {
    this.#position = position;
  }

  /** Rows of the lines that the bytes end. */
  *push(bytes: Buffer): Generator<TranscriptRow> {
    let from = 0;
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, from)) {
      yield* this.#endLine(bytes.subarray(from, at), true);
      from = at + 1;
    }
    this.#keep(bytes.subarray(from));
  }

  /** Rows of the last line, which no line break ends. */
  *end(): Generator<TranscriptRow> {
    yield* this.#endLine(Buffer.alloc(0), false);
  }

  #keep(rest: Buffer): void {
    if (rest.length === 0) return;
    if (this.#dropped > 0 || this.#unendedBytes + rest.length > maxLineBytes) {
      this.#dropped += this.#unendedBytes + rest.length;
      [this.#unended, this.#unendedBytes] = [[], 0];
      return;
    }
    // A copy: the part itself may be many times longer.
    this.#unended.push(Buffer.from(rest));
    this.#unendedBytes += rest.length;
  }

  *#endLine(rest: Buffer, isEnded: boolean): Generator<TranscriptRow> {
    const line = this.#unended.length === 0 ? rest : Buffer.concat([...this.#unended, rest]);
    const [position, dropped] = [this.#position, this.#dropped];
    this.#position += dropped + line.length + 1;
    [this.#unended, this.#unendedBytes, this.#dropped] = [[], 0, 0];
    if (dropped > 0) {
      this.#lines += 1;
      const bytes = dropped + line.length;
      yield { ...unread("too_long"), position, bytes, line: this.#lines, isAlone: true, isEnded };
    } else yield* this.#rowsOf(line, position, isEnded);
  }

  *#rowsOf(line: Buffer, position: number, isEnded: boolean): Generator<TranscriptRow> {
    if (line.length === 0) return;
    const whole = rowOf(line);
    const parts = whole.row ? [{ ...whole, from: 0, to: line.length }] : [...partsOf(line)];
    if (parts.length === 0) return;
    this.#lines += 1;
    const isAlone = parts.filter(({ damage }) => damage !== "zeros").length <= 1;
    for (const { from, to, ...part } of parts)
      yield { ...part, position: position + from, bytes: to - from, line: this.#lines, isAlone, isEnded };
  }
}

type Reading = Pick<TranscriptRow, "row" | "text" | "damage">;

function unread(damage: ByteDamage): Reading {
  return { row: null, text: "", damage };
}

function rowOf(bytes: Buffer): Reading {
  const text = bytes.toString("utf8");
  const row = asObject(parseJson(text));
  if (row === null) return unread("torn");
  // Its words may not be what the client wrote.
  const isOther = text.includes("\u{FFFD}") && !isUtf8(bytes);
  return { row, text, damage: isOther ? "not_utf8" : null };
}

/** A document: one row, in as many lines as it has. Zeros behind it are dropped. */
export function documentIn(bytes: Buffer): TranscriptRow {
  const text = bytes.toString("utf8").replace(/\0+$/, "").trim();
  const row = asObject(parseJson(text));
  const damage = row === null ? "torn" : isUtf8(bytes) ? null : "not_utf8";
  return { row, text, damage, position: 0, bytes: bytes.length, line: 1, isAlone: true, isEnded: true };
}

/** Rows of bytes that are all there. */
export function* rowsIn(bytes: Buffer, position = 0): Generator<TranscriptRow> {
  const splitter = new RowSplitter(position);
  yield* splitter.push(bytes);
  yield* splitter.end();
}

interface Part extends Reading {
  readonly from: number;
  readonly to: number;
}

/** Times that the whole search reads a line at most, so that its time is linear. */
const maxReadings = 16;

/** Parts of a line that is no row: rows without a break, behind zeros, or behind a cut row. */
function* partsOf(line: Buffer): Generator<Part> {
  // A character for each byte; those that JSON is made of are the same.
  const text = line.toString("latin1");
  const lost = (from: number, to: number): Part => ({ ...unread(kindOf(text.slice(from, to))), from, to });
  let work = maxReadings * text.length;
  let lostFrom: number | null = null;
  for (let at = skipBlanks(text, 0); at < text.length;) {
    const end = work > 0 && text[at] === "{" ? endOfObject(text, at) : null;
    work -= (end ?? text.length) - at;
    const found = end === null ? unread("torn") : rowOf(line.subarray(at, end));
    if (end === null || found.row === null || (lostFrom !== null && !isWholeRow(found.row, text, end))) {
      lostFrom ??= at;
      const next = work > 0 ? text.indexOf('{"', at + 1) : -1;
      at = next < 0 ? text.length : next;
      continue;
    }
    if (lostFrom !== null) yield lost(lostFrom, at);
    lostFrom = null;
    yield { ...found, from: at, to: end };
    at = skipBlanks(text, end);
  }
  if (lostFrom !== null) yield lost(lostFrom, text.length);
}

function kindOf(part: string): ByteDamage {
  if (/^[\0\s]*$/.test(part)) return "zeros";
  return /[{}\0]|":/.test(part) ? "torn" : "foreign";
}

const blank = /(?:[ \t\r\n\f\v]|\xEF\xBB\xBF)*/y;

/** A byte order mark counts as a blank. */
function skipBlanks(text: string, from: number): number {
  blank.lastIndex = from;
  blank.test(text);
  return blank.lastIndex;
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
