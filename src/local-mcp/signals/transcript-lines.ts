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

/** Pure. The format is the client's own and changes; what is unknown is skipped. */

export interface TranscriptText {
  readonly role: "user" | "assistant";
  readonly text: string;
  /** Epoch ms; null: the line has no time. */
  readonly at: number | null;
  /** Line's own id, else `@` and its position in the file. */
  readonly uuid: string;
}

export interface TranscriptToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  readonly at: number | null;
  readonly uuid: string;
}

export interface TranscriptToolEnd {
  readonly toolUseId: string;
  readonly error: string | null;
  readonly at: number | null;
}

/** Last words of a turn that the model itself ended. */
export interface TranscriptTurnEnd {
  readonly text: string;
  readonly at: number;
}

/** Answer of the client instead of the model: a limit reached, a prompt too long. */
export interface TranscriptApiError {
  readonly text: string;
  readonly at: number | null;
  readonly uuid: string;
}

export interface Usage {
  readonly messageId: string;
  readonly requestId: string | null;
  readonly model: string | null;
  readonly inputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheCreationTokens: number;
  readonly outputTokens: number;
  readonly at: number | null;
}

export interface TranscriptContent {
  readonly texts: readonly TranscriptText[];
  readonly toolCalls: readonly TranscriptToolCall[];
  readonly toolEnds: readonly TranscriptToolEnd[];
  readonly apiErrors: readonly TranscriptApiError[];
  /** Null if no turn ended, or the model has answered again since. */
  readonly turnEnd: TranscriptTurnEnd | null;
  /** Tries and answers of the main chat, in order; `at` is null for a line without a time. */
  readonly outcomes: readonly { readonly at: number | null; readonly isFailed: boolean }[];
  /** One per message id: the client repeats a response, and the last line is complete. */
  readonly usage: readonly Usage[];
  readonly subagentUsage: readonly Usage[];
  /** Null after a compaction until the next response. */
  readonly contextUsage: Usage | null;
  readonly compactBoundary: { readonly at: number | null } | null;
  /** Tokens that the context holds, as the client says; null: it does not. */
  readonly contextWindow: number | null;
  /** Version in the newest line that has one. */
  readonly clientVersion: string | null;
  readonly invalidLines: number;
}

export interface TranscriptLine {
  readonly text: string;
  readonly position: number;
}

export interface LineOrigin {
  readonly at: number | null;
  readonly uuid: string;
}

export interface TranscriptDraft {
  texts: TranscriptText[];
  toolCalls: TranscriptToolCall[];
  toolEnds: TranscriptToolEnd[];
  apiErrors: TranscriptApiError[];
  turnEnd: TranscriptTurnEnd | null;
  outcomes: { at: number | null; isFailed: boolean }[];
  usage: Map<string, Usage>;
  subagentUsage: Map<string, Usage>;
  contextUsage: Usage | null;
  compactBoundary: TranscriptContent["compactBoundary"];
  contextWindow: number | null;
  /** Model of the responses that follow, where a line of its own says it. */
  model: string | null;
  clientVersion: string | null;
  invalidLines: number;
}

/** Adds what one line of a client's transcript says. */
export type LineFormat = (draft: TranscriptDraft, line: JsonObject, origin: LineOrigin) => void;

export function readLines(
  lines: Iterable<TranscriptLine>,
  isExcluded: (at: number, cwd: string | null) => boolean = () => false,
  format: LineFormat = readClaudeLine,
): TranscriptContent {
  const draft: TranscriptDraft = {
    texts: [],
    toolCalls: [],
    toolEnds: [],
    apiErrors: [],
    turnEnd: null,
    outcomes: [],
    usage: new Map(),
    subagentUsage: new Map(),
    contextUsage: null,
    compactBoundary: null,
    contextWindow: null,
    model: null,
    clientVersion: null,
    invalidLines: 0,
  };
  let newest: number | null = null;
  for (const line of lines) {
    if (line.text.trim() === "") continue;
    const object = parseObject(line.text);
    if (!object) {
      draft.invalidLines += 1;
      continue;
    }
    const origin = originOf(object, line.position);
    newest = origin.at ?? newest;
    if (newest !== null && isExcluded(newest, textAt(object, "cwd", 4_096))) continue;
    format(draft, object, origin);
  }
  return { ...draft, usage: [...draft.usage.values()], subagentUsage: [...draft.subagentUsage.values()] };
}

function originOf(line: JsonObject, position: number): LineOrigin {
  const at = Date.parse(textAt(line, "timestamp", 40) ?? "");
  return { at: Number.isNaN(at) ? null : at, uuid: textAt(line, "uuid", 100) ?? `@${position}` };
}

function readClaudeLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  draft.clientVersion = wordAt(line, "version", 40) ?? draft.clientVersion;
  if (line["isSidechain"] === true) return readSidechain(draft, line, origin);
  readSubagentLine(draft, line, origin);
}

/** A line of the transcript that a sub-agent has of its own: there it is the main chat. */
export function readSubagentLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const message = objectAt(line, "message");
  if (line["type"] === "user") readUser(draft, line, message, origin);
  else if (line["type"] === "assistant") readAssistant(draft, line, message, origin);
  else if (line["type"] === "system") readSystem(draft, line, origin);
}

function readSystem(draft: TranscriptDraft, line: JsonObject, { at }: LineOrigin): void {
  if (line["subtype"] === "compact_boundary") {
    draft.contextUsage = null;
    draft.compactBoundary = { at };
  }
  // A failed try that is repeated; the last one is an answer of the client.
  if (line["subtype"] === "api_error") draft.outcomes.push({ at, isFailed: true });
}

function readUser(draft: TranscriptDraft, line: JsonObject, message: JsonObject | null, origin: LineOrigin): void {
  for (const block of listAt(message, "content")) readToolResult(draft, asObject(block), origin);
  const text = textOf(message);
  const isClients = line["isCompactSummary"] === true || line["isMeta"] === true;
  if (text !== "" && !isClients) draft.texts.push({ role: "user", text, ...origin });
}

function readToolResult(draft: TranscriptDraft, result: JsonObject | null, origin: LineOrigin): void {
  if (result?.["type"] !== "tool_result") return;
  const toolUseId = textAt(result, "tool_use_id", 200);
  const error = result["is_error"] === true ? textOf(result) : null;
  if (toolUseId !== null) draft.toolEnds.push({ toolUseId, error, at: origin.at });
}

function readAssistant(draft: TranscriptDraft, line: JsonObject, message: JsonObject | null, origin: LineOrigin): void {
  const text = textOf(message);
  if (line["isApiErrorMessage"] === true) {
    draft.apiErrors.push({ text, ...origin });
    draft.outcomes.push({ at: origin.at, isFailed: true });
    return;
  }
  if (message?.["model"] === "<synthetic>") return;
  if (text !== "") draft.texts.push({ role: "assistant", text, ...origin });
  draft.turnEnd = origin.at !== null && message?.["stop_reason"] === "end_turn" ? { text, at: origin.at } : null;
  for (const block of listAt(message, "content")) readToolUse(draft, asObject(block), origin);
  readUsage(draft, line, message, origin);
}

function readToolUse(draft: TranscriptDraft, block: JsonObject | null, origin: LineOrigin): void {
  const id = textAt(block, "id", 200);
  const name = textAt(block, "name", 200);
  if (block?.["type"] !== "tool_use" || id === null || name === null) return;
  draft.toolCalls.push({ id, name, input: block["input"] ?? null, ...origin });
}

function readSidechain(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const message = objectAt(line, "message");
  const usage = line["type"] === "assistant" ? usageIn(line, message, origin) : null;
  if (usage && usage.model !== "<synthetic>") draft.subagentUsage.set(usage.messageId, usage);
}

function readUsage(draft: TranscriptDraft, line: JsonObject, message: JsonObject | null, origin: LineOrigin): void {
  const usage = usageIn(line, message, origin);
  if (usage) addUsage(draft, usage);
}

/** An answer of the model in the main chat. */
export function addUsage(draft: TranscriptDraft, usage: Usage): void {
  draft.outcomes.push({ at: usage.at, isFailed: false });
  // Deleted first, so that the map's order is the order of the last lines.
  draft.usage.delete(usage.messageId);
  draft.usage.set(usage.messageId, usage);
  draft.contextUsage = usage;
}

function usageIn(line: JsonObject, message: JsonObject | null, origin: LineOrigin): Usage | null {
  const counts = objectAt(message, "usage");
  const messageId = textAt(message, "id", 200);
  if (!counts || messageId === null) return null;
  return {
    messageId,
    requestId: textAt(line, "requestId", 200),
    model: wordAt(message, "model", 200),
    inputTokens: numberAt(counts, "input_tokens") ?? 0,
    cacheReadTokens: numberAt(counts, "cache_read_input_tokens") ?? 0,
    cacheCreationTokens: numberAt(counts, "cache_creation_input_tokens") ?? 0,
    outputTokens: numberAt(counts, "output_tokens") ?? 0,
    at: origin.at,
  };
}

function textOf(holder: JsonObject | null): string {
  const plain = textAt(holder, "content");
  if (plain !== null) return plain;
  return listAt(holder, "content")
    .map(asObject)
    .filter((block) => block?.["type"] === "text")
    .map((block) => textAt(block, "text") ?? "")
    .join("\n");
}
