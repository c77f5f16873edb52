import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { HookClient } from "../../contract/clients.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";

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
 * version that its adapter names.
 */
export interface ClientTranscripts {
  /** The files in which the client finds the session by its id. */
  find(env: NodeJS.ProcessEnv, id: string): string[];
  /** The files that the client keeps and does not find by their id. */
  readonly archive?: (env: NodeJS.ProcessEnv, id: string) => string[];
  rowOf(row: JsonObject): Row | null;
  /** First row, without which the client loads nothing; absent: it needs none. */
  readonly head?: { is(row: JsonObject): boolean; made(from: HeadFacts): object };
  /** A byte order mark makes the file unreadable for it. */
  readonly refusesMark?: true;
  /** The row says that what came before is in another file, which it names by positions. */
  readonly isPart?: (row: JsonObject) => boolean;
  /** Whether the client accepts the row; one that it does not accept makes the file unreadable. */
  readonly accepts?: (row: JsonObject) => boolean;
  /** Names of its folders are paths of projects: a session is listed in its own project alone. */
  readonly folderOf?: (file: string, project: string) => string;
  /** Files beside the transcript that name the session. */
  readonly beside?: readonly string[];
}

export interface HeadFacts {
  readonly id: string;
  readonly cwd: string;
  readonly version: string;
  /** ISO 8601. */
  readonly at: string;
}

type Matches = (name: string) => boolean;
const any: Matches = () => true;
const named =
  (name: string): Matches =>
  (one) =>
    one === name;
const endsIn =
  (end: string): Matches =>
  (one) =>
    one.endsWith(end);

function matching(folder: string, [first, ...rest]: readonly Matches[]): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const found = names.filter((name) => first?.(name)).map((name) => join(folder, name));
  return rest.length === 0 ? found : found.flatMap((path) => matching(path, rest));
}

/** @param variable moves the folder */
function clientFolder(env: NodeJS.ProcessEnv, name: string, variable?: string): string {
  return (variable && env[variable]) || join(env["HOME"] || homedir(), name);
}

const codexHome = (env: NodeJS.ProcessEnv): string => clientFolder(env, ".codex", "CODEX_HOME");

export function codexLockFile(env: NodeJS.ProcessEnv, id: string): string {
  return join(codexHome(env), "thread-writer-locks", `${id}.lock`);
}

const dashed = (path: string): string => path.replaceAll(/[^a-zA-Z0-9]/g, "-");

function refusal(status: number | null, structure: readonly unknown[], text: string | null): Refusal {
  const of = status === 413 ? "size" : status === 400 || status === 422 ? "content" : "passing";
  const codes = [status, ...structure].filter((one) => typeof one === "string" || typeof one === "number");
  return { kind: "refusal", structure: codes.join(" "), of, text: text ?? "" };
}

function hasBlock(holder: JsonObject | null, type: string, key = "content"): boolean {
  return listAt(holder, key).some((block) => asObject(block)?.["type"] === type);
}

const claude: ClientTranscripts = {
  find: (env, id) =>
    matching(join(clientFolder(env, ".claude", "CLAUDE_CONFIG_DIR"), "projects"), [any, named(`${id}.jsonl`)]),
  folderOf: (file, project) => join(dirname(dirname(file)), dashed(project)),
  rowOf(row) {
    const message = objectAt(row, "message");
    if (row["isSidechain"] === true || message === null) return null;
    if (row["type"] === "user")
      return { kind: hasBlock(message, "tool_result") || row["isMeta"] === true ? "input" : "prompt" };
    if (row["type"] !== "assistant") return null;
    if (row["isApiErrorMessage"] === true) {
      const text = textAt(asObject(listAt(message, "content")[0]), "text");
      const status = numberAt(row, "apiErrorStatus") ?? (row["error"] === "invalid_request" ? 400 : null);
      return refusal(status, [row["apiErrorType"], row["error"]], text);
    }
    return message["model"] === "<synthetic>" ? null : { kind: "answer", of: textAt(message, "id") };
  },
};

const codex: ClientTranscripts = {
  find: (env, id) => matching(join(codexHome(env), "sessions"), [any, any, any, endsIn(`-${id}.jsonl`)]),
  archive: (env, id) => matching(join(codexHome(env), "archived_sessions"), [endsIn(`-${id}.jsonl`)]),
  refusesMark: true,
  isPart: (row) => objectAt(objectAt(row, "payload"), "history_base") !== null,
  head: {
    is: (row) => row["type"] === "session_meta",
    made: ({ id, cwd, version, at }) => ({
      timestamp: at,
      type: "session_meta",
      payload: { id, timestamp: at, cwd, originator: "codex_cli", cli_version: version },
    }),
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
/** Rows of other kinds pass unread. */
const copilotKinds = /^(?:user|assistant|tool|session|system|hook)\./;
const copilotTexts: ReadonlySet<unknown> = new Set(["user.message", "assistant.message"]);

const copilot: ClientTranscripts = {
  find: (env, id) =>
    matching(join(clientFolder(env, ".copilot", "COPILOT_HOME"), "session-state"), [named(id), named("events.jsonl")]),
  beside: ["workspace.yaml"],
  head: {
    is: (row) => row["type"] === "session.start",
    made: ({ id, cwd, version, at }) => ({
      type: "session.start",
      data: {
        sessionId: id,
        version: 1,
        producer: "copilot-agent",
        copilotVersion: version,
        startTime: at,
        context: { cwd },
      },
      id,
      timestamp: at,
      parentId: null,
    }),
  },
  accepts(row) {
    if (!copilotKinds.test(textAt(row, "type") ?? "")) return true;
    const data = objectAt(row, "data");
    return data !== null && uuid.test(textAt(row, "id") ?? "") && (!copilotTexts.has(row["type"]) || isText(data));
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

function isText(data: JsonObject): boolean {
  return typeof data["content"] === "string";
}

const qwen: ClientTranscripts = {
  find: (env, id) =>
    matching(join(clientFolder(env, ".qwen"), "projects"), [any, named("chats"), named(`${id}.jsonl`)]),
  folderOf: (file, project) => join(dirname(dirname(dirname(file))), dashed(project), "chats"),
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

/** Gemini CLI stores no refusal, and sets all its messages again with each start. */
const gemini: ClientTranscripts = {
  find: (env, id) =>
    matching(join(clientFolder(env, ".gemini"), "tmp"), [any, named("chats"), endsIn(`-${id.slice(0, 8)}.jsonl`)]),
  refusesMark: true,
  head: {
    is: (row) => textAt(row, "sessionId") !== null,
    made: ({ id, cwd, at }) => {
      const projectHash = createHash("sha256").update(cwd).digest("hex");
      return { sessionId: id, projectHash, startTime: at, lastUpdated: at, kind: "main" };
    },
  },
  rowOf: (row) => {
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

/** @returns null for a client whose files SHIM does not know */
export function transcriptsOf(client: string): ClientTranscripts | null {
  return (transcripts as Readonly<Record<string, ClientTranscripts | undefined>>)[client] ?? null;
}
