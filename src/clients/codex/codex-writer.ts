import { join } from "node:path";
import { asObject, isRecord, listAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { rootOf } from "../adapter/session-files.ts";
import type { Call, Conversation, Item } from "../conversation/conversation.ts";
import { plainName, timesOf, type NewSession, type SessionWriter } from "../conversation/session-writer.ts";
import { codexSessions } from "./codex-sessions.ts";
import { codex } from "./codex.ts";

/** Tools of Codex, by Claude Code's names. */
const tools: ReadonlyMap<string, (input: JsonObject) => JsonObject> = new Map<
  string,
  (input: JsonObject) => JsonObject
>([
  ["Bash", ({ command }) => functionCall("exec_command", { cmd: command })],
  ["TodoWrite", (input) => functionCall("update_plan", { plan: planOf(input) })],
  ["AskUserQuestion", (input) => functionCall("request_user_input", input)],
  ["apply_patch", (input) => customCall("apply_patch", input)],
  ["exec", (input) => customCall("exec", input)],
  ["wait", (input) => functionCall("wait", input)],
  ["write_stdin", (input) => functionCall("write_stdin", input)],
]);

export const codexWriter: SessionWriter = {
  hasTool: (name) => tools.has(name) || name.startsWith("mcp__"),
  write(conversation, to) {
    const id = to.uuid();
    const begun = new Date(to.now).toISOString();
    const folder = join(rootOf(to.env, codexSessions), "sessions", ...begun.slice(0, 10).split("-"));
    const name = `rollout-${begun.slice(0, 19).replaceAll(":", "-")}-${id}.jsonl`;
    return { id, path: join(folder, name), rows: rowsOf(conversation, id, to) };
  },
};

function functionCall(name: string, input: unknown): JsonObject {
  return { type: "function_call", name: plainName(name, 64), arguments: JSON.stringify(input) };
}

function customCall(name: string, input: JsonObject): JsonObject {
  return { type: "custom_tool_call", name, input: textAt(input, "input") ?? JSON.stringify(input) };
}

function planOf(input: JsonObject): JsonObject[] {
  return listAt(input, "todos").map((todo) => {
    const { content, status } = asObject(todo) ?? {};
    return { step: content, status };
  });
}

type AddRow = (type: string, payload: JsonObject) => void;

/** Rows of two kinds: `response_item` is what the model gets, `event_msg` what Codex shows. */
function rowsOf({ items }: Conversation, id: string, to: NewSession): JsonObject[] {
  const rows: JsonObject[] = [];
  const timeOf = timesOf(items, to.now);
  let time = to.now;
  const add: AddRow = (type, payload) =>
    void rows.push({ timestamp: new Date(time).toISOString(), ordinal: rows.length, type, payload });
  const timestamp = new Date(to.now).toISOString();
  add("session_meta", {
    session_id: id,
    id,
    timestamp,
    cwd: to.cwd,
    originator: "codex_cli_rs",
    cli_version: codex.verifiedWith,
    source: "cli",
    thread_source: "user",
    ...(to.model === null ? {} : { model_provider: to.model.providerID }),
  });
  const types = new Map<string, string>();
  let turn: Turn | null = null;
  for (const [at, item] of items.entries()) {
    time = timeOf(item);
    if (item.kind === "prompt" || turn === null) {
      endTurn(add, turn, time);
      turn = beginTurn(add, to.uuid(), time);
    }
    const before = (): readonly Item[] => items.slice(0, at);
    addItem(add, item, { before, types });
    if (item.kind === "answer") turn.said = item.text;
  }
  endTurn(add, turn, time);
  return rows;
}

interface Turn {
  readonly id: string;
  said: string | null;
}

function beginTurn(add: AddRow, id: string, time: number): Turn {
  add("event_msg", { type: "task_started", turn_id: id, started_at: seconds(time), model_context_window: null });
  return { id, said: null };
}

function endTurn(add: AddRow, turn: Turn | null, time: number): void {
  if (!turn) return;
  const end = { type: "task_complete", turn_id: turn.id, last_agent_message: turn.said, completed_at: seconds(time) };
  add("event_msg", end);
}

function seconds(time: number): number {
  return Math.floor(time / 1_000);
}

interface Position {
  readonly before: () => readonly Item[];
  /** Types of the calls, by their ids. */
  readonly types: Map<string, string>;
}

function addItem(add: AddRow, item: Item, { before, types }: Position): void {
  if (item.kind === "prompt") {
    add("response_item", message("user", item.text));
    add("event_msg", { type: "user_message", message: item.text, images: [], local_images: [], text_elements: [] });
  } else if (item.kind === "answer") {
    add("event_msg", { type: "agent_message", message: item.text });
    add("response_item", message("assistant", item.text));
  } else if (item.kind === "summary") {
    add("compacted", { message: item.text, replacement_history: contextOf(before(), item.text) });
    add("event_msg", { type: "context_compacted" });
  } else if (item.kind === "result") {
    const output = { type: `${types.get(item.of) ?? ""}_output`, call_id: plainName(item.of, 64), output: item.text };
    add("response_item", output);
  } else {
    const call = callOf(item);
    types.set(item.id, textAt(call, "type") ?? "");
    add("response_item", { ...call, call_id: plainName(item.id, 64) });
  }
}

function message(role: "user" | "assistant", text: string): JsonObject {
  const type = role === "user" ? "input_text" : "output_text";
  return { type: "message", role, content: [{ type, text }] };
}

function callOf({ name, input }: Call): JsonObject {
  const given = isRecord(input) ? input : { input };
  return tools.get(name)?.(given) ?? functionCall(name, given);
}

/** Codex keeps the newest prompts beside a summary, of about so many characters. */
const keptChars = 60_000;

function contextOf(items: readonly Item[], summary: string): JsonObject[] {
  const since = items.slice(items.findLastIndex(({ kind }) => kind === "summary") + 1);
  let room = keptChars;
  const prompts: JsonObject[] = [];
  for (const item of since.toReversed()) {
    if (item.kind !== "prompt") continue;
    room -= item.text.length;
    if (room < 0) break;
    prompts.unshift(message("user", item.text));
  }
  return [...prompts, message("user", summary)];
}
