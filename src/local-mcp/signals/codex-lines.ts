import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import type { LineOrigin, TranscriptDraft } from "./transcript-lines.ts";

/**
 * [CA32] Reads Codex's rollout files (seen with 0.169.0). An item is there several times: an event
 * `item_completed` has it once, with the ids that hooks report, also where the model's tools are
 * functions of a program.
 */
export function readCodexLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const payload = objectAt(line, "payload");
  const type = textAt(payload, "type");
  if (line["type"] === "response_item") readCall(draft, payload, origin);
  else if (line["type"] === "turn_context") draft.model = wordAt(payload, "model", 200);
  else if (line["type"] === "token_usage_record") readUsage(draft, payload, origin);
  else if (type === "item_completed") readItem(draft, objectAt(payload, "item"), origin);
  else if (type === "token_count") draft.contextWindow = numberAt(objectAt(payload, "info"), "model_context_window");
  else if (type === "task_complete") readEnd(draft, objectAt(payload, "error"), origin);
}

type ItemReader = (draft: TranscriptDraft, item: JsonObject, origin: LineOrigin) => void;

const items: Readonly<Record<string, ItemReader>> = {
  UserMessage: (draft, item, origin) => addText(draft, "user", item, origin),
  AgentMessage: (draft, item, origin) => addText(draft, "assistant", item, origin),
  CommandExecution: (draft, item, origin) => {
    const code = numberAt(item, "exit_code");
    addEnd(
      draft,
      item,
      origin,
      code === null || code === 0 ? null : `Exit code ${code} ${textAt(item, "aggregated_output") ?? ""}`.trim(),
    );
  },
  McpToolCall: addFailable,
  FileChange: addFailable,
  ContextCompaction: (draft, _item, { at }) => {
    draft.contextUsage = null;
    draft.compactBoundary = { at };
  },
};

function readItem(draft: TranscriptDraft, item: JsonObject | null, origin: LineOrigin): void {
  const type = textAt(item, "type") ?? "";
  if (item && type in items) items[type]?.(draft, item, origin);
}

function addText(draft: TranscriptDraft, role: "user" | "assistant", item: JsonObject, origin: LineOrigin): void {
  const parts = listAt(item, "content").map((part) => textAt(asObject(part), "text") ?? "");
  const text = parts.filter((part) => part !== "").join("\n");
  if (text !== "") draft.texts.push({ role, text, ...origin });
}

function addFailable(draft: TranscriptDraft, item: JsonObject, origin: LineOrigin): void {
  addEnd(
    draft,
    item,
    origin,
    item["status"] === "failed" ? (textAt(objectAt(item, "error"), "message") ?? "failed") : null,
  );
}

function addEnd(draft: TranscriptDraft, item: JsonObject, { at }: LineOrigin, error: string | null): void {
  const toolUseId = textAt(item, "id", 200);
  if (toolUseId !== null) draft.toolEnds.push({ toolUseId, error, at });
}

/** Those that a program calls are reported by hooks alone, under ids of their own. */
function readCall(draft: TranscriptDraft, payload: JsonObject | null, origin: LineOrigin): void {
  const id = textAt(payload, "call_id", 200);
  const name = textAt(payload, "name", 200);
  if (payload?.["type"] !== "function_call" || id === null || name === null) return;
  const input = parseObject(textAt(payload, "arguments") ?? "");
  const server = textAt(payload, "namespace", 200);
  if (name === "exec_command")
    draft.toolCalls.push({ id, name: "Bash", input: { command: input?.["cmd"] }, ...origin });
  else if (server !== null) draft.toolCalls.push({ id, name: `${server}__${name}`, input, ...origin });
}

/** A turn that an error of the API ends has no other trace. */
function readEnd(draft: TranscriptDraft, error: JsonObject | null, origin: LineOrigin): void {
  if (!error) return;
  draft.apiErrors.push({ text: textAt(error, "message") ?? "error", ...origin });
  draft.outcomes.push({ at: origin.at, isFailed: true });
}

function readUsage(draft: TranscriptDraft, payload: JsonObject | null, { at }: LineOrigin): void {
  const counts = objectAt(payload, "usage");
  const messageId = textAt(payload, "response_id", 200);
  if (!counts || messageId === null) return;
  const cached = numberAt(counts, "cached_input_tokens") ?? 0;
  const usage = {
    messageId,
    requestId: null,
    model: draft.model,
    // Codex counts what was cached as input too.
    inputTokens: Math.max(0, (numberAt(counts, "input_tokens") ?? 0) - cached),
    cacheReadTokens: cached,
    cacheCreationTokens: numberAt(counts, "cache_write_input_tokens") ?? 0,
    outputTokens: numberAt(counts, "output_tokens") ?? 0,
    at,
  };
  draft.outcomes.push({ at, isFailed: false });
  draft.usage.set(messageId, usage);
  draft.contextUsage = usage;
}
