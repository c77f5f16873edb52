import { basename, join } from "node:path";
import { asObject, numberAt, objectAt, textAt, type JsonObject, isRecord, listAt } from "../../shared/json-fields.ts";
import {
  pathsBelow,
  readText,
  refusal,
  type Refusal,
  type Row,
  type SessionFiles,
  rootOf,
  type SeenFile,
  type StoreHabits,
  type UnlistedFile,
} from "../adapter/session-files.ts";
import {
  type Call,
  type Conversation,
  type Item,
  type ClientModel,
  plainName,
  timesOf,
  type NewSession,
  type SessionWriter,
} from "../conversation/conversation.ts";
import { codex } from "./codex.ts";
import { isOfExec } from "./codex-lines.ts";

/** Codex searches so many lines for the first prompt, as seen with 0.169.0. */
const searchedLines = 400;

function unlistedBy({ firstPromptLine }: SeenFile): UnlistedFile | null {
  if (firstPromptLine === null || firstPromptLine <= searchedLines) return null;
  const line = `its first prompt stands in its line ${firstPromptLine}`;
  return { state: "invisible", text: `Codex may not list it (${line}) until \`codex exec resume\` has opened it once` };
}

/** Seen with 0.169.0, which deletes no session by itself. */
const codexStore: StoreHabits = {
  isNamedById: true,
  hides(row) {
    if (row["type"] !== "session_meta") return null;
    const meta = objectAt(row, "payload");
    if (isOfExec(meta))
      return {
        why: "`codex exec` has written it",
        shownBy: () => "`codex resume --include-non-interactive` lists it",
      };
    const isSubagent = objectAt(meta, "source")?.["subagent"] !== undefined;
    return isSubagent
      ? { why: "it is of a sub-agent", shownBy: () => "the chat that started it has its results" }
      : null;
  },
  unlisted: unlistedBy,
  // The name of a file has the time of its first row.
  threads: (file) =>
    pathsBelow(join(file, "../../../.."), ["*/*/*/rollout-*.jsonl"], "")
      .filter((path) => basename(path) > basename(file))
      .toSorted(),
  prompts: {
    file: "history.jsonl",
    mayHaveUnsent: true,
    promptIn(row) {
      const [session, seconds] = [textAt(row, "session_id", 100), numberAt(row, "ts")];
      return session === null || seconds === null ? null : { session, at: seconds * 1_000 };
    },
  },
};

export const codexSessions: SessionFiles = {
  home: [".codex", "CODEX_HOME"],
  files: ["sessions/*/*/*/rollout-*-{id}.jsonl", "sessions/*/*/*/rollout-*-{id}.jsonl.zst"],
  archive: ["archived_sessions/*-{id}.jsonl", "archived_sessions/*-{id}.jsonl.zst"],
  locks: ["thread-writer-locks/{id}.lock"],
  unarchive: (id) => ({ command: "codex", args: ["unarchive", id] }),
  isOneById: true,
  sessionIn: (row) => (row["type"] === "session_meta" ? textAt(objectAt(row, "payload"), "id", 200) : null),
  head: {
    is: (row) => row["type"] === "session_meta",
    make(id, cwd, at) {
      const timestamp = new Date(at).toISOString();
      // Codex takes no such row without these fields.
      const payload = { id, timestamp, cwd, originator: "codex_cli_rs", cli_version: "0.0.0", source: "cli" };
      return { timestamp, type: "session_meta", payload };
    },
  },
  store: codexStore,
  isPart: (row) => objectAt(objectAt(row, "payload"), "history_base") !== null,
  isThought: (row) => row["type"] === "response_item" && textAt(objectAt(row, "payload"), "type") === "reasoning",
  callsIn(row) {
    const payload = row["type"] === "response_item" ? objectAt(row, "payload") : null;
    const [type, id] = [textAt(payload, "type") ?? "", textAt(payload, "call_id", 200)];
    const ids = id === null ? [] : [id];
    return { calls: type.endsWith("_call") ? ids : [], results: type.endsWith("_output") ? ids : [] };
  },
  rowOf(row) {
    const payload = objectAt(row, "payload");
    if (row["type"] === "compacted") return { kind: "input" };
    if (row["type"] === "response_item") return codexItem(payload);
    return row["type"] === "event_msg" ? codexEvent(payload) : null;
  },
};

function codexItem(payload: JsonObject | null): Row | null {
  const type = textAt(payload, "type") ?? "";
  if (type.endsWith("_output")) return { kind: "input" };
  if (type === "message" && payload?.["role"] !== "assistant") return { kind: "message" };
  const isAnswer = type === "message" || type === "reasoning" || type.endsWith("_call");
  return isAnswer ? { kind: "answer", of: null } : null;
}

function codexEvent(payload: JsonObject | null): Row | null {
  const type = textAt(payload, "type") ?? "";
  // Since 0.169 a message is an item.
  const item = type === "item_completed" ? objectAt(payload, "item") : null;
  if (type === "user_message" || item?.["type"] === "UserMessage") return { kind: "prompt" };
  if (type === "error") return codexRefusal(payload);
  const error = type === "task_complete" ? objectAt(payload, "error") : null;
  return error && codexRefusal(error);
}

/** Codex names the kind of an error; "other" is an answer of the API that it has no name for. */
function codexRefusal(error: JsonObject | null): Refusal {
  const info = error?.["codex_error_info"] ?? "other";
  const name = typeof info === "string" ? info : (Object.keys(asObject(info) ?? {})[0] ?? "other");
  const status = { other: 400, bad_request: 400, context_window_exceeded: 413 }[name] ?? null;
  return { ...refusal(status, [], textAt(error, "message")), structure: name };
}

const usual = "openai";

/** Codex's screen opens no session whose provider its settings do not have. */
export function codexModel(env: NodeJS.ProcessEnv): ClientModel {
  const settings = readText(join(rootOf(env, codexSessions), "config.toml")) ?? "";
  const own = tableIn(settings, null);
  const profile = valueIn(own, "profile");
  const chosen = profile === null ? "" : tableIn(settings, profile);
  const value = (key: string): string | null => valueIn(chosen, key) ?? valueIn(own, key);
  return { providerID: value("model_provider") ?? usual, modelID: value("model") };
}

/** Lines of a profile's table; null: those before the first table. */
function tableIn(settings: string, profile: string | null): string {
  const tables = settings.split(/^(?=[ \t]*\[)/m);
  if (profile === null) return tables[0]?.trimStart().startsWith("[") === true ? "" : (tables[0] ?? "");
  const headings = [`[profiles.${profile}]`, `[profiles."${profile}"]`];
  return tables.find((table) => headings.some((heading) => table.trimStart().startsWith(heading))) ?? "";
}

function valueIn(table: string, key: string): string | null {
  for (const line of table.split("\n")) {
    const [, name, value] = /^\s*(\w+)\s*=\s*["']([^"']*)["']/.exec(line) ?? [];
    if (name === key) return value ?? null;
  }
  return null;
}

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
