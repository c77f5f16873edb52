/** Lines as Claude Code 2.1.328 writes them into a transcript, with the fields that matter and some that do not. */

export const T0 = 1_700_000_000_000;

type Fields = Record<string, unknown>;

let count = 0;

function line(type: string, fields: Fields, overrides: Fields): string {
  count += 1;
  const uuid = `00000000-0000-4000-8000-${String(count).padStart(12, "0")}`;
  const own = { parentUuid: null, isSidechain: false, type, uuid, timestamp: new Date(T0).toISOString() };
  const about = { cwd: "/home/ann/app", sessionId: "5f0e0e5e-0000-4000-8000-000000000001", version: "2.1.328" };
  return JSON.stringify({ ...own, ...about, ...fields, ...overrides });
}

export function aUserLine(text: string, overrides: Fields = {}): string {
  return line("user", { message: { role: "user", content: text }, userType: "external" }, overrides);
}

const about = { id: "msg_1", type: "message", role: "assistant", model: "claude-opus-5-5" };
const message = {
  ...about,
  content: [{ type: "text", text: "Done." }] as readonly Fields[],
  stop_reason: "end_turn" as string | null,
  usage: { input_tokens: 10, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 5 } as Fields,
};

export function anAssistantLine(changes: Partial<typeof message> = {}, overrides: Fields = {}): string {
  return line("assistant", { message: { ...message, ...changes }, requestId: "req_1" }, overrides);
}

export const aToolUse = (id: string, name: string, input: unknown): Fields => ({ type: "tool_use", id, name, input });

export function aToolResultLine(id: string, content: unknown, isError: boolean, overrides: Fields = {}): string {
  const result = { type: "tool_result", tool_use_id: id, content, ...(isError ? { is_error: true } : {}) };
  return line("user", { message: { role: "user", content: [result] }, toolUseResult: content }, overrides);
}

export function aCompactBoundary(preTokens: number): string {
  const about = { subtype: "compact_boundary", content: "Conversation compacted", isMeta: false, level: "info" };
  return line("system", { ...about, compactMetadata: { trigger: "auto", preTokens } }, {});
}

export function anApiErrorLine(text: string, overrides: Fields = {}): string {
  const usage = { input_tokens: 0, output_tokens: 0 };
  const failed = { id: "msg_error", model: "<synthetic>", content: [{ type: "text", text }], usage };
  return anAssistantLine(failed, { isApiErrorMessage: true, ...overrides });
}

/** A failed try that Claude Code repeats, as of 2.1.328. */
export function aRetryLine(retryAttempt: number, overrides: Fields = {}): string {
  const error = { message: "529 overloaded", status: 529, formatted: "529 overloaded", connection: null };
  const about = { subtype: "api_error", level: "error", error, retryInMs: 538, retryAttempt, maxRetries: 10 };
  return line("system", { ...about, source: "request_retry" }, overrides);
}

export const aTranscript = (...lines: readonly string[]): string => lines.map((text) => `${text}\n`).join("");
