import type { HookClient } from "../../contract/clients.ts";
import { objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";

export interface TranscriptHead {
  readonly client: HookClient;
  readonly session: string;
  readonly cwd: string | null;
}

type Identify = (line: JsonObject) => Omit<TranscriptHead, "client"> | null;

/** Each reads the session from a line of its client, and null from any other line. */
const identifiers: Partial<Record<HookClient, Identify>> = {
  codex: (line) => (line["type"] === "session_meta" ? headOf(objectAt(line, "payload"), "id") : null),
  copilot(line) {
    const data = line["type"] === "session.start" ? objectAt(line, "data") : null;
    const head = headOf(data, "sessionId");
    return head && { ...head, cwd: textAt(objectAt(data, "context"), "cwd", 4_096) };
  },
  gemini: (line) => (textAt(line, "projectHash") === null ? null : headOf(line, "sessionId")),
  qwen: (line) => (Array.isArray(objectAt(line, "message")?.["parts"]) ? headOf(line, "sessionId") : null),
  "claude-code": (line) => (objectAt(line, "message")?.["content"] === undefined ? null : headOf(line, "sessionId")),
};

function headOf(holder: JsonObject | null, idKey: string): Omit<TranscriptHead, "client"> | null {
  const session = textAt(holder, idKey, 200);
  return session === null ? null : { session, cwd: textAt(holder, "cwd", 4_096) };
}

/** Lines before the first one that names the session (a summary, a title). */
const maxHeadLines = 50;

/** [PO4] Returns null where no line is of a client that SHIM knows. */
export function identifyTranscript(lines: Iterable<string>): TranscriptHead | null {
  let count = 0;
  for (const text of lines) {
    const line = parseObject(text);
    for (const [client, identify] of Object.entries(identifiers) as [HookClient, Identify][]) {
      const head = line && identify(line);
      if (head) return { client, ...head };
    }
    if (++count >= maxHeadLines) return null;
  }
  return null;
}
