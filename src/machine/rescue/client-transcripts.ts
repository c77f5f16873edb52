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
import { commandIn, userWords } from "../../clients/adapter/harness-text.ts";
import type { LinkRules } from "./row-chain.ts";

/**
 * Kind of a row in the conversation with the model. message: words of the user that a prompt's row
 * repeats.
 */
export type Row =
  | { readonly kind: "prompt" | "message" | "input" }
  /** `of`: rows of one response have the same; null: the response is known by what is around it. */
  | { readonly kind: "answer"; readonly of: string | null }
  | Refusal;

/** The model's API answered a request with an error. */
export interface Refusal {
  readonly kind: "refusal";
  /** Codes of the error, never its words. */
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
  readonly files: readonly string[];
  /** Where it keeps sessions that it does not find by their id. */
  readonly archive?: readonly string[];
  rowOf(row: JsonObject): Row | null;
  /** Messages of a row that holds all of them so far; null: it is one itself. */
  readonly messagesIn?: (row: JsonObject) => readonly unknown[] | null;
  /** The row says that what came before is in another file, which it names by positions. */
  readonly isPart?: (row: JsonObject) => boolean;
  /** Whether the client accepts the row; one that it does not accept makes the file unreadable. */
  readonly accepts?: (row: JsonObject) => boolean;
  /** Rows are found by the `parentUuid` of the one after them. */
  readonly links?: LinkRules;
  /** [RS3] Behind a cut last line the client writes its next row, and then finds none before it. */
  readonly losesAfterCut?: true;
  /** A thought of the model, which an API may refuse and does not need. */
  readonly isThought?: (row: JsonObject) => boolean;
  /** Folder for sessions of a project, beside that of the file; null: the client has none yet. */
  readonly folderOf?: (file: string, project: string) => string | null;
  /** Sessions are found in the folder of that path alone, which has no links in it. */
  readonly isInFolder?: true;
}

export function rootOf(env: NodeJS.ProcessEnv, { home: [folder, variable] }: ClientTranscripts): string {
  return (variable && env[variable]) || join(env["HOME"] || homedir(), folder);
}

/** Paths of a client that match; one without `*` is there or not. */
export function pathsOf(
  env: NodeJS.ProcessEnv,
  client: ClientTranscripts,
  patterns: readonly string[],
  id: string,
): string[] {
  return patterns.flatMap((pattern) => {
    const parts = pattern.replace("{id8}", id.slice(0, 8)).replace("{id}", id).split("/");
    return parts.reduce((found, part) => found.flatMap((path) => namesIn(path, part)), [rootOf(env, client)]);
  });
}

