import { withClaudeTool, type ToolNames } from "../../clients/define-client.ts";
import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { userWords, withAttachments } from "../sessions/harness-text.ts";
import {
  addCall,
  addCompaction,
  addEnd,
  addFailure,
  type LineOrigin,
  type TranscriptDraft,
} from "./transcript-draft.ts";

type RowReader = (draft: TranscriptDraft, from: JsonObject, origin: LineOrigin) => void;

/** [TR201] Entries of Pi's session files. Commands and custom messages are no words of the user. */
const rows: ReadonlyMap<string, RowReader> = new Map<string, RowReader>([
  ["message", (draft, line, origin) => readMessage(draft, objectAt(line, "message"), origin)],
  [
    "compaction",
    (draft, line, { at }) => addCompaction(draft, { summary: textAt(line, "summary"), trigger: "unknown", at }),
  ],
]);

export function readPiLine(draft: TranscriptDraft, line: JsonObject, { at, uuid }: LineOrigin): void {
  rows.get(textAt(line, "type") ?? "")?.(draft, line, { at, uuid: textAt(line, "id", 100) ?? uuid });
}

const messages: ReadonlyMap<string, RowReader> = new Map<string, RowReader>([
  ["user", readUser],
  ["assistant", readAssistant],
  ["toolResult", readResult],
]);

function readMessage(draft: TranscriptDraft, message: JsonObject | null, origin: LineOrigin): void {
  if (message) messages.get(textAt(message, "role") ?? "")?.(draft, message, origin);
}

function readUser(draft: TranscriptDraft, message: JsonObject, origin: LineOrigin): void {
  const given = textOf(message).trim();
  const images = blocksOf(message, "image").map((block) => textAt(block, "mimeType", 100) ?? "image");
  const text = withAttachments(skillCommand(given) ?? userWords(given), images);
  if (text !== "") draft.texts.push({ role: "user", text, ...origin });
}

const skill = /^<skill name="([^"]{1,200})" location="/;
const skillEnd = "\n</skill>";

/** [TR203] Pi replaces the command of a skill by the skill's text. */
function skillCommand(text: string): string | null {
  const name = skill.exec(text)?.[1];
  const end = name === undefined ? -1 : text.indexOf(skillEnd);
  return end < 0 ? null : `/skill:${name} ${text.slice(end + skillEnd.length).trim()}`.trim();
}

const tools: ToolNames = new Map([
  ["bash", "Bash"],
  ["read", "Read"],
  ["edit", "Edit"],
  ["write", "Write"],
]);

function readAssistant(draft: TranscriptDraft, message: JsonObject, origin: LineOrigin): void {
  draft.model = wordAt(message, "model", 200) ?? draft.model;
  const text = textOf(message);
  if (text.trim() !== "") draft.texts.push({ role: "assistant", text, ...origin });
  for (const block of blocksOf(message, "toolCall")) addCallOf(draft, block, origin);
  const reason = message["stopReason"];
  draft.turnEnd = reason === "stop" && origin.at !== null ? { text, at: origin.at } : null;
  if (reason === "aborted") draft.interruptions.push({ at: origin.at });
  if (reason === "error") addFailure(draft, textAt(message, "errorMessage") ?? "error", origin);
}

function addCallOf(draft: TranscriptDraft, block: JsonObject, origin: LineOrigin): void {
  const id = textAt(block, "id", 200);
  const name = textAt(block, "name", 200);
  if (id === null || name === null) return;
  const call = withClaudeTool({ tool_name: name, tool_input: block["arguments"] }, tools);
  addCall(draft, {
    id,
    name: textAt(call, "tool_name") ?? name,
    input: block["arguments"],
    isUnhooked: true,
    ...origin,
  });
}

function readResult(draft: TranscriptDraft, message: JsonObject, { at }: LineOrigin): void {
  const toolUseId = textAt(message, "toolCallId", 200);
  if (toolUseId !== null) addEnd(draft, { toolUseId, error: message["isError"] === true ? textOf(message) : null, at });
}

function textOf(message: JsonObject): string {
  const texts = blocksOf(message, "text").map((block) => textAt(block, "text") ?? "");
  return textAt(message, "content") ?? texts.join("\n");
}

function blocksOf(message: JsonObject, type: string): JsonObject[] {
  return listAt(message, "content").flatMap((value) => {
    const block = asObject(value);
    return block?.["type"] === type ? [block] : [];
  });
}
