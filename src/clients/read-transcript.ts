import { isUtf8 } from "node:buffer";
import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import type { HookClient } from "../contract/clients.ts";
import { budgetMs, interpret, OverBudgetError, repeatPartsWithinBudget } from "../platform/time-budget.ts";
import { textAt, parseObject, type JsonObject, asObject } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Driver } from "../store/driver.ts";
import type { ClientDetails } from "./adapter/client-details.ts";
import { askedInOrder, details, clientDetails } from "./details.ts";
import { ContentReader, readAppended, readRows, type ReadLimits } from "./transcript.ts";
import type { Damage, LineFormat, TranscriptContent } from "./transcript/transcript-draft.ts";
import {
  problemOf,
  readBytes,
  TranscriptBytes,
  idIn,
  type TranscriptDocument,
  type TranscriptHead,
} from "./transcript/transcript-file.ts";
import { documentIn, type TranscriptRow, type ContentRow } from "./transcript/transcript-rows.ts";

/** Rows whose ids decide: a fork begins with rows of the session that it was made of. */
const votingRows = 200;

interface IdentifiedRows extends TranscriptHead {
  /** The client's files begin with a row that names the session: it is not there. */
  readonly isHeadless: boolean;
}

/** Reads no further than it needs. Returns null where no row is of a client that SHIM knows. */
async function identifyRows(
  batches: AsyncIterable<Iterable<TranscriptRow>>,
  path: string,
): Promise<IdentifiedRows | null> {
  let other: TranscriptHead | null = null;
  let position = 0;
  const rows = eachOf(batches);
  for await (const row of rows) {
    // One with all messages in it is a document.
    const head = row && !("messages" in row) ? headIn(row) : null;
    if (head) {
      const session = byEachRow(head) ? await sessionBy(row, rows, path) : firstId(head, position, path);
      return { ...head, session: session ?? head.session, isHeadless: false };
    }
    if (row) other = betterOf(other, row, path);
    position += 1;
  }
  return other && { ...other, isHeadless: !byEachRow(other) };
}

async function* eachOf(batches: AsyncIterable<Iterable<TranscriptRow>>): AsyncGenerator<JsonObject | null, void> {
  for await (const rows of batches) for (const { row } of rows) yield row;
}

/** The own row is the first; that of a session which this one continues follows it. */
function firstId({ client }: TranscriptHead, position: number, path: string): string | null {
  return details[client].namedBy === "first row" && position > 0 ? idIn(path) : null;
}

/** The id in the file's name, where rows have it; else the one that most rows have. */
async function sessionBy(
  first: JsonObject | null,
  rest: AsyncIterator<JsonObject | null>,
  path: string,
): Promise<string | null> {
  const votes = new Map<string, number>();
  let row = first;
  for (let count = 0; count < votingRows; count += 1) {
    const id = textAt(row, "sessionId", 200);
    if (id !== null) votes.set(id, (votes.get(id) ?? 0) + 1);
    const next = await rest.next();
    if (next.done === true) break;
    row = next.value;
  }
  const named = idIn(path);
  if (named !== null && votes.has(named)) return named;
  return [...votes].toSorted(([, one], [, two]) => two - one)[0]?.[0] ?? null;
}

function byEachRow({ client }: TranscriptHead): boolean {
  return details[client].namedBy === "each row";
}

function headIn(row: JsonObject): TranscriptHead | null {
  for (const client of askedInOrder) {
    const head = details[client].headOf?.(row);
    if (head) return { client, ...head };
  }
  return null;
}

/** A later row may name the folder. */
function betterOf(known: TranscriptHead | null, row: JsonObject, path: string): TranscriptHead | null {
  if (known !== null && known.cwd !== null) return known;
  for (const client of askedInOrder) {
    const head = details[client].headOfFile?.(row, path);
    if (head) return known === null || head.cwd !== null ? { client, ...head } : known;
  }
  return known;
}

function identifyDocument(document: JsonObject): TranscriptDocument | null {
  for (const client of askedInOrder) {
    const found = details[client].documentOf?.(document);
    if (found) return found;
  }
  return null;
}

export interface WholeTranscript {
  readonly head: TranscriptHead;
  readonly content: TranscriptContent;
  /** Size of the file; 0: a database, which holds other sessions too. */
  readonly bytes: number;
}

type FormatOf = (head: TranscriptHead) => LineFormat;
const ownFormat: FormatOf = ({ client }) => details[client].readRow;

