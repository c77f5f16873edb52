import { opencodeTools } from "../../clients/claude-compatible.ts";
import type { ToolNames } from "../../clients/define-client.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { userWords, withAttachments } from "../sessions/harness-text.ts";
import {
  addCall,
  addCompaction,
  addEnd,
  addFailure,
  type LineOrigin,
  type TranscriptDraft,
  type TranscriptToolCall,
} from "./transcript-draft.ts";

/** [TR201] Messages of `opencode export`, each with its parts; a live chat has no such file. */
export function readOpenCodeMessage(draft: TranscriptDraft, row: JsonObject, { uuid }: LineOrigin): void {
  const info = objectAt(row, "info");
  const origin = { at: numberAt(objectAt(info, "time"), "created"), uuid: textAt(info, "id", 100) ?? uuid };
  const parts = listAt(row, "parts")
    .map(asObject)
    .filter((part) => part !== null);
  if (info?.["role"] === "user") readUser(draft, parts, origin);
  if (info?.["role"] === "assistant") readAssistant(draft, info, parts, origin);
}

function readUser(draft: TranscriptDraft, parts: readonly JsonObject[], origin: LineOrigin): void {
  const compaction = parts.find(({ type }) => type === "compaction");
  if (compaction) {
    const trigger = compaction["auto"] === true ? "auto" : "manual";
    addCompaction(draft, { summary: null, trigger, at: origin.at });
  }
  const files = parts.filter(({ type }) => type === "file");
  const names = files.map((part) => textAt(part, "filename", 500) ?? textAt(part, "mime", 100) ?? "file");
  const text = withAttachments(userWords(textOf(parts)), names);
  if (text !== "") draft.texts.push({ role: "user", text, ...origin });
}

/** Synthetic parts are OpenCode's own: the content of a file, a request to go on. */
function textOf(parts: readonly JsonObject[]): string {
  const texts = parts.filter(({ type, synthetic, ignored }) => type === "text" && !synthetic && !ignored);
  return texts.map((part) => textAt(part, "text") ?? "").join("\n");
}

function readAssistant(
  draft: TranscriptDraft,
  info: JsonObject,
  parts: readonly JsonObject[],
  origin: LineOrigin,
): void {
  draft.model = wordAt(info, "modelID", 200) ?? draft.model;
  if (info["summary"] === true) return addSummary(draft, textOf(parts).trim(), origin);
  for (const part of parts) partReaders.get(textAt(part, "type") ?? "")?.(draft, part, origin);
  readOutcome(draft, info, parts, origin);
}

function readOutcome(draft: TranscriptDraft, info: JsonObject, parts: readonly JsonObject[], origin: LineOrigin): void {
  const endedAt = numberAt(objectAt(info, "time"), "completed");
  draft.turnEnd = info["finish"] === "stop" && endedAt !== null ? { text: textOf(parts), at: endedAt } : null;
  const error = objectAt(info, "error");
  if (error) readError(draft, error, { ...origin, at: endedAt ?? origin.at });
}

function addText(draft: TranscriptDraft, part: JsonObject, { at, uuid }: LineOrigin): void {
  const text = textOf([part]);
  const ownTime = numberAt(objectAt(part, "time"), "start") ?? at;
  if (text.trim() !== "") draft.texts.push({ role: "assistant", text, at: ownTime, uuid });
}

function addSummary(draft: TranscriptDraft, summary: string, { at }: LineOrigin): void {
  const begun = draft.compactions.at(-1)?.summary === null ? draft.compactions.pop() : undefined;
  addCompaction(draft, { summary, trigger: begun?.trigger ?? "unknown", at });
}

function readError(draft: TranscriptDraft, error: JsonObject, origin: LineOrigin): void {
  if (error["name"] === "MessageAbortedError") draft.interruptions.push({ at: origin.at });
  else addFailure(draft, textAt(objectAt(error, "data"), "message") ?? textAt(error, "name") ?? "error", origin);
}

const tools: ToolNames = new Map([...opencodeTools, ["question", "AskUserQuestion"]]);

function readTool(draft: TranscriptDraft, part: JsonObject, origin: LineOrigin): void {
  const id = textAt(part, "callID", 200);
  const tool = textAt(part, "tool", 200);
  const state = objectAt(part, "state");
  if (id === null || tool === null || state === null) return;
  const at = numberAt(objectAt(state, "time"), "start") ?? origin.at;
  const name = tools.get(tool) ?? tool;
  addCall(draft, { id, name, input: state["input"], at, uuid: origin.uuid, isUnhooked: true });
  readResult(draft, { id, name, at }, state);
}

type Call = Pick<TranscriptToolCall, "id" | "name" | "at">;

function readResult(draft: TranscriptDraft, { id, name, at }: Call, state: JsonObject): void {
  if (state["status"] !== "completed" && state["status"] !== "error") return;
  const response = name === "AskUserQuestion" ? { response: answersOf(state) } : {};
  const endedAt = numberAt(objectAt(state, "time"), "end") ?? at;
  addEnd(draft, { toolUseId: id, error: errorOf(state), at: endedAt, ...response });
}

const partReaders = new Map([
  ["text", addText],
  ["tool", readTool],
]);

/** A command that fails is a call that was completed. */
function errorOf(state: JsonObject): string | null {
  if (state["status"] === "error") return textAt(state, "error") ?? "failed";
  const code = numberAt(objectAt(state, "metadata"), "exit") ?? 0;
  return code === 0 ? null : `Exit code ${code} ${textAt(state, "output") ?? ""}`.trim();
}

/** The answers stand in the order of the questions. */
function answersOf(state: JsonObject): JsonObject {
  const given = listAt(objectAt(state, "metadata"), "answers");
  const questions = listAt(objectAt(state, "input"), "questions").map((one) => textAt(asObject(one), "question") ?? "");
  return { answers: Object.fromEntries(questions.map((question, index) => [question, given[index]])) };
}
