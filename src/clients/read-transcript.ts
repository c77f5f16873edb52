import { parse, type ParseError } from "jsonc-parser";
import type { HookClient } from "../contract/clients.ts";
import { budgetMs, interpret } from "../platform/time-budget.ts";
import { asObject, parseObject, type JsonObject } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Driver } from "../store/driver.ts";
import type { Damage, TranscriptContent } from "./transcript/transcript-draft.ts";
import { rowsIn, type TranscriptRow } from "./transcript/transcript-rows.ts";
import { clientDetails, details } from "./details.ts";
import { identifyDocument, identifyRows } from "./identify-transcript.ts";
import { readRows } from "./transcript.ts";
import type { TranscriptDocument, TranscriptHead } from "./transcript/transcript-head.ts";
import { readWholeFile } from "./transcript/transcript-bytes.ts";

interface WholeTranscript {
  readonly head: TranscriptHead;
  readonly content: TranscriptContent;
  /** Size of the file; 0: a database, which holds other sessions too. */
  readonly bytes: number;
}

/** Reads all of a file, also a last line without its end. Returns why that is impossible. */
export function readTranscript(path: string, driver: Driver): Result<WholeTranscript, string> {
  for (const { readDatabase } of clientDetails) {
    const document = readDatabase?.(path, driver) ?? null;
    if (document) return document.ok ? ok({ ...readMessages(document.value, []), bytes: 0 }) : document;
  }
  const file = readWholeFile(path);
  if (!file.ok) return file;
  const { bytes, size, isCut } = file.value;
  const megabytes = Math.max(1, bytes.length / 1_048_576);
  const found = interpret(() => contentOf(bytes, path), megabytes * budgetMs);
  if (found === null) return err("it takes too long to read");
  if (!found.ok) return found;
  const { head, content } = found.value;
  const last = { at: content.damages.at(-1)?.at ?? null, position: bytes.length, bytes: 0 };
  const damages = isCut ? [...content.damages, last] : content.damages;
  return ok({ head, content: { ...content, damages, isEndDamaged: isCut || content.isEndDamaged }, bytes: size });
}

type ReadContent = Omit<WholeTranscript, "bytes">;

function contentOf(bytes: Buffer, path: string): Result<ReadContent, string> {
  const head = identifyRows(rowsIn(bytes), path);
  if (head) return ok(readFile(head, bytes));
  const document = readDocument(bytes);
  return document ? ok(document) : err("it is not a transcript of a client that SHIM knows");
}

function readFile(
  { isHeadless, ...head }: TranscriptHead & { readonly isHeadless: boolean },
  bytes: Buffer,
): ReadContent {
  const { fold = (rows) => rows, readRow } = details[head.client];
  const content = readRows(fold(rowsIn(bytes)), undefined, readRow, true);
  const beginning = { at: null, position: 0, bytes: 0 };
  const isCounted = content.damages.some(({ at, position }) => at === null && position === 0);
  const damages = isHeadless && !isCounted ? [beginning, ...content.damages] : content.damages;
  return { head, content: { ...content, damages } };
}

/** Beyond it V8 has no string for a document. */
const maxDocumentBytes = 256 * 1_048_576;

/** A transcript that is one JSON document. */
function readDocument(bytes: Buffer): ReadContent | null {
  if (bytes.length > maxDocumentBytes) return null;
  const text = bytes.toString("utf8").replace(/\0+$/, "").trim();
  if (!text.startsWith("{")) return null;
  const whole = parseObject(text);
  if (whole) return readMessagesOf(whole, []);
  // A document that is cut has its first messages.
  const errors: ParseError[] = [];
  const part = asObject(parse(text, errors));
  const at = errors[0]?.offset ?? 0;
  const position = Buffer.byteLength(text.slice(0, at));
  return part && readMessagesOf(part, [{ at: null, position, bytes: Math.max(1, bytes.length - position) }]);
}

function readMessagesOf(document: JsonObject, damages: readonly Damage[]): ReadContent | null {
  const identified = identifyDocument(document);
  return identified && readMessages(identified, damages);
}

function readMessages({ head, messages }: TranscriptDocument, damages: readonly Damage[]): ReadContent {
  const rows = messages.map((message, position): TranscriptRow => ({
    row: rowOf(message, head.client),
    position,
    bytes: 0,
  }));
  const content = readRows(rows, undefined, details[head.client].readRow);
  const until = content.texts.reduce<number | null>((newest, { at }) => at ?? newest, null);
  const found = damages.map((damage) => ({ ...damage, at: until }));
  const isEndDamaged = content.isEndDamaged || found.length > 0;
  return { head, content: { ...content, isEndDamaged, damages: [...content.damages, ...found] } };
}

function rowOf(message: unknown, client: HookClient): JsonObject | null {
  const row = asObject(message);
  return row && (details[client].rowOf?.(row) ?? row);
}