/**
 * Reads all of a file, also a last line without its end. Returns why that is impossible.
 *
 * @param formatOf makes a reader of a file's rows, which begins at the first one
 * @param session of a database; null: its only one
 */
export async function readTranscript(
  path: string,
  driver: Driver,
  formatOf = ownFormat,
  session: string | null = null,
): Promise<Result<WholeTranscript, string>> {
  for (const { readDatabase } of clientDetails) {
    const document = readDatabase?.(path, driver, session) ?? null;
    if (document)
      return document.ok
        ? ok({ ...readMessages(document.value, [], { formatOf, isDecoded: true }), bytes: 0 })
        : document;
  }
  try {
    const file = TranscriptBytes.open(path);
    const found = await contentOf(file, path, formatOf);
    return found.ok ? ok({ ...found.value, bytes: file.size }) : found;
  } catch (error) {
    return err(problemOf(error));
  }
}

export interface NewestSource {
  readonly client: HookClient;
  readonly path: string;
  readonly driver: Driver;
  /** Its id, for a database. */
  readonly session: string;
  /** For a file, of which a part may not be read. */
  readonly limits: ReadLimits;
}

/**
 * Reads the newest part of a transcript of a known client at once: the last rows of a file, or all
 * of a document or of a session of a database that is no longer.
 *
 * @param most bytes
 * @returns null: it cannot be read so
 */
export function readNewest(
  { client, path, driver, session, limits }: NewestSource,
  format: LineFormat,
  most: number,
): TranscriptContent | null {
  const formatOf = (): LineFormat => format;
  const stored = details[client].readDatabase?.(path, driver, session) ?? null;
  if (stored) return stored.ok ? readMessages(stored.value, [], { formatOf, isDecoded: true }).content : null;
  try {
    if (isDocument(path)) {
      const { bytes, size } = readBytes(path, most);
      return size > most ? null : (readDocument(bytes, false, formatOf)?.content ?? null);
    }
    const part = readAppended(path, 0, { maxBytes: most, ...limits, format });
    return part.unreadable === null && !part.isOverBudget ? part : null;
  } catch (error) {
    problemOf(error);
    return null;
  }
}

/** Its first line is no row. */
function isDocument(path: string): boolean {
  const [line = ""] = readBytes(path, headBytes).bytes.toString("utf8").split("\n");
  return line.length < headBytes && line.startsWith("{") && parseObject(line) === null;
}

/** A longer first line is taken for a row. */
const headBytes = 65_536;

type ReadContent = Omit<WholeTranscript, "bytes">;

async function contentOf(
  file: TranscriptBytes,
  path: string,
  formatOf: FormatOf,
): Promise<Result<ReadContent, string>> {
  const head = await identifyRows(file.rows(), path);
  if (head) return readFile(head, file, formatOf);
  const bytes = file.bytesRead > maxDocumentBytes ? null : await file.whole();
  const document =
    bytes && interpret(() => ({ read: readDocument(bytes, file.isCut, formatOf) }), { ms: budgetOf(bytes.length) });
  if (bytes && !document) return err(tooLongText);
  if (document?.read) return ok(document.read);
  if (file.bytesRead === 0) return err(file.isCut ? "it is compressed (zstd) and damaged" : "it is empty");
  const isZeros = bytes?.equals(Buffer.alloc(bytes.length)) === true;
  return err(isZeros ? "it holds nothing but zeros" : "no row of a client that SHIM knows can be read in it");
}

async function readFile(
  { isHeadless, ...head }: TranscriptHead & { readonly isHeadless: boolean },
  file: TranscriptBytes,
  formatOf: FormatOf,
): Promise<Result<ReadContent, string>> {
  const reader = await readAll(head, file, formatOf);
  if (reader === null) return err(tooLongText);
  const content = reader.content(true);
  const damages = [...content.damages];
  const isCounted = damages.some(({ at, position }) => at === null && position === 0);
  if (isHeadless && !isCounted) damages.unshift({ kind: "headless", at: null, position: 0, bytes: 0 });
  if (file.isCut) damages.push({ kind: "unended", at: reader.newest, position: reader.end, bytes: 0 });
  return ok({ head, content: { ...content, damages, isEndDamaged: file.isCut || content.isEndDamaged } });
}

const tooLongText = "it takes too long to read";

