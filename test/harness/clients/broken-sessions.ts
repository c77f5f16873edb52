import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Invented sessions in the files of their clients, with the fields that the versions of the tests write. */

type Fields = Readonly<Record<string, unknown>>;

export interface InventedSession {
  readonly client: string;
  readonly id: string;
  /** Below the user's home. */
  readonly file: string;
  readonly rows: readonly Fields[];
  /** A prompt that the API refuses. */
  refused(number: number, status: number): readonly Fields[];
}

const at = "2026-11-25T10:00:00.000Z";
const dashed = (path: string): string => path.replaceAll(/[^a-zA-Z0-9]/g, "-");

let count = 0;
function anId(): string {
  count += 1;
  return `0a000000-0000-4000-8000-${String(count).padStart(12, "0")}`;
}

/** "the word is pear" -> a shell call -> "Ran one." */
export function invented(client: string, project: string): InventedSession {
  const makers: Readonly<Record<string, (id: string, project: string) => InventedSession>> = {
    "claude-code": ofClaude,
    codex: ofCodex,
    copilot: ofCopilot,
    qwen: ofQwen,
    gemini: ofGemini,
  };
  const make = makers[client];
  if (!make) throw new Error(`no invented session of ${client}`);
  return make(anId(), project);
}

function ofClaude(id: string, project: string): InventedSession {
  let parent: string | null = null;
  const row = (type: string, message: Fields, more: Fields = {}): Fields => {
    const uuid = anId();
    const made = { parentUuid: parent, isSidechain: false, type, message, uuid, timestamp: at, sessionId: id };
    parent = uuid;
    return { ...made, cwd: project, version: "2.1.328", ...more };
  };
  const answer = (message: string, content: Fields): Fields =>
    row("assistant", { id: message, role: "assistant", model: "claude-opus-5-5", content: [content] });
  return {
    client: "claude-code",
    id,
    file: join(".claude", "projects", dashed(project), `${id}.jsonl`),
    rows: [
      row("user", { role: "user", content: "the word is pear" }),
      answer("msg_1", { type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "echo one" } }),
      row("user", { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "one" }] }),
      answer("msg_2", { type: "text", text: "Ran one." }),
    ],
    refused(number, status) {
      const content = [{ type: "text", text: `API Error: ${status}` }];
      const error = { isApiErrorMessage: true, apiErrorStatus: status, apiErrorType: "invalid_request_error" };
      return [
        row("user", { role: "user", content: `refused ${number}` }),
        row("assistant", { id: anId(), role: "assistant", model: "<synthetic>", content }, error),
      ];
    },
  };
}

function codexRow(type: string, payload: Fields): Fields {
  return { timestamp: at, type, payload };
}

function ofCodex(id: string, project: string): InventedSession {
  const row = codexRow;
  const prompt = (text: string): Fields[] => [
    row("event_msg", { type: "task_started" }),
    row("response_item", { type: "message", role: "user", content: [{ type: "input_text", text }] }),
    row("event_msg", { type: "item_completed", item: { type: "UserMessage", content: [{ type: "text", text }] } }),
  ];
  const kinds: Readonly<Record<number, unknown>> = { 400: "other", 413: "context_window_exceeded" };
  return {
    client: "codex",
    id,
    file: join(".codex", "sessions", "2026", "11", "25", `rollout-2026-11-25T10-00-00-${id}.jsonl`),
    rows: [
      row("session_meta", { id, timestamp: at, cwd: project, originator: "codex_exec", cli_version: "0.169.0" }),
      ...prompt("the word is pear"),
      row("response_item", { type: "function_call", name: "exec_command", call_id: "c1", arguments: "{}" }),
      row("response_item", { type: "function_call_output", call_id: "c1", output: "one" }),
      row("response_item", {
        type: "message",
        role: "assistant",
        content: [{ type: "output_text", text: "Ran one." }],
      }),
      row("event_msg", { type: "task_complete", last_agent_message: "Ran one." }),
    ],
    refused: (number, status) => [
      ...prompt(`refused ${number}`),
      row("event_msg", {
        type: "task_complete",
        last_agent_message: null,
        error: { message: "no", codex_error_info: kinds[status] ?? "usage_limit_exceeded" },
      }),
    ],
  };
}

function copilotRow(type: string, data: Fields): Fields {
  return { type, data, id: anId(), timestamp: at, parentId: null };
}

function ofCopilot(id: string, project: string): InventedSession {
  const row = copilotRow;
  const answer = (content: string, more: Fields = {}): Fields =>
    row("assistant.message", { messageId: anId(), content, toolRequests: [], ...more });
  return {
    client: "copilot",
    id,
    file: join(".copilot", "session-state", id, "events.jsonl"),
    rows: [
      row("session.start", { sessionId: id, version: 1, copilotVersion: "1.0.102", context: { cwd: project } }),
      row("user.message", { content: "the word is pear" }),
      answer("", { toolRequests: [{ toolCallId: "c1", name: "bash", arguments: {} }] }),
      row("tool.execution_complete", { toolCallId: "c1", success: true, result: { content: "one" } }),
      answer("Ran one."),
    ],
    refused: (number, status) => [
      row("user.message", { content: `refused ${number}` }),
      row("session.error", { errorType: "query", message: `${status} no`, statusCode: status }),
    ],
  };
}

