import type { SessionProgram } from "../../../clients/adapter/client-details.ts";
import { effectsOf, type DamageEffects, type RowDamage } from "../../../clients/damage-effects.ts";
import type { SessionFiles, Refusal, Row } from "../../../clients/adapter/session-files.ts";
import { timeOf } from "../../../clients/transcript.ts";
import { CallsOfResults } from "../../../clients/transcript/call-ids.ts";
import { TranscriptBytes } from "../../../clients/transcript/transcript-file.ts";
import { documentIn, type ByteDamage, type TranscriptRow } from "../../../clients/transcript/transcript-rows.ts";
import { asObject, textAt, type JsonObject, listAt } from "../../../shared/json-fields.ts";
import { RowChain, unlinked, type ChainFacts, type RowPosition } from "../../../clients/transcript/row-chain.ts";

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
class ConversationReader {
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

/** Bytes that hold no row, or not as they were written. */
export interface FoundDamage extends Pick<TranscriptRow, "position" | "bytes" | "line"> {
  readonly kind: ByteDamage;
  /** Time of the newest row before it, in epoch ms; null: none has a time. */
  readonly after: number | null;
}

export interface RowFault {
  readonly line: number;
  /** Damage of the row; null: it lacks what its kind has. */
  readonly damage: RowDamage | null;
  /** Version of the client with which this was seen. */
  readonly version: string | null;
}

export interface TranscriptFacts extends Conversation, ChainFacts {
  readonly bytes: number;
  /** Bytes that were read, unpacked where the file is compressed. */
  readonly readBytes: number;
  /** Bytes of rows; what is neither theirs nor of a damage is blank. */
  readonly rowBytes: number;
  readonly damages: readonly FoundDamage[];
  /** A compressed file is cut, or damaged: what follows is missing. */
  readonly isUnended: boolean;
  /** Time of the newest row, in epoch ms; null: none has a time. */
  readonly newestAt: number | null;
  /** Lines that are not empty; all line numbers count these, from 1. */
  readonly lines: number;
  /** Lines that hold no row. */
  readonly unreadable: number;
  /** First row with which the client does not load the file; null: none. */
  readonly refused: RowFault | null;
  /** First row of the conversation that its client does not read; null: there is none. */
  readonly leftOut: RowFault | null;
  /** Session that a row names instead of the file's own; null: none. */
  readonly otherSession: string | null;
  /** The last line is cut, and what its client writes behind it becomes part of it. */
  readonly isCut: boolean;
  readonly isPart: boolean;
  /** The row is missing without which its client opens no file. */
  readonly isHeadless: boolean;
  /** Time of the first row that has one, in epoch ms; null: none has. */
  readonly oldestAt: number | null;
}

export interface ReadingClient {
  readonly name: string;
  readonly version: string | null;
  readonly files: SessionFiles;
  readonly session: string | null;
}

/** Parts that are damaged or missing: a missing row may have stood in a damaged part. */
export function lostParts({ damages, isUnended, unlinked }: TranscriptFacts): number {
  return Math.max(damages.length + (isUnended ? 1 : 0), unlinked?.count ?? 0);
}

/**
 * @param client `session`: by which it finds the file; `version`: of the one that wrote it
 * @throws a system error for a file that cannot be read
 */
export async function readSessionFacts(
  path: string,
  client: ReadingClient,
  onRow?: (one: TranscriptRow) => void,
): Promise<TranscriptFacts> {
  const file = TranscriptBytes.open(path);
  const reading = new Reading(client, file);
  const add = (one: TranscriptRow): void => {
    reading.add(one);
    onRow?.(one);
  };
  if (isDocument(path)) add(documentIn(await file.whole()));
  else for await (const rows of file.rows()) for (const one of rows) add(one);
  const { bytesRead: readBytes, isCut: isUnended } = file;
  return { ...reading.facts, bytes: file.size, readBytes, isUnended };
}

/** One JSON text, in as many lines as it may have. */
export function isDocument(path: string): boolean {
  return path.endsWith(".json");
}

/** Damage for which a client may not read the row as it was written. */
function damageOf({ row, text, damage, isAlone }: TranscriptRow): RowDamage | null {
  if (!isAlone) return "fused";
  if (damage === "not_utf8") return damage;
  return row !== null && text !== withWholeCharacters(text, row) ? "half_character" : null;
}

const halfCharacter = /\\u[dD][89a-fA-F]/;

function wellFormed(_name: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

/** The row without halves of characters, which some clients take for no JSON. */
export function withWholeCharacters(text: string, row: JsonObject): string {
  if (!halfCharacter.test(text)) return text;
  const written = JSON.stringify(row, wellFormed);
  return written === JSON.stringify(row) ? text : written;
}

/** Zeros at the end stop no client. */
function isCut({ isEnded, damage, row }: TranscriptRow): boolean {
  return !isEnded && damage !== "zeros" && row === null;
}

class Reading {
  readonly #client: SessionFiles;
  readonly #chain: RowChain;
  /** By the index of the row. */
  readonly #callsOfResults = new CallsOfResults<number>();
  #reader = new ConversationReader();
  readonly #version: string | null;
  readonly #effects: DamageEffects | null;
  readonly #session: string | null;
  #refused: RowFault | null = null;
  readonly #leftOut: { readonly fault: RowFault; readonly id: string | null }[] = [];
  /** Lines with rows that the client reads. */
  #readable = 0;
  #lastReadable = 0;
  #isPart = false;
  #last: TranscriptRow | null = null;
  #rowBytes = 0;
  #newestAt: number | null = null;
  #oldestAt: number | null = null;
  /** The first line is a row. */
  #isBegun = false;
  #hasHead = false;
  /** A row has named the session. */
  #isNamed = false;
  #otherSession: string | null = null;
  readonly #damages: FoundDamage[] = [];

  constructor({ name, version, files, session }: ReadingClient, file: TranscriptBytes | null) {
    this.#client = files;
    this.#chain = new RowChain(files.links ?? unlinked);
    [this.#version, this.#effects] = effectsOf(name, version) ?? [null, null];
    this.#session = session;
    if (file?.hasMark && this.#effects?.byte_order_mark === "refused") this.#refuse(1, "byte_order_mark");
  }

  add(one: TranscriptRow): void {
    const { line, row } = one;
    this.#last = one;
    this.#account(one);
    this.#findHead(one);
    if (row === null) return;
    this.#compareSession(line, row);
    if (this.#isUnread(one, row)) return;
    if (this.#lastReadable < line) this.#readable += 1;
    this.#lastReadable = line;
    if (line === 1) this.#isPart = this.#client.isPart?.(row) === true;
    const messages = this.#client.messagesIn?.(row) ?? null;
    if (messages === null) return this.addRow(row, { index: line - 1, position: one.position });
    this.#reader = new ConversationReader();
    for (const message of messages) this.#reader.add(line - 1, this.#client.rowOf(asObject(message) ?? {}));
  }

  #isUnread(one: TranscriptRow, row: JsonObject): boolean {
    const damage = damageOf(one);
    const effect = damage === null ? "read" : (this.#effects?.[damage] ?? "read");
    const isRefused = effect === "refused" || this.#client.accepts?.(row) === false;
    if (isRefused) this.#refuse(one.line, effect === "refused" ? damage : null);
    else if (effect !== "read") this.#leaveOut(one.line, damage, row);
    return isRefused || effect !== "read";
  }

  #findHead({ line, row, isAlone }: TranscriptRow): void {
    const { head } = this.#client;
    const isRow = row !== null && isAlone;
    if (line === 1) this.#isBegun = isRow;
    if (!head || !isRow || !this.#isBegun) return;
    if (line === 1 || head.isAnywhere) this.#hasHead ||= head.is(row);
  }

  #compareSession(line: number, row: JsonObject): void {
    const session = this.#client.sessionIn?.(row) ?? null;
    if (session === null || this.#session === null || (this.#isNamed && !this.#client.links)) return;
    this.#isNamed = true;
    if (session === this.#session) return;
    this.#otherSession ??= session;
    if (this.#effects?.other_session === "refused") this.#refuse(line, "other_session");
  }

  #refuse(line: number, damage: RowDamage | null): void {
    this.#refused ??= { line, damage, version: damage === null ? null : this.#version };
  }

  #account({ row, damage, position, bytes, line }: TranscriptRow): void {
    if (damage === null) this.#rowBytes += bytes;
    else this.#damages.push({ kind: damage, position, bytes, line, after: this.#newestAt });
    this.#newestAt = (row && timeOf(row)) ?? this.#newestAt;
    this.#oldestAt ??= this.#newestAt;
  }

  addRow(row: JsonObject, at: Pick<RowPosition, "index" | "position">): void {
    const { index } = at;
    const found = this.#client.rowOf(row);
    this.#reader.add(index, found);
    const turn = found === null || found.kind === "refusal" ? null : found.kind === "prompt" ? "prompt" : "other";
    this.#chain.add(row, { index: at.index, position: at.position, newest: this.#newestAt }, turn);
    const ids = this.#client.callsIn?.(row);
    if (ids) this.#callsOfResults.add(ids, index);
  }

  #withoutCalls(): ChainFacts["unlinked"] {
    const [first, ...others] = this.#isPart ? [] : this.#callsOfResults.missing;
    return first === undefined ? null : { count: 1 + others.length, line: first + 1 };
  }

  #leaveOut(line: number, damage: RowDamage | null, row: JsonObject): void {
    if (this.#client.rowOf(row) === null) return;
    this.#leftOut.push({ fault: { line, damage, version: this.#version }, id: textAt(row, "uuid") });
  }

  get facts(): Omit<TranscriptFacts, "bytes" | "readBytes" | "isUnended"> {
    const last = this.#last;
    const lines = last === null ? 0 : last.line;
    const chain = this.#chain.facts;
    return {
      ...this.#reader.conversation,
      ...chain,
      unlinked: chain.unlinked ?? this.#withoutCalls(),
      rowBytes: this.#rowBytes,
      damages: this.#damages,
      newestAt: this.#newestAt,
      lines,
      unreadable: lines - this.#readable,
      refused: this.#refused,
      leftOut: this.#leftOut.find(({ id }) => !this.#chain.has(id))?.fault ?? null,
      otherSession: this.#otherSession,
      isCut: this.#effects?.end === "cut_off" && last !== null && isCut(last),
      isPart: this.#isPart,
      isHeadless: this.#client.head !== undefined && !this.#hasHead && last !== null,
      oldestAt: this.#oldestAt,
    };
  }
}

export function factsOfDocument(document: JsonObject, program: SessionProgram): TranscriptFacts {
  const files: SessionFiles = { home: [""], files: [], rowOf: (row) => program.rowOf(row) };
  const reading = new Reading({ name: program.command, version: null, files, session: null }, null);
  const messages = listAt(document, "messages");
  for (const [at, message] of messages.entries()) reading.addRow(asObject(message) ?? {}, { index: at, position: 0 });
  return { ...reading.facts, lines: messages.length, bytes: 0, readBytes: 0, isUnended: false };
}