/** Time on the processor for so many bytes, in ms. */
function budgetOf(bytes: number): number {
  return Math.max(1, bytes / 1_048_576) * budgetMs;
}

/** Returns null if it takes too long. An interrupted reading has lost rows, so it begins again. */
async function readAll(head: TranscriptHead, file: TranscriptBytes, formatOf: FormatOf): Promise<ContentReader | null> {
  const { fold, sessions } = details[head.client];
  try {
    return await repeatPartsWithinBudget(async (bound) => {
      const reader = new ContentReader(formatOf(head), undefined, sessions);
      let spentMs = 0;
      for await (const rows of fold ? foldAll(file.rows(), fold) : file.rows()) {
        const before = process.cpuUsage();
        bound(() => reader.add(rows));
        const { user, system } = process.cpuUsage(before);
        spentMs += (user + system) / 1_000;
        if (spentMs > budgetOf(Math.max(file.size, file.bytesRead))) throw new OverBudgetError(spentMs);
      }
      return reader;
    });
  } catch (error) {
    if (error instanceof OverBudgetError) return null;
    throw error;
  }
}

type Fold = NonNullable<ClientDetails["fold"]>;

async function* foldAll(
  batches: AsyncIterable<Iterable<ContentRow>>,
  fold: Fold,
): AsyncGenerator<Iterable<ContentRow>, void> {
  const all: ContentRow[] = [];
  for await (const rows of batches) all.push(...rows);
  yield fold(all);
}

/** Beyond it V8 has no string for a document. */
const maxDocumentBytes = 256 * 1_048_576;

/** A transcript that is one JSON document. */
function readDocument(bytes: Buffer, isCut: boolean, formatOf: FormatOf): ReadContent | null {
  const { row, text, damage } = documentIn(bytes);
  if (!text.startsWith("{")) return null;
  const reading = { formatOf, isDecoded: damage !== "not_utf8" };
  if (row) return readMessagesOf(row, isCut ? [unended(bytes.length, 0)] : [], reading);
  // A document that is cut has its first messages. A text that is cut would show no mark of it.
  const errors: ParseError[] = [];
  const read = parse(text, errors) as unknown;
  const at = errors[0]?.offset ?? 0;
  const isCutInText = errors[0] && printParseErrorCode(errors[0].error) === "UnexpectedEndOfString";
  const part = asObject(isCutInText ? parse(text.slice(0, at)) : read);
  const position = Buffer.byteLength(text.slice(0, at));
  const end = unended(position, Math.max(1, bytes.length - position));
  return part && readMessagesOf(part, [end], { formatOf, isDecoded: isUtf8(bytes) });
}

function unended(position: number, bytes: number): Damage {
  return { kind: "unended", at: null, position, bytes };
}

interface DocumentReading {
  readonly formatOf: FormatOf;
  /** False: bytes that are no UTF-8 stand in it as other characters. */
  readonly isDecoded: boolean;
}

function readMessagesOf(
  document: JsonObject,
  damages: readonly Damage[],
  reading: DocumentReading,
): ReadContent | null {
  const identified = identifyDocument(document);
  return identified && readMessages(identified, damages, reading);
}

function readMessages(
  { head, messages }: TranscriptDocument,
  damages: readonly Damage[],
  { formatOf, isDecoded }: DocumentReading,
): ReadContent {
  const rows = messages.map((message, position): ContentRow => {
    const row = rowOf(message, head.client);
    if (row === null) return { row, damage: "foreign", position, bytes: 0 };
    const text = isDecoded ? "" : JSON.stringify(message);
    return { row, damage: text.includes("\u{FFFD}") ? "not_utf8" : null, position, bytes: Buffer.byteLength(text) };
  });
  const content = readRows(rows, undefined, formatOf(head));
  const until = content.texts.reduce<number | null>((newest, { at }) => at ?? newest, null);
  const found = damages.map((damage) => ({ ...damage, at: until }));
  const all = [...content.damages, ...found];
  // Such bytes stand beside the messages.
  if (!isDecoded && all.every(({ kind }) => kind !== "not_utf8"))
    all.unshift({ kind: "not_utf8", at: null, position: 0, bytes: 1 });
  return { head, content: { ...content, isEndDamaged: content.isEndDamaged || found.length > 0, damages: all } };
}

function rowOf(message: unknown, client: HookClient): JsonObject | null {
  const row = asObject(message);
  return row && (details[client].rowOf?.(row) ?? row);
}
