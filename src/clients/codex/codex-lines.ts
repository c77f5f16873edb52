import { codex } from "./codex.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../../redaction/bounded-text.ts";
import { callRows, endItem } from "./codex-calls.ts";
import { userWords, withAttachments } from "../adapter/harness-text.ts";
import {
  addCompaction,
  addFailure,
  addCounts,
  limitWindows,
  withdrawTexts,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
} from "../transcript/transcript-draft.ts";

/**
 * Rows of Codex's rollouts by `type` and the type of the payload. 0.118 to 0.147
 * write messages as events; since 0.169 `item_completed` has them once, with the ids that hooks
 * report. `response_item/message` repeats both, between texts of the client.
 */
const rows: ReadonlyMap<string, LineFormat> = new Map<string, LineFormat>([
  ...callRows,
  ["turn_context", (draft, payload) => void (draft.model = wordAt(payload, "model", 200) ?? draft.model)],
  ["session_meta", readMeta],
  ["token_usage_record", readUsage],
  // Newer summaries are encrypted.
  ["compacted", (draft, payload, { at }) => compacts(draft, textAt(payload, "message"), at)],
  ["event_msg/user_message", readUserMessage],
  ["event_msg/agent_message", readMessage],
  [
    "event_msg/item_completed",
    (draft, payload, origin) => {
      const item = objectAt(payload, "item");
      if (item) items.get(textAt(item, "type") ?? "")?.(draft, item, origin);
    },
  ],
  [
    "event_msg/token_count",
    (draft, payload) => {
      draft.contextWindow = numberAt(objectAt(payload, "info"), "model_context_window");
      const windows = limitWindows(objectAt(payload, "rate_limits"), ["primary", "secondary"], "used_percent");
      if (windows.length > 0) draft.limitWindows = windows;
    },
  ],
  ["event_msg/task_complete", readEnd],
  ["event_msg/turn_aborted", (draft, _payload, { at }) => void draft.interruptions.push({ at })],
  ["event_msg/thread_rolled_back", readRollback],
]);

export function readCodexLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const payload = objectAt(line, "payload");
  const type = textAt(line, "type") ?? "";
  const row = rows.get(type) ?? rows.get(`${type}/${textAt(payload, "type") ?? ""}`);
  if (payload) row?.(draft, payload, origin);
}

/** A session that continues another one repeats that one's row after its own. */
function readMeta(draft: TranscriptDraft, payload: JsonObject): void {
  draft.clientVersion ??= wordAt(payload, "cli_version", 40);
  const git = objectAt(payload, "git");
  const commit = textAt(git, "commit_hash", 64) ?? "";
  if (/^[0-9a-f]{40,64}$/.test(commit)) draft.git ??= { branch: wordAt(git, "branch", 200), commit };
}

function readUserMessage(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const images = listAt(payload, "images").map(() => "image");
  const files = listAt(payload, "local_images").filter((path) => typeof path === "string");
  asks(draft, textAt(payload, "message") ?? "", [...images, ...files], origin);
}

/** An automation of the desktop app writes in the user's place. */
const automation = /^<heartbeat\b/;

function asks(draft: TranscriptDraft, message: string, attached: readonly string[], origin: LineOrigin): void {
  const text = withAttachments(userWords(message), attached);
  if (text === "" || automation.test(text) || isRepeated(draft, text, origin)) return;
  draft.texts.push({ role: "user", text, ...origin });
  if (approval.test(text)) draft.plans.push({ text: draft.proposedPlan, ...origin });
  draft.proposedPlan = null;
}

/** The client's own words for a plan that the user approves. */
const approval = /^(?:Implement the plan\.$|PLEASE IMPLEMENT THIS PLAN:)/;

/** Rows that follow each other tell of the same event. */
const sameEventMs = 1_000;

function isRepeated({ texts }: TranscriptDraft, text: string, { at }: LineOrigin): boolean {
  const last = texts.at(-1);
  const isSame = last?.role === "user" && last.text === text;
  return isSame && Math.abs((at ?? 0) - (last.at ?? 0)) < sameEventMs;
}

/** Nothing follows a final answer in its turn, whose end is written later. */
function readMessage(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const text = textAt(payload, "message");
  says(draft, text, origin);
  if (text !== null && payload["phase"] === "final_answer") draft.turnEnd = { text, at: origin.at };
}

function says(draft: TranscriptDraft, text: string | null, origin: LineOrigin): void {
  if (text === null || text.trim() === "") return;
  draft.texts.push({ role: "assistant", text, ...origin });
  draft.turnEnd = null;
}

const items: ReadonlyMap<string, LineFormat> = new Map<string, LineFormat>([
  ["UserMessage", (draft, item, origin) => asks(draft, textOf(item), imagesOf(item), origin)],
  ["AgentMessage", (draft, item, origin) => says(draft, textOf(item), origin)],
  [
    "Plan",
    (draft, item, origin) => {
      draft.proposedPlan = textAt(item, "text");
      says(draft, draft.proposedPlan, origin);
    },
  ],
  ["CommandExecution", endItem],
  ["McpToolCall", endItem],
  ["FileChange", endItem],
  // `compacted` has more, and a live read may begin between the two.
  ["ContextCompaction", (draft, _item, { at }) => compacts(draft, null, at)],
]);

function textOf(item: JsonObject): string {
  const parts = listAt(item, "content").map((part) => textAt(asObject(part), "text") ?? "");
  return parts.filter((part) => part !== "").join("\n");
}

function imagesOf(item: JsonObject): string[] {
  const types = listAt(item, "content").map((part) => textAt(asObject(part), "type") ?? "");
  return types.filter((type) => /image/i.test(type)).map(() => "image");
}

function compacts(draft: TranscriptDraft, summary: string | null, at: number | null): void {
  const last = draft.compactions.at(-1);
  const isSame = last !== undefined && Math.abs((at ?? 0) - (last.at ?? 0)) < sameEventMs;
  if (isSame) draft.compactions.pop();
  addCompaction(draft, { summary: summary ?? (isSame ? last.summary : null), trigger: "unknown", at });
}

function readRollback(draft: TranscriptDraft, payload: JsonObject): void {
  for (let count = numberAt(payload, "num_turns", 1_000) ?? 0; count > 0; count -= 1)
    withdrawTexts(draft, ({ role }) => role === "user");
}

/** A turn that an error of the API ends has no other trace. */
function readEnd(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const error = objectAt(payload, "error");
  if (error) return addFailure(draft, textAt(error, "message") ?? "error", origin, codex.limitIn?.(error));
  const text = textAt(payload, "last_agent_message") ?? "";
  draft.turnEnd = { text, at: origin.at };
}

function readUsage(draft: TranscriptDraft, payload: JsonObject, { at }: LineOrigin): void {
  const messageId = textAt(payload, "response_id", 200);
  if (messageId === null) return;
  const fields = { input: "input_tokens", cached: "cached_input_tokens", written: "cache_write_input_tokens" };
  const answer = { messageId, model: draft.model, at };
  addCounts(draft, objectAt(payload, "usage"), { ...fields, output: ["output_tokens"] }, answer);
}
