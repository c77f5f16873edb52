import { objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { TranscriptClient } from "../signals/transcript-formats.ts";

export interface TranscriptHead {
  readonly client: TranscriptClient;
  readonly session: string;
  readonly cwd: string | null;
  /** Session whose subagent it is; null: none. */
  readonly parent: string | null;
}

type Head = Omit<TranscriptHead, "client">;
type Identify = (line: JsonObject) => Head | null;

/** Each reads the session from a line of its client, and null from any other line. */
const identifiers: readonly (readonly [TranscriptClient, Identify])[] = [
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
  ["pi", (line) => (line["type"] === "session" ? headOf(line, "id") : null)],
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
export function identifyTranscript(lines: Iterable<string>): TranscriptHead | null {
  let count = 0;
  for (const text of lines) {
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

export interface TranscriptDocument {
  readonly head: TranscriptHead;
  readonly messages: readonly unknown[];
}

/** A transcript that is one JSON document: `opencode export`, and Gemini CLI before its lines. */
export function readDocument(text: string): TranscriptDocument | null {
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
