import { codeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { asObject } from "../../shared/json-fields.ts";
import { budgetMs, interpret } from "../../platform/time-budget.ts";
import type { TranscriptContent } from "../signals/transcript-draft.ts";
import { transcriptFormat } from "../signals/transcript-formats.ts";
import { readLines, readRows, linesOf, openTranscript } from "../signals/transcript.ts";
import { identifyTranscript, readDocument, type TranscriptHead } from "./transcript-client.ts";

export interface WholeTranscript {
  readonly head: TranscriptHead;
  readonly content: TranscriptContent;
  readonly bytes: number;
}

/** Reads all of a file, also a last line without its end. Returns why that is impossible. */
export function readTranscript(path: string): Result<WholeTranscript, string> {
  const read = readBytes(path);
  if (!read.ok) return read;
  const bytes = read.value;
  const megabytes = Math.max(1, bytes.length / 1_048_576);
  const found = interpret(() => contentOf(bytes), megabytes * budgetMs);
  if (found === null) return err("it takes too long to read");
  return found.head ? ok({ ...found, head: found.head, bytes: bytes.length }) : err(unknownClient);
}

const unknownClient = "it is not a transcript of a client that SHIM knows";

function readBytes(path: string): Result<Buffer, string> {
  let file = null;
  try {
    file = openTranscript(path);
    const bytes = Buffer.alloc(file.size());
    return ok(bytes.subarray(0, file.read(bytes, 0)));
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return err(`it cannot be read (${code})`);
  } finally {
    file?.close();
  }
}

/** Beyond it V8 has no string for a document. */
const maxDocumentBytes = 256 * 1_048_576;

function contentOf(bytes: Buffer): { readonly head: TranscriptHead | null; readonly content: TranscriptContent } {
  const head = identifyTranscript(textsOf(bytes));
  if (head)
    return { head, content: readLines(linesOf(bytes, 0, bytes.length, 0), undefined, transcriptFormat(head.client)) };
  const document = bytes.length > maxDocumentBytes ? null : readDocument(bytes.toString("utf8"));
  if (!document) return { head: null, content: readLines([]) };
  const rows = document.messages.map((message, position) => ({ row: asObject(message), position }));
  return { head: document.head, content: readRows(rows, undefined, transcriptFormat(document.head.client)) };
}

function* textsOf(bytes: Buffer): Generator<string> {
  for (const { text } of linesOf(bytes, 0, bytes.length, 0)) yield text;
}
