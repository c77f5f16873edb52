import type { HookClient } from "../../contract/clients.ts";
import { codeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { asObject, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { budgetMs, interpret } from "../../platform/time-budget.ts";
import type { TranscriptContent } from "../signals/transcript-draft.ts";
import { transcriptFormat } from "../signals/transcript-formats.ts";
import { readLines, readRows, linesOf, openTranscript } from "../signals/transcript.ts";

interface WholeTranscript {
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
  const head = identifyTranscript(linesOf(bytes, 0, bytes.length, 0));
  if (head)
    return { head, content: readLines(linesOf(bytes, 0, bytes.length, 0), undefined, transcriptFormat(head.client)) };
  const document = bytes.length > maxDocumentBytes ? null : readDocument(bytes.toString("utf8"));
  if (!document) return { head: null, content: readLines([]) };
  const rows = document.messages.map((message, position) => ({ row: asObject(message), position }));
  return { head: document.head, content: readRows(rows, undefined, transcriptFormat(document.head.client)) };
}

export interface TranscriptHead {
  readonly client: HookClient;
  readonly session: string;
  readonly cwd: string | null;
  /** Session whose subagent it is; null: none. */
  readonly parent: string | null;
}

type Head = Omit<TranscriptHead, "client">;
type Identify = (line: JsonObject) => Head | null;

/** Each reads the session from a line of its client, and null from any other line. */
const identifiers: readonly (readonly [HookClient, Identify])[] = [
  ["codex", (line) => (line["type"] === "session_meta" ? codexHeadOf(objectAt(line, "payload")) : null)],
  [
    "copilot",
    (line) => {
      const data = line["type"] === "session.start" ? objectAt(line, "data") : null;
      const head = headOf(data, "sessionId");
      return head && { ...head, cwd: textAt(objectAt(data, "context"), "cwd", 4_096) };
    },
  ],
  ["gemini", (line) => (textAt(line, "projectHash") === null ? null : headOf(line, "sessionId"))],
  ["qwen", (line) => (Array.isArray(objectAt(line, "message")?.["parts"]) ? headOf(line, "sessionId") : null)],
  ["claude-code", (line) => (objectAt(line, "message")?.["content"] === undefined ? null : headOf(line, "sessionId"))],
];

function headOf(holder: JsonObject | null, idKey: string): Head | null {
  const session = textAt(holder, idKey, 200);
  return session === null ? null : { session, cwd: textAt(holder, "cwd", 4_096), parent: null };
}

function codexHeadOf(payload: JsonObject | null): Head | null {
  const head = headOf(payload, "id");
  const spawned = objectAt(objectAt(objectAt(payload, "source"), "subagent"), "thread_spawn");
  return head && { ...head, parent: textAt(spawned, "parent_thread_id", 200) };
}

/** Lines before the first one that names the session (a summary, a title). */
const maxHeadLines = 50;

/** [PO4] Returns null where no line is of a client that SHIM knows. */
function identifyTranscript(lines: Iterable<{ readonly text: string }>): TranscriptHead | null {
  let count = 0;
  for (const { text } of lines) {
    const line = parseObject(text);
    // One with all messages in it is a document.
    if (line && !("messages" in line)) {
      for (const [client, identify] of identifiers) {
        const head = identify(line);
        if (head) return { client, ...head };
      }
    }
    if (++count >= maxHeadLines) return null;
  }
  return null;
}

interface TranscriptDocument {
  readonly head: TranscriptHead;
  readonly messages: readonly unknown[];
}

/** A transcript that is one JSON document: `opencode export`, and Gemini CLI before its lines. */
function readDocument(text: string): TranscriptDocument | null {
  const document = parseObject(text);
  const messages = document?.["messages"];
  if (!document || !Array.isArray(messages)) return null;
  const info = objectAt(document, "info");
  const opencode = headOf(info, "id");
  if (opencode) {
    const [cwd, parent] = [textAt(info, "directory", 4_096), textAt(info, "parentID", 200)];
    const head = { client: "opencode" as const, ...opencode, cwd, parent };
    return { head, messages };
  }
  const gemini = textAt(document, "projectHash") === null ? null : headOf(document, "sessionId");
  return gemini && { head: { client: "gemini", ...gemini }, messages };
}
