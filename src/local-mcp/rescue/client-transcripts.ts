import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { HookClient } from "../../contract/clients.ts";
import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";

/** Kind of a row in the conversation with the model. */
export type Row =
  | { readonly kind: "prompt" | "input" }
  /** `of`: rows of one response have the same; null: the response is known by what is around it. */
  | { readonly kind: "answer"; readonly of: string | null }
  | Refusal;

/** The model's API answered a request with an error. */
export interface Refusal {
  readonly kind: "refusal";
  /** Codes of the error, never its words: two refusals with the same one are the same refusal. */
  readonly structure: string;
  /** passing: the same request may succeed later, or with other settings. */
  readonly of: "content" | "size" | "passing";
  /** The client's words, for a person. */
  readonly text: string;
}

/**
 * How a client keeps a session in lines of JSON. Its behavior with a broken one was seen with the
 * version that its adapter names. In paths `*` is any text of a name without a slash, `{id}` the
 * session's id, `{id8}` its first eight characters.
 */
export interface ClientTranscripts {
  /** Folder below the user's home, and the variable that moves it. */
  readonly home: readonly [folder: string, variable?: string];
  /** Where the client finds the session by its id. */
  readonly files: string;
  /** Where it keeps sessions that it does not find by their id. */
  readonly archive?: string;
  rowOf(row: JsonObject): Row | null;
  /** The row says that what came before is in another file, which it names by positions. */
  readonly isPart?: (row: JsonObject) => boolean;
  /** Whether the client accepts the row; one that it does not accept makes the file unreadable. */
  readonly accepts?: (row: JsonObject) => boolean;
  /** Rows before one whose `parentUuid` no row before it has are not found. */
  readonly losesUnlinked?: true;
  /** A thought of the model, which an API may refuse and does not need. */
  readonly isThought?: (row: JsonObject) => boolean;
  /** Folder for sessions of a project, beside that of the file; null: the client has none yet. */
  readonly folderOf?: (file: string, project: string) => string | null;
  /** Sessions are found in the folder of that path alone, which has no links in it. */
  readonly isInFolder?: true;
}

/** Paths of a client that match; one without `*` is there or not. */
export function pathsOf(
  env: NodeJS.ProcessEnv,
  { home: [folder, variable] }: ClientTranscripts,
  pattern: string,
  id: string,
): string[] {
  const root = (variable && env[variable]) || join(env["HOME"] || homedir(), folder);
  const parts = pattern.replace("{id8}", id.slice(0, 8)).replace("{id}", id).split("/");
  return parts.reduce((found, part) => found.flatMap((path) => namesIn(path, part)), [root]);
}

function namesIn(folder: string, pattern: string): string[] {
  if (!pattern.includes("*")) return [join(folder, pattern)];
  const [start = "", end = ""] = pattern.split("*");
  try {
    const names = readdirSync(folder).filter((name) => name.startsWith(start) && name.endsWith(end));
    return names.map((name) => join(folder, name));
  } catch {
    return [];
  }
}

const dashed = (path: string): string => path.replaceAll(/[^a-zA-Z0-9]/g, "-");

function refusal(status: number | null, structure: readonly unknown[], text: string | null): Refusal {
  const of = status === 413 ? "size" : status === 400 || status === 422 ? "content" : "passing";
  const codes = [status, ...structure].filter((one) => typeof one === "string" || typeof one === "number");
  return { kind: "refusal", structure: codes.join(" "), of, text: text ?? "" };
}

function blocksOf(row: JsonObject): unknown[] {
  return listAt(objectAt(row, "message"), "content").map((block) => asObject(block)?.["type"]);
}

const claude: ClientTranscripts = {
  home: [".claude", "CLAUDE_CONFIG_DIR"],
  files: "projects/*/{id}.jsonl",
  folderOf: (file, project) => join(dirname(dirname(file)), dashed(project)),
  isThought: (row) => blocksOf(row).length > 0 && blocksOf(row).every((type) => String(type).endsWith("thinking")),
  rowOf(row) {
    const message = objectAt(row, "message");
    if (row["isSidechain"] === true || message === null) return null;
    if (row["type"] === "user")
      return { kind: blocksOf(row).includes("tool_result") || row["isMeta"] === true ? "input" : "prompt" };
    if (row["type"] !== "assistant") return null;
    if (row["isApiErrorMessage"] === true) {
      const text = textAt(asObject(listAt(message, "content")[0]), "text");
      const status = numberAt(row, "apiErrorStatus") ?? (row["error"] === "invalid_request" ? 400 : null);
      return refusal(status, [row["apiErrorType"], row["error"]], text);
    }
    return message["model"] === "<synthetic>" ? null : { kind: "answer", of: textAt(message, "id") };
  },
};

