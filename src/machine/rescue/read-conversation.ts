import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createZstdDecompress } from "node:zlib";
import { asObject, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { compressedEnd } from "../../clients/transcript/transcript-file.ts";
import type { SessionFiles, Refusal, Row } from "../../clients/adapter/session-files.ts";
import { rowsIn } from "./fused-rows.ts";
import { RowChain, type Sent } from "./row-chain.ts";

/** Facts of a conversation as a whole, and how it ends. */
export interface Conversation {
  /** Rows that the client would send to the model. */
  readonly rows: number;
  readonly prompts: number;
  /** Rows before the newest answer: the last request that the API has accepted. */
  readonly accepted: number;
  /** Refusals of the prompts since that answer, one a prompt, oldest first. */
  readonly refusals: readonly Refusal[];
  /** Prompts since that answer, and those of its own request left out. */
  readonly promptsAfter: number;
  /** Rows before the first of these prompts that will be refused again; null: there is none. */
  readonly beforeRefused: number | null;
}

/** Follows a conversation row by row, in their order. */
export class ConversationReader {
  #rows = 0;
  #allPrompts = 0;
  #accepted = 0;
  #answer: string | null | undefined;
  #refusals: Refusal[] = [];
  #prompts = 0;
  #refusedAt = 0;
  /** Where the words of the newest prompt begin; null: a row of another kind came since. */
  #words: number | null = null;
  #promptAt: number | null = null;
  #beforeRefused: number | null = null;

  /** @param index of the row in its file */
  add(index: number, row: Row | null): void {
    if (row === null) return;
    if (row.kind === "refusal") return this.#addRefusal(row);
    this.#rows += 1;
    if (row.kind !== "answer") return this.#addInput(index, row.kind);
    this.#words = null;
    if (this.#answer !== undefined && this.#answer === row.of) return;
    this.#answer = row.of;
    this.#accepted = index;
    this.#refusals = [];
    this.#prompts = 0;
    this.#refusedAt = 0;
    [this.#promptAt, this.#beforeRefused] = [null, null];
  }

  #addInput(index: number, kind: "prompt" | "message" | "input"): void {
    if (this.#answer === null) this.#answer = undefined;
    if (kind === "message") this.#words ??= index;
    if (kind === "input") this.#words = null;
    if (kind !== "prompt") return;
    this.#prompts += 1;
    this.#allPrompts += 1;
    this.#promptAt = this.#words ?? index;
    this.#words = null;
  }

  /**
   * A client may repeat a request, and store each refusal: one that lasts is not taken back by one
   * that may pass.
   */
  #addRefusal(refusal: Refusal): void {
    this.#words = null;
    const isSame = this.#refusedAt === this.#prompts && this.#refusals.length > 0;
    if (isSame && refusal.of === "passing" && this.#refusals.at(-1)?.of !== "passing") return;
    if (isSame) this.#refusals.pop();
    this.#refusedAt = this.#prompts;
    this.#refusals.push(refusal);
    if (refusal.of !== "passing") this.#beforeRefused ??= this.#promptAt ?? this.#accepted;
  }

  get conversation(): Conversation {
    return {
      rows: this.#rows,
      prompts: this.#allPrompts,
      accepted: this.#accepted,
      refusals: this.#refusals,
      promptsAfter: this.#prompts,
      beforeRefused: this.#beforeRefused,
    };
  }
}

export interface TranscriptFacts extends Conversation {
  readonly bytes: number;
  /** Lines that are not empty; all line numbers count these, from 1. */
  readonly lines: number;
  /** Lines that hold no row. */
  readonly unreadable: number;
  /** First line with which the client does not load the file; null: none. */
  readonly refused: number | null;
  /** Prompts that are sent, where each row names the one before it; null: all rows are. */
  readonly sent: Sent | null;
  /** First line of several rows that its client does not read; null: there is none. */
  readonly fused: number | null;
  /** The last line is cut, and what its client writes behind it becomes part of it. */
  readonly isCut: boolean;
  readonly isPart: boolean;
}

export interface ReadRow {
  readonly index: number;
  /** Clean text of the line. */
  readonly text: string;
  /** Absent (null) where the line holds no JSON, or more than one row. */
  readonly row: JsonObject | null;
  /** The client loads no file with this line. */
  readonly isRefused: boolean;
  /** A line break ends it. */
  readonly isEnded: boolean;
}

const newline = 0x0a;

/** Each line that is not empty, in their order; the event loop has turns in between. */
export async function* readRows(path: string, client: SessionFiles): AsyncGenerator<ReadRow, void> {
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

function bytesOf(path: string): AsyncIterable<unknown> {
  const file = createReadStream(path, { highWaterMark: 262_144 });
  // A failure of the file is one of the stream that is read.
  return path.endsWith(compressedEnd) ? pipeline(file, createZstdDecompress(), () => undefined) : file;
}

async function* linesOf(path: string): AsyncGenerator<{ bytes: Buffer; isEnded: boolean }> {
  let parts: Buffer[] = [];
  for await (const given of bytesOf(path)) {
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
export async function readTranscript(path: string, client: SessionFiles): Promise<TranscriptFacts> {
  const { size } = await stat(path);
  const reading = new Reading(client);
  if (isDocument(path)) await reading.addDocument(path);
  else for await (const one of readRows(path, client)) reading.add(one);
  return { ...reading.facts, bytes: size };
}

/** One JSON text, in as many lines as it may have. */
export function isDocument(path: string): boolean {
  return path.endsWith(".json");
}

class Reading {
  readonly #client: SessionFiles;
  readonly #chain: RowChain | null;
  #reader = new ConversationReader();
  #refused: number | null = null;
  readonly #fused: { readonly line: number; readonly id: string }[] = [];
  #unreadable = 0;
  #isPart = false;
  #last: ReadRow | null = null;

  constructor(client: SessionFiles) {
    this.#client = client;
    this.#chain = client.links ? new RowChain(client.links) : null;
  }

  add(one: ReadRow): void {
    const { index, text, row } = one;
    this.#last = one;
    if (one.isRefused) this.#refused ??= index + 1;
    if (row === null) return this.#addUnreadable(index, text);
    if (one.isRefused) return;
    if (index === 0) this.#isPart = this.#client.isPart?.(row) === true;
    const messages = this.#client.messagesIn?.(row) ?? null;
    if (messages === null) return this.#addRow(index, row);
    this.#reader = new ConversationReader();
    for (const message of messages) this.#reader.add(index, this.#client.rowOf(asObject(message) ?? {}));
  }

  async addDocument(path: string): Promise<void> {
    const text = await readFile(path, "utf8");
    this.add({ index: 0, text, row: parseObject(text), isRefused: false, isEnded: true });
  }

  #addRow(index: number, row: JsonObject): void {
    const found = this.#client.rowOf(row);
    this.#reader.add(index, found);
    const turn = found === null || found.kind === "refusal" ? null : found.kind === "prompt" ? "prompt" : "other";
    this.#chain?.add(index, row, turn);
  }

  #addUnreadable(index: number, text: string): void {
    this.#unreadable += 1;
    if (this.#client.links?.losesFused !== true) return;
    for (const row of rowsIn(text)) {
      const id = textAt(row, "uuid");
      if (id !== null && this.#client.rowOf(row) !== null) this.#fused.push({ line: index + 1, id });
    }
  }

  get facts(): Omit<TranscriptFacts, "bytes"> {
    const last = this.#last;
    return {
      ...this.#reader.conversation,
      lines: last === null ? 0 : last.index + 1,
      unreadable: this.#unreadable,
      refused: this.#refused,
      sent: this.#chain?.sent ?? null,
      fused: this.#fused.find(({ id }) => this.#chain?.has(id) !== true)?.line ?? null,
      isCut: this.#client.losesAfterCut === true && last?.row === null && !last.isEnded,
      isPart: this.#isPart,
    };
  }
}
