import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { millisecond, settings } from "../adapter/client-form.ts";
import { headNamedBy, headOf, type SessionHead } from "../transcript/transcript-head.ts";
import { foldGemini } from "./gemini-file.ts";
import { geminiContents } from "./gemini-contents.ts";
import { readGeminiLine } from "./gemini-lines.ts";
import { geminiRun } from "./gemini-run.ts";
import { geminiSessions } from "./gemini-sessions.ts";

const messageTypes: ReadonlySet<unknown> = new Set(["user", "gemini"]);

function headOfFirst(row: JsonObject): SessionHead | null {
  const folderHash = textAt(row, "projectHash", 200);
  const head = folderHash === null ? null : headOf(row, "sessionId");
  return head && { ...head, folderHash };
}

export const geminiDetails: ClientDetails = {
  readRow: readGeminiLine,
  contentsOf: geminiContents,
  headOf: headOfFirst,
  headOfFile: (row, path) =>
    messageTypes.has(row["type"]) && "content" in row && "id" in row ? headNamedBy(path, null) : null,
  fold: foldGemini,
  documentOf(document) {
    const head = headOfFirst(document);
    const messages = document["messages"];
    return head && Array.isArray(messages) ? { head: { client: "gemini", ...head }, messages } : null;
  },
  runOutput: geminiRun,
  sessions: geminiSessions,
  form: {
    ...settings("gemini", ".gemini/settings.json", millisecond),
    reads: ["comments"],
    // Prompts of a server are no commands there (google-gemini/gemini-cli#21077).
    commands: ".gemini/commands/shim.toml",
  },
};