export const codexLock = "thread-writer-locks/{id}.lock";

const codex: ClientTranscripts = {
  home: [".codex", "CODEX_HOME"],
  files: "sessions/*/*/*/rollout-*-{id}.jsonl",
  archive: "archived_sessions/*-{id}.jsonl",
  isPart: (row) => objectAt(objectAt(row, "payload"), "history_base") !== null,
  isThought: (row) => row["type"] === "response_item" && textAt(objectAt(row, "payload"), "type") === "reasoning",
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
  if (type === "message" && payload?.["role"] !== "assistant") return { kind: "input" };
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

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const time = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/;
/** Rows of other kinds pass unread. */
const copilotKinds = /^(?:user|assistant|tool|session|system|hook)\./;
const copilotTexts: ReadonlySet<unknown> = new Set(["user.message", "assistant.message", "system.message"]);

const copilot: ClientTranscripts = {
  home: [".copilot", "COPILOT_HOME"],
  files: "session-state/{id}/events.jsonl",
  accepts(row) {
    if (!copilotKinds.test(textAt(row, "type") ?? "")) return true;
    const data = objectAt(row, "data");
    const isNamed = uuid.test(textAt(row, "id") ?? "") && time.test(textAt(row, "timestamp") ?? "");
    return data !== null && isNamed && (!copilotTexts.has(row["type"]) || typeof data["content"] === "string");
  },
  rowOf(row) {
    const data = objectAt(row, "data");
    if (data === null || textAt(row, "agentId") !== null) return null;
    if (row["type"] === "user.message") return { kind: "prompt" };
    if (row["type"] === "tool.execution_complete") return { kind: "input" };
    if (row["type"] === "assistant.message") return { kind: "answer", of: textAt(data, "messageId") };
    if (row["type"] !== "session.error") return null;
    return refusal(numberAt(data, "statusCode"), [data["errorType"]], textAt(data, "message"));
  },
};

const qwen: ClientTranscripts = {
  home: [".qwen"],
  files: "projects/*/chats/{id}.jsonl",
  folderOf: (file, project) => join(dirname(dirname(dirname(file))), dashed(project), "chats"),
  isInFolder: true,
  losesUnlinked: true,
  rowOf(row) {
    if (row["type"] === "tool_result") return { kind: "input" };
    if (row["type"] === "user" && objectAt(row, "message")) return { kind: "prompt" };
    if (row["type"] === "assistant" && objectAt(row, "message")) return { kind: "answer", of: null };
    const event = objectAt(objectAt(row, "systemPayload"), "uiEvent");
    if (event?.["event.name"] !== "qwen-code.api_error") return null;
    return refusal(numberAt(event, "status_code"), [event["error_type"]], textAt(event, "error_message"));
  },
};

/** Reads a message of a document of `opencode export`. */
export function openCodeRow(message: JsonObject): Row | null {
  const info = objectAt(message, "info");
  if (info?.["role"] === "user") return { kind: "prompt" };
  const error = objectAt(info, "error");
  if (error === null) return { kind: "answer", of: textAt(info, "id") };
  if (error["name"] === "MessageAbortedError") return null;
  const data = objectAt(error, "data");
  return refusal(numberAt(data, "statusCode"), [error["name"]], textAt(data, "message"));
}

function readObject(path: string): JsonObject | null {
  try {
    return parseObject(readFileSync(path, "utf8"));
  } catch {
    // Without it the client begins a new one.
    return null;
  }
}

/** Gemini CLI stores no refusal. */
const gemini: ClientTranscripts = {
  home: [".gemini"],
  files: "tmp/*/chats/*-{id8}.jsonl",
  isInFolder: true,
  folderOf(file, project) {
    const root = dirname(dirname(dirname(dirname(file))));
    const names = objectAt(readObject(join(root, "projects.json")), "projects");
    const name = textAt(names, project);
    return name && join(root, "tmp", name, "chats");
  },
  rowOf(row) {
    if (row["type"] === "user") return { kind: "prompt" };
    return row["type"] === "gemini" ? { kind: "answer", of: textAt(row, "id") } : null;
  },
};

const transcripts: Partial<Record<HookClient, ClientTranscripts>> = {
  "claude-code": claude,
  codex,
  copilot,
  qwen,
  gemini,
};

/** [RS3] Behind a cut last line the client writes its next row, and then finds none before it. */
export function losesAfterCut(client: string): boolean {
  return transcriptsOf(client)?.losesUnlinked === true;
}

/** @returns null for a client whose files SHIM does not know */
export function transcriptsOf(client: string): ClientTranscripts | null {
  return (transcripts as Readonly<Record<string, ClientTranscripts | undefined>>)[client] ?? null;
}