function namesIn(folder: string, pattern: string): string[] {
  if (!pattern.includes("*")) return [join(folder, pattern)];
  const [start = "", ...others] = pattern.split("*");
  try {
    const names = readdirSync(folder).filter((name) => name.startsWith(start) && matches(name, start.length, others));
    return names.map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** The text between two `*` is at its first place, the one behind the last `*` at the end. */
function matches(name: string, from: number, [next = "", ...others]: readonly string[]): boolean {
  if (others.length === 0) return name.length >= from + next.length && name.endsWith(next);
  const at = name.indexOf(next, from);
  return at >= 0 && matches(name, at + next.length, others);
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

/** Rows of type user also hold results of calls, notices and the client's own summary. */
function isOfUser(row: JsonObject, message: JsonObject): boolean {
  if (row["isMeta"] === true || row["isCompactSummary"] === true) return false;
  const blocks = blocksOf(row);
  if (blocks.includes("tool_result")) return false;
  const texts = listAt(message, "content").map((block) => textAt(asObject(block), "text") ?? "");
  const text = (textAt(message, "content") ?? texts.join("\n")).trim();
  return (commandIn(text)?.text ?? userWords(text)) !== "" || blocks.includes("image");
}

const claudeLinks: ReadonlySet<unknown> = new Set(["user", "assistant", "attachment", "system", "progress"]);
/** Errors that a later request may not meet, whatever their status. */
const claudePassing: ReadonlySet<unknown> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "billing_error",
  "rate_limit",
  "overloaded",
  "model_not_found",
  "server_error",
]);

function claudeRefusal(row: JsonObject, message: JsonObject): Refusal {
  const text = textAt(asObject(listAt(message, "content")[0]), "text");
  const [, shown] = /^API Error: (\d{3})\b/.exec(text ?? "") ?? [];
  const known = numberAt(row, "apiErrorStatus") ?? (shown === undefined ? null : Number(shown));
  const status = known ?? (row["error"] === "invalid_request" ? 400 : null);
  const given = refusal(status, [row["apiErrorType"], row["error"]], text);
  return claudePassing.has(row["error"]) ? { ...given, of: "passing" } : given;
}

const claude: ClientTranscripts = {
  home: [".claude", "CLAUDE_CONFIG_DIR"],
  files: ["projects/*/{id}.jsonl"],
  links: {
    isLink: (row) => claudeLinks.has(row["type"]),
    isPassedOver: (row) => row["type"] === "progress",
    isBoundary: (row) => row["type"] === "system" && row["subtype"] === "compact_boundary",
    newestIn: (row) => (row["type"] === "last-prompt" ? textAt(row, "leafUuid") : null),
    bridgeMs: 5_000,
    losesFused: true,
  },
  folderOf: (file, project) => join(dirname(dirname(file)), dashed(project)),
  isThought: (row) => blocksOf(row).length > 0 && blocksOf(row).every((type) => String(type).endsWith("thinking")),
  rowOf(row) {
    const message = objectAt(row, "message");
    if (row["isSidechain"] === true || message === null) return null;
    if (row["type"] === "user") return { kind: isOfUser(row, message) ? "prompt" : "input" };
    if (row["type"] !== "assistant") return null;
    if (row["isApiErrorMessage"] === true) return claudeRefusal(row, message);
    return message["model"] === "<synthetic>" ? null : { kind: "answer", of: textAt(message, "id") };
  },
};

export const codexLock = ["thread-writer-locks/{id}.lock"];

const codex: ClientTranscripts = {
  home: [".codex", "CODEX_HOME"],
  files: ["sessions/*/*/*/rollout-*-{id}.jsonl", "sessions/*/*/*/rollout-*-{id}.jsonl.zst"],
  archive: ["archived_sessions/*-{id}.jsonl", "archived_sessions/*-{id}.jsonl.zst"],
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

export const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const time = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/;
/** Rows of other kinds pass unread. */
const copilotKinds = /^(?:user|assistant|tool|session|system|hook)\./;
const copilotTexts: ReadonlySet<unknown> = new Set(["user.message", "assistant.message", "system.message"]);

const copilot: ClientTranscripts = {
  home: [".copilot", "COPILOT_HOME"],
  files: ["session-state/{id}/events.jsonl"],
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
  files: ["projects/*/chats/{id}.jsonl"],
  folderOf: (file, project) => join(dirname(dirname(dirname(file))), dashed(project), "chats"),
  isInFolder: true,
  links: { isLink: () => true, bridgeMs: 0 },
  losesAfterCut: true,
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

function listOrNull(from: JsonObject | null, key: string): readonly unknown[] | null {
  return Array.isArray(from?.[key]) ? from[key] : null;
}

/** Gemini CLI stores no refusal. */
const gemini: ClientTranscripts = {
  home: [".gemini"],
  // Older versions wrote one document.
  files: ["tmp/*/chats/*-{id8}.jsonl", "tmp/*/chats/*-{id8}.json"],
  messagesIn: (row) => listOrNull(row, "messages") ?? listOrNull(objectAt(row, "$set"), "messages"),
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

export const transcripts = {
  "claude-code": claude,
  codex,
  copilot,
  qwen,
  gemini,
} satisfies Partial<Record<HookClient, ClientTranscripts>>;

/** @returns null for a client whose files SHIM does not know */
export function transcriptsOf(client: string): ClientTranscripts | null {
  return (transcripts as Readonly<Record<string, ClientTranscripts | undefined>>)[client] ?? null;
}
