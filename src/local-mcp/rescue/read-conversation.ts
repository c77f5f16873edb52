import { isUtf8 } from "node:buffer";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
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
  /** Lines with which the client does not load the file. */
  readonly refused: readonly number[];
  /** Lines with bytes that are no UTF-8, which clients load in most cases. */
  readonly damaged: readonly number[];
  /** Lines before which its client no longer finds the rows of the conversation. */
  readonly lost: readonly number[];
  /** Line that takes all messages out, and after which there are none; null: none does. */
  readonly emptied: number | null;
  readonly isUtf16: boolean;
  /** The last line is cut, and what its client writes behind it becomes part of it and is lost. */
  readonly isCut: boolean;
  readonly hasHead: boolean;
  readonly isPart: boolean;
  /** The last row lacks the field that counts the rows. */
  readonly isUncounted: boolean;
}

export interface ReadRow {
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
  /** A byte order mark stands before it. */
  readonly isMarked: boolean;
  /** A line break ends it, or nothing is in it. */
  readonly isEnded: boolean;
}

const byteOrderMark = "\u{FEFF}";
const newline = 0x0a;

/** Each line that is not empty, in their order; the event loop has turns in between. */
export async function* readRows(path: string, client: ClientTranscripts): AsyncGenerator<ReadRow, void> {
  let index = 0;
  for await (const { bytes, isEnded } of linesOf(path)) {
    const given = bytes.toString("utf8");
    const text = given.replace(byteOrderMark, "").replaceAll("\0", "").trim();
    if (text === "" && given.trim() === "") continue;
    const row = parseObject(text);
    const isFit = row === null || (client.accepts?.(row) ?? true);
    const isKept = row !== null && isFit && client.empties?.(row) !== true;
    const about = { isRefused: !isFit, isKept, isMarked: given.startsWith(byteOrderMark) };
    yield {
      index: index++,
      text: row === null ? null : text,
      row,
      ...about,
      isText: isUtf8(bytes),
      isEnded: isEnded || text === "",
    };
  }
}

function isUtf16(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const start = Buffer.alloc(2);
    return readSync(file, start) === 2 && start.readUInt16LE() === 0xfe_ff;
  } finally {
    closeSync(file);
  }
}

async function* linesOf(path: string): AsyncGenerator<{ bytes: Buffer; isEnded: boolean }> {
  const encoding = isUtf16(path) ? { encoding: "utf16le" as const } : {};
  let parts: Buffer[] = [];
  for await (const given of createReadStream(path, { highWaterMark: 262_144, ...encoding })) {
    const chunk = Buffer.from(given as Buffer | string);
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
export async function readTranscript(path: string, client: ClientTranscripts, id: string): Promise<TranscriptFacts> {
  const { size } = await stat(path);
  const reader = new FactsReader(client, id);
  for await (const one of readRows(path, client)) reader.add(one);
  return { ...reader.facts(), bytes: size, isUtf16: isUtf16(path) };
}

class FactsReader {
  readonly #client: ClientTranscripts;
  readonly #id: string;
  readonly #conversation = new ConversationReader();
  readonly #links = new LinkReader();
  readonly #refused: number[] = [];
  readonly #damaged: number[] = [];
  #head: JsonObject | null = null;
  #last: ReadRow | null = null;
  #emptied: number | null = null;

  constructor(client: ClientTranscripts, id: string) {
    this.#client = client;
    this.#id = id;
  }

  add(one: ReadRow): void {
    const { index, row } = one;
    this.#last = one;
    if (one.isRefused) this.#refused.push(index + 1);
    if (!one.isText) this.#damaged.push(index + 1);
    if (this.#client.empties?.(row ?? {})) this.#emptied = index + 1;
    if (row === null || !one.isKept) return;
    if (!one.isMarked && this.#isHead(index, row)) this.#head ??= row;
    const kind = this.#client.rowOf(row);
    if (kind !== null) this.#emptied = null;
    this.#conversation.add(index, kind);
    this.#links.add(index + 1, row, kind !== null);
  }

  #isHead(index: number, row: JsonObject): boolean {
    const { head } = this.#client;
    return head !== undefined && (index === 0 || head.isAnywhere === true) && head.is(row, this.#id);
  }

  facts(): Omit<TranscriptFacts, "bytes" | "isUtf16"> {
    const { counter, head, isPart, links } = this.#client;
    const [first, last] = [this.#head, this.#last];
    const isCounted = first !== null && counter?.isUsed(first) === true;
    return {
      ...this.#conversation.conversation,
      lines: last === null ? 0 : last.index + 1,
      refused: this.#refused,
      damaged: this.#damaged,
      lost: links ? this.#links.lost(links.lost) : [],
      emptied: this.#emptied,
      isCut: links?.lost === "parent unknown" && last?.row === null && !last.isEnded,
      hasHead: head === undefined || first !== null,
      isPart: first !== null && isPart?.(first) === true,
      isUncounted: isCounted && !(counter.name in (last?.row ?? {})),
    };
  }
}

/** Whether another row has had the id. @param parents of the rows so far */
export function isRepeated(parents: ReadonlyMap<string, string | null>, id: string, parent: string | null): boolean {
  return parents.has(id) && parents.get(id) !== parent;
}

/** Follows the links from rows to those before them, which may stand after them. */
class LinkReader {
  readonly #parents = new Map<string, string | null>();
  readonly #repeated: number[] = [];
  readonly #named: (readonly [line: number, parent: string])[] = [];

  add(line: number, row: JsonObject, isOfConversation: boolean): void {
    const [id, parent] = [textAt(row, "uuid"), textAt(row, "parentUuid")];
    const isOwn = id !== null && !isRepeated(this.#parents, id, parent);
    if (isOwn) this.#parents.set(id, parent);
    else if (isOfConversation) this.#repeated.push(line);
    if (isOfConversation && parent !== null) this.#named.push([line, parent]);
  }

  lost(after: NonNullable<ClientTranscripts["links"]>["lost"]): number[] {
    if (after === "uuid missing or repeated") return this.#repeated;
    return this.#named.filter(([, parent]) => !this.#parents.has(parent)).map(([line]) => line);
  }
}