function said(role: string, part: Fields): Fields {
  return { message: { role, parts: [part] } };
}

function ofQwen(id: string, project: string): InventedSession {
  let parent: string | null = null;
  const row = (type: string, more: Fields): Fields => {
    const uuid = anId();
    const made = { uuid, parentUuid: parent, sessionId: id, timestamp: at, type, cwd: project, version: "0.24.4" };
    parent = uuid;
    return { ...made, ...more };
  };
  return {
    client: "qwen",
    id,
    file: join(".qwen", "projects", dashed(project), "chats", `${id}.jsonl`),
    rows: [
      row("user", said("user", { text: "the word is pear" })),
      row("assistant", said("model", { functionCall: { id: "c1", name: "run_shell_command", args: {} } })),
      row("tool_result", said("user", { functionResponse: { id: "c1", response: { output: "one" } } })),
      row("assistant", said("model", { text: "Ran one." })),
    ],
    refused(number, status) {
      const codes = { error_message: `${status} no`, error_type: "BadRequestError", status_code: status };
      const uiEvent = { "event.name": "qwen-code.api_error", ...codes };
      return [
        row("user", said("user", { text: `refused ${number}` })),
        row("system", { subtype: "ui_telemetry", systemPayload: { uiEvent } }),
      ];
    },
  };
}

function ofGemini(id: string, project: string): InventedSession {
  const projectHash = createHash("sha256").update(project).digest("hex");
  return {
    client: "gemini",
    id,
    file: join(".gemini", "tmp", "project", "chats", `session-2026-11-25T10-00-${id.slice(0, 8)}.jsonl`),
    rows: [
      { sessionId: id, projectHash, startTime: at, lastUpdated: at, kind: "main" },
      { id: "g1", timestamp: at, type: "user", content: [{ text: "the word is pear" }] },
      { id: "g2", timestamp: at, type: "gemini", content: "Ran one.", model: "gemini-2.5-pro" },
    ],
    refused: () => [],
  };
}

/** Writes the session as it is, or with these rows. @returns its path */
export function writeSession(
  home: string,
  { file, client, id, ...session }: InventedSession,
  rows = session.rows,
): string {
  const path = join(home, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  if (client === "copilot") writeFileSync(join(dirname(path), "workspace.yaml"), `id: ${id}\n`);
  return path;
}

/** A program `opencode` that exports one invented session, and keeps what it imports. */
export function fakeOpenCode(folder: string, document: object | null): void {
  const source = join(folder, "opencode.json");
  if (document) writeFileSync(source, JSON.stringify(document));
  const script = `#!/bin/sh\ncase "$1" in\nexport) cat "${source}" ;;\nimport) cp "$2" "${folder}/imported.json" ;;\nesac\n`;
  mkdirSync(join(folder, "path"), { recursive: true });
  writeFileSync(join(folder, "path", "opencode"), script);
  chmodSync(join(folder, "path", "opencode"), 0o755);
}

function openCodeFailure(status: number): Fields {
  return {
    role: "assistant",
    error: { name: "APIError", data: { message: "no", statusCode: status, isRetryable: false } },
  };
}

/** What `opencode export` writes of a session whose last prompts met these errors. */
export function openCodeSession(id: string, statuses: readonly number[]): object {
  const message = (name: string, info: Fields, text: string): Fields => ({
    info: { id: `msg_${name}00000000`, sessionID: id, ...info },
    parts: [{ id: `prt_${name}00000000`, messageID: `msg_${name}00000000`, sessionID: id, type: "text", text }],
  });
  return {
    info: { id, directory: "/p", version: "1.18.33" },
    messages: [
      message("a1", { role: "user" }, "the word is pear"),
      message("a2", { role: "assistant", parentID: "msg_a100000000" }, "Noted."),
      message("a3", { role: "user" }, "run one"),
      message("a4", { role: "assistant", parentID: "msg_a300000000" }, "Ran one."),
      ...statuses.flatMap((status, number) => [
        message(`b${number}`, { role: "user" }, `refused ${number}`),
        message(`c${number}`, openCodeFailure(status), ""),
      ]),
    ],
  };
}

/** Every file below a folder, with its bytes; folders and links to nothing are null. */
export function contents(folder: string): Map<string, string | null> {
  const found = new Map<string, string | null>();
  if (!existsSync(folder)) return found;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    const isFile = statSync(path, { throwIfNoEntry: false })?.isFile();
    found.set(name, isFile ? readFileSync(path, "base64") : null);
  }
  return found;
}
