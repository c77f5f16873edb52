import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
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
  /** Lines that are not empty; all line numbers count these, from 1. */
  readonly lines: number;
  /** First line with which the client does not load the file; null: none. */
  readonly refused: number | null;
  /** First line before which its client finds no rows of the conversation; null: none. */
  readonly lost: number | null;
  /** The last line is cut, and what its client writes behind it becomes part of it. */
  readonly isCut: boolean;
  readonly isPart: boolean;
}

export interface ReadRow {
  readonly index: number;
  /** Clean text of the line. */
  readonly text: string;
  /** Absent (null) where the line holds no JSON. */
  readonly row: JsonObject | null;
  /** The client loads no file with this line. */
  readonly isRefused: boolean;
  /** A line break ends it. */
  readonly isEnded: boolean;
}

const newline = 0x0a;

/** Each line that is not empty, in their order; the event loop has turns in between. */
export async function* readRows(path: string, client: ClientTranscripts): AsyncGenerator<ReadRow, void> {
  let index = 0;
  for await (const { bytes, isEnded } of linesOf(path)) {
    // After a power cut zeros stand where rows were.
    const text = bytes.toString("utf8").replaceAll("\0", "").trim();
    if (text === "" && bytes.every((byte) => byte !== 0)) continue;
    const row = parseObject(text);
    const isRefused = row !== null && client.accepts?.(row) === false;
    yield { index: index++, text, row, isRefused, isEnded: isEnded || text === "" };
  }
}

async function* linesOf(path: string): AsyncGenerator<{ bytes: Buffer; isEnded: boolean }> {
  let parts: Buffer[] = [];
  for await (const given of createReadStream(path, { highWaterMark: 262_144 })) {
    const chunk = given as Buffer;
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      yield { bytes: Buffer.concat([...parts, chunk.subarray(from, at)]), isEnded: true };
      parts = [];
      from = at + 1;
    }
    parts.push(chunk.subarray(from));
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length > 0) yield { bytes, isEnded: false };
}

/** @throws a system error for a file that cannot be read */
export async function readTranscript(path: string, client: ClientTranscripts): Promise<TranscriptFacts> {
  const { size } = await stat(path);
  const reader = new ConversationReader();
  const link = linker(client);
  let refused: number | null = null;
  let lost: number | null = null;
  let isPart = false;
  let last: ReadRow | null = null;
  for await (const one of readRows(path, client)) {
    const { index, row } = one;
    last = one;
    if (one.isRefused) refused ??= index + 1;
    if (row === null || one.isRefused) continue;
    if (index === 0) isPart = client.isPart?.(row) === true;
    if (client.losesUnlinked && link(row) !== row) lost ??= index + 1;
    reader.add(index, client.rowOf(row));
  }
  return {
    ...reader.conversation,
    bytes: size,
    lines: last === null ? 0 : last.index + 1,
    refused,
    lost,
    isCut: client.losesUnlinked === true && last?.row === null && !last.isEnded,
    isPart,
  };
}

/**
 * Links rows, in their order, to the one before them: one whose parent is left out to the parent of
 * that, and where a client loses what stands before, also one whose parent is nowhere.
 *
 * @returns the row itself where nothing of it changes; null: it is left out
 */
export function linker({ losesUnlinked }: ClientTranscripts, isLeftOut: (row: JsonObject) => boolean = () => false) {
  /** For each row so far itself, or the one that stands in for it. */
  const standIns = new Map<string, string | null>();
  let last: string | null = null;
  return (row: JsonObject): JsonObject | null => {
    const [id, named] = [textAt(row, "uuid"), textAt(row, "parentUuid")];
    const known = named === null ? null : standIns.get(named);
    const parent = known === undefined ? (losesUnlinked ? last : named) : known;
    const isKept = !isLeftOut(row);
    if (id !== null) {
      standIns.set(id, isKept ? id : parent);
      if (isKept) last = id;
    }
    if (!isKept) return null;
    return parent === named ? row : { ...row, parentUuid: parent };
  };
}
