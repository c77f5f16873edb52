import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { parseObject, type JsonObject } from "../../shared/json-fields.ts";
import type { ClientTranscripts, Refusal, Row } from "./client-transcripts.ts";

/** Facts of a conversation as a whole, and how it ends. */
export interface Conversation {
  /** Rows that the client would send to the model. */
  readonly rows: number;
  /** Rows before the newest answer: the last request that the API has accepted. */
  readonly accepted: number;
  /** Refusals of the prompts since that answer, one a prompt, oldest first. */
  readonly refusals: readonly Refusal[];
  /** Prompts since that answer, and those of its own request left out. */
  readonly promptsAfter: number;
}

/** [RS2] Follows a conversation row by row, in their order. */
export class ConversationReader {
  #rows = 0;
  #accepted = 0;
  #answer: string | null | undefined;
  #refusals: Refusal[] = [];
  #prompts = 0;
  #refusedAt = 0;

  /** @param index of the row in its file */
  add(index: number, row: Row | null): void {
    if (row === null) return;
    if (row.kind === "refusal") return this.#addRefusal(row);
    this.#rows += 1;
    if (row.kind !== "answer") {
      if (row.kind === "prompt") this.#prompts += 1;
      if (this.#answer === null) this.#answer = undefined;
      return;
    }
    if (this.#answer !== undefined && this.#answer === row.of) return;
    this.#answer = row.of;
    this.#accepted = index;
    this.#refusals = [];
    this.#prompts = 0;
    this.#refusedAt = 0;
  }

  /** A client may repeat a request, and store each refusal. */
  #addRefusal(refusal: Refusal): void {
    if (this.#refusedAt === this.#prompts && this.#refusals.length > 0) this.#refusals.pop();
    this.#refusedAt = this.#prompts;
    this.#refusals.push(refusal);
  }

  get conversation(): Conversation {
    return { rows: this.#rows, accepted: this.#accepted, refusals: this.#refusals, promptsAfter: this.#prompts };
  }
}

export interface TranscriptFacts extends Conversation {
  readonly bytes: number;
  readonly lines: number;
  /** Lines with which the client does not load the file, by their number from 1. */
  readonly refused: readonly number[];
  /** Lines that hold no JSON, which clients leave out. */
  readonly unparsed: number;
  /** Lines with bytes that are no UTF-8, which clients load in most cases. */
  readonly damaged: readonly number[];
  readonly hasHead: boolean;
  readonly isPart: boolean;
}

interface ReadRow {
  readonly index: number;
  /** Clean text; null for a line that holds no JSON. */
  readonly text: string | null;
  readonly row: JsonObject | null;
  /** The client loads no file with this line. */
  readonly isRefused: boolean;
  /** A copy has the row. */
  readonly isKept: boolean;
  /** False for bytes that are no UTF-8, in whose stead a copy has U+FFFD. */
  readonly isText: boolean;
}

const byteOrderMark = "\u{FEFF}";
const newline = 0x0a;

/** Each line that is not empty, in their order; the event loop has turns in between. */
export async function* readRows(path: string, client: ClientTranscripts): AsyncGenerator<ReadRow, void> {
  let index = 0;
  for await (const bytes of linesOf(path)) {
    const given = bytes.toString("utf8");
    const text = given.replace(byteOrderMark, "").replaceAll("\0", "").trim();
    if (text === "" && given.trim() === "") continue;
    const row = parseObject(text);
    const isFit = row === null || (client.accepts?.(row) ?? true);
    const isRefused = !isFit || (client.refusesMark === true && given.startsWith(byteOrderMark));
    const isKept = row !== null && isFit;
    yield { index: index++, text: row === null ? null : text, row, isRefused, isKept, isText: isUtf8(bytes) };
  }
}

async function* linesOf(path: string): AsyncGenerator<Buffer, void> {
  let parts: Buffer[] = [];
  for await (const chunk of createReadStream(path, { highWaterMark: 262_144 }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, at)]);
      parts = [];
      from = at + 1;
    }
    parts.push(chunk.subarray(from));
  }
  const rest = Buffer.concat(parts);
  if (rest.length > 0) yield rest;
}

/** @throws a system error for a file that cannot be read */
export async function readTranscript(path: string, client: ClientTranscripts): Promise<TranscriptFacts> {
  const { size } = await stat(path);
  const reader = new ConversationReader();
  const refused: number[] = [];
  const damaged: number[] = [];
  let [lines, unparsed] = [0, 0];
  let [hasHead, isPart] = [client.head === undefined, false];
  for await (const { index, row, isRefused, isKept, isText } of readRows(path, client)) {
    lines += 1;
    if (isRefused) refused.push(index + 1);
    if (!isText) damaged.push(index + 1);
    if (row === null) {
      unparsed += 1;
      continue;
    }
    if (index === 0) {
      hasHead ||= client.head?.is(row) ?? true;
      isPart = client.isPart?.(row) ?? false;
    }
    if (isKept) reader.add(index, client.rowOf(row));
  }
  return { ...reader.conversation, bytes: size, lines, refused, damaged, unparsed, hasHead, isPart };
}
