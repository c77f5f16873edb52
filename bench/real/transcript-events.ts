import type { HookClient } from "../../src/contract/clients.ts";
import { asObject, objectAt, parseObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";

/** Something that the client does: it writes rows into its transcript, and then reports an event. */
export interface Step {
  /** Rows of the transcript up to here. */
  readonly rows: number;
  readonly event: string;
  readonly fields: JsonObject;
}

export interface RecordedSession {
  readonly client: HookClient;
  readonly rows: readonly string[];
  readonly steps: readonly Step[];
}

/** Events that Claude Code or Codex fired while it wrote this transcript. Null: another client's, or no prompt. */
export function readSession(text: string): RecordedSession | null {
  const rows = text.split("\n").filter((row) => row.trim() !== "");
  const parsed = rows.map((row) => parseObject(row));
  const isCodex = parsed.some((row) => row?.["type"] === "session_meta");
  const log = new EventLog();
  for (const [index, row] of parsed.entries()) {
    log.rows = index + 1;
    if (row !== null) (isCodex ? readCodexRow : readClaudeRow)(log, row);
  }
  log.end();
  if (log.prompts === 0) return null;
  return { client: isCodex ? "codex" : "claude-code", rows, steps: log.steps };
}

/** Ends a turn before the next prompt, as a client does. */
class EventLog {
  readonly steps: Step[] = [{ rows: 0, event: "SessionStart", fields: { source: "startup" } }];
  readonly calls = new Map<string, JsonObject>();
  rows = 0;
  prompts = 0;
  #words = "";
  #isTurnOpen = false;

  add(event: string, fields: JsonObject): void {
    const prompt = this.prompts === 0 ? {} : { prompt_id: `prompt-${this.prompts}` };
    this.steps.push({ rows: this.rows, event, fields: { ...prompt, ...fields } });
  }

  prompt(text: string): void {
    this.stop();
    this.prompts += 1;
    this.add("UserPromptSubmit", { prompt: text });
    this.#isTurnOpen = true;
  }

  says(text: string): void {
    if (text !== "") this.#words = text;
  }

  call(id: string, name: string, input: unknown): void {
    const call = { tool_use_id: id, tool_name: name, tool_input: input };
    this.calls.set(id, call);
    this.add("PreToolUse", call);
  }

  result(id: string, response: unknown, error: string | null): void {
    const call = this.calls.get(id);
    if (call === undefined) return;
    if (error === null) this.add("PostToolUse", { ...call, tool_response: response });
    else this.add("PostToolUseFailure", { ...call, error });
  }

  stop(): void {
    if (this.#isTurnOpen) this.add("Stop", { last_assistant_message: this.#words });
    this.#isTurnOpen = false;
    this.#words = "";
  }

  end(): void {
    this.stop();
    this.add("SessionEnd", { reason: "other" });
  }
}

/** What the client itself writes as a user's message. */
const clientText =
  /^(?:<(?:command-|local-command|bash-|task-notification|system-reminder)|\[Request interrupted|Caveat:)/;

function readClaudeRow(log: EventLog, row: JsonObject): void {
  if (row["isSidechain"] === true) return;
  const content = objectAt(row, "message")?.["content"];
  if (row["subtype"] === "compact_boundary") log.add("PreCompact", { trigger: "auto" });
  if (row["type"] === "assistant") readClaudeAnswer(log, content);
  if (row["type"] === "user") readClaudeUser(log, row, content);
}

function readClaudeAnswer(log: EventLog, content: unknown): void {
  log.says(textOf(content));
  for (const block of blocksOf(content)) {
    if (block["type"] === "tool_use") log.call(textAt(block, "id") ?? "", textAt(block, "name") ?? "", block["input"]);
  }
}

function readClaudeUser(log: EventLog, row: JsonObject, content: unknown): void {
  for (const block of blocksOf(content).filter(({ type }) => type === "tool_result")) {
    const output = textOf(block["content"]);
    const error = block["is_error"] === true ? output : null;
    log.result(textAt(block, "tool_use_id") ?? "", row["toolUseResult"] ?? output, error);
  }
  const text = textOf(content);
  if (row["isCompactSummary"] === true) log.add("PostCompact", { trigger: "auto", compact_summary: text });
  else if (text !== "" && row["isMeta"] !== true && !clientText.test(text)) log.prompt(text);
}

type Reader = (log: EventLog, payload: JsonObject) => void;

const codexReaders: Readonly<Record<string, Reader>> = {
  user_message(log, payload) {
    const text = textAt(payload, "message") ?? "";
    if (text.trim() !== "") log.prompt(text);
  },
  agent_message: (log, payload) => log.says(textAt(payload, "message") ?? ""),
  task_complete: (log) => log.stop(),
  function_call: readCodexCall,
  custom_tool_call: readCodexCall,
  function_call_output: readCodexOutput,
  custom_tool_call_output: readCodexOutput,
};

function readCodexRow(log: EventLog, row: JsonObject): void {
  const payload = objectAt(row, "payload") ?? {};
  if (row["type"] === "compacted") {
    log.add("PreCompact", { trigger: "auto" });
    log.add("PostCompact", { trigger: "auto", compact_summary: textAt(payload, "message") ?? "" });
  }
  codexReaders[textAt(payload, "type") ?? ""]?.(log, payload);
}

function readCodexCall(log: EventLog, payload: JsonObject): void {
  const id = textAt(payload, "call_id") ?? "";
  const input = parseObject(textAt(payload, "arguments") ?? "") ?? { input: payload["input"] };
  const command = input["cmd"] ?? input["command"];
  if (command === undefined) log.call(id, textAt(payload, "name") ?? "", input);
  else log.call(id, "Bash", { command: Array.isArray(command) ? command.at(-1) : command });
}

function readCodexOutput(log: EventLog, payload: JsonObject): void {
  log.result(textAt(payload, "call_id") ?? "", payload["output"], null);
}

function blocksOf(content: unknown): JsonObject[] {
  return Array.isArray(content)
    ? content.map((block: unknown) => asObject(block)).filter((block) => block !== null)
    : [];
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content.trim();
  return blocksOf(content)
    .flatMap((block) => (block["type"] === "text" ? (textAt(block, "text") ?? []) : []))
    .join("\n")
    .trim();
}
