/** Invented sessions in the files of their clients, with the fields that the versions of the tests write, and damages. */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { T0 } from "#harness/store/temp-store.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface Turn {
  readonly prompt: string;
  readonly answer: string;
}

export interface InventedSession {
  readonly client: string;
  readonly id: string;
  readonly file: string;
  readonly rows: readonly Fields[];
  /** A prompt that the API refuses. */
  refused(number: number, status: number): readonly Fields[];
}

/** Writes the rows of one session; each is a second later. */
abstract class Writer {
  answers = 0;
  #last: string | null = null;
  #second = 0;
  readonly id: string;
  readonly project: string;
  readonly #start: number;
  readonly #newId: () => string;

  constructor(id: string, project: string, start: number, newId: () => string) {
    this.id = id;
    this.project = project;
    this.#start = start;
    this.#newId = newId;
  }

  abstract readonly file: string;
  abstract prompt(text: string): Fields[];
  abstract answer(text: string): Fields[];
  abstract refusal(status: number): Fields[];

  head(): Fields[] {
    return [];
  }

  /** `echo one`, with its result. */
  call(): Fields[] {
    return [];
  }

  protected get timestamp(): string {
    return new Date(this.#start + this.#second * 1_000).toISOString();
  }

  /** Id and time of the next row, and the id of the row before it. */
  protected next(): { readonly uuid: string; readonly parent: string | null; readonly timestamp: string } {
    const link = { uuid: this.#newId(), parent: this.#last, timestamp: this.timestamp };
    this.#last = link.uuid;
    this.#second += 1;
    return link;
  }

  protected get folder(): string {
    return this.project.replaceAll(/[^a-zA-Z0-9]/g, "-");
  }
}

class ClaudeWriter extends Writer {
  readonly file = join(".claude", "projects", this.folder, `${this.id}.jsonl`);

  #row(type: string, message: Fields, more: Fields = {}): Fields {
    const { parent: parentUuid, ...link } = this.next();
    const made = { parentUuid, isSidechain: false, type, message, ...link, sessionId: this.id };
    return { ...made, cwd: this.project, version: "2.1.328", ...more };
  }

  #answer(content: Fields, more: Fields = {}): Fields {
    const id = `msg_${++this.answers}`;
    return this.#row("assistant", { id, role: "assistant", model: "claude-opus-5-5", content: [content], ...more });
  }

  prompt(text: string): Fields[] {
    return [this.#row("user", { role: "user", content: text })];
  }

  override call(): Fields[] {
    const result = { type: "tool_result", tool_use_id: "toolu_1", content: "one" };
    return [
      this.#answer({ type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "echo one" } }),
      this.#row("user", { role: "user", content: [result] }),
    ];
  }

  answer(text: string): Fields[] {
    return [this.#answer({ type: "text", text }, { stop_reason: "end_turn" })];
  }

  refusal(status: number): Fields[] {
    const content = [{ type: "text", text: `API Error: ${status}` }];
    const message = { id: `refused_${this.next().uuid}`, role: "assistant", model: "<synthetic>", content };
    const error = { isApiErrorMessage: true, apiErrorStatus: status, apiErrorType: "invalid_request_error" };
    return [this.#row("assistant", message, error)];
  }
}

class CodexWriter extends Writer {
  readonly file = join(".codex", "sessions", "2026", "11", "25", `rollout-2026-11-25T10-00-00-${this.id}.jsonl`);

  #row(type: string, payload: Fields): Fields {
    return { timestamp: this.next().timestamp, type, payload };
  }

  override head(): Fields[] {
    const { id, project: cwd, timestamp } = this;
    return [this.#row("session_meta", { id, timestamp, cwd, originator: "codex_exec", cli_version: "0.169.0" })];
  }

  prompt(text: string): Fields[] {
    const item = { type: "UserMessage", content: [{ type: "text", text }] };
    return [
      this.#row("event_msg", { type: "task_started" }),
      this.#row("response_item", { type: "message", role: "user", content: [{ type: "input_text", text }] }),
      this.#row("event_msg", { type: "item_completed", item }),
    ];
  }

  override call(): Fields[] {
    return [
      this.#row("response_item", { type: "function_call", name: "exec_command", call_id: "c1", arguments: "{}" }),
      this.#row("response_item", { type: "function_call_output", call_id: "c1", output: "one" }),
    ];
  }

  answer(text: string): Fields[] {
    const item = { type: "AgentMessage", content: [{ type: "Text", text }] };
    return [
      this.#row("response_item", { type: "message", role: "assistant", content: [{ type: "output_text", text }] }),
      this.#row("event_msg", { type: "item_completed", item }),
      this.#row("event_msg", { type: "task_complete", last_agent_message: text }),
    ];
  }

  refusal(status: number): Fields[] {
    const kinds: Readonly<Record<number, string>> = { 400: "other", 413: "context_window_exceeded" };
    const error = { message: "no", codex_error_info: kinds[status] ?? "usage_limit_exceeded" };
    return [this.#row("event_msg", { type: "task_complete", last_agent_message: null, error })];
  }
}

class CopilotWriter extends Writer {
  readonly file = join(".copilot", "session-state", this.id, "events.jsonl");

  #row(type: string, data: Fields): Fields {
    const { uuid: id, parent: parentId, timestamp } = this.next();
    return { type, data, id, timestamp, parentId };
  }

  #answer(content: string, toolRequests: readonly Fields[] = []): Fields {
    return this.#row("assistant.message", { messageId: this.next().uuid, content, toolRequests });
  }

  override head(): Fields[] {
    const context = { cwd: this.project };
    return [this.#row("session.start", { sessionId: this.id, version: 1, copilotVersion: "1.0.102", context })];
  }

  prompt(text: string): Fields[] {
    return [this.#row("user.message", { content: text })];
  }

  override call(): Fields[] {
    const result = { toolCallId: "c1", success: true, result: { content: "one" } };
    return [
      this.#answer("", [{ toolCallId: "c1", name: "bash", arguments: {} }]),
      this.#row("tool.execution_complete", result),
    ];
  }

  answer(text: string): Fields[] {
    return [this.#answer(text), this.#row("assistant.turn_end", { turnId: "0" })];
  }

  refusal(status: number): Fields[] {
    return [this.#row("session.error", { errorType: "query", message: `${status} no`, statusCode: status })];
  }
}

class QwenWriter extends Writer {
  readonly file = join(".qwen", "projects", this.folder, "chats", `${this.id}.jsonl`);

  #row(type: string, more: Fields): Fields {
    const { parent: parentUuid, ...link } = this.next();
    return { ...link, parentUuid, sessionId: this.id, type, cwd: this.project, version: "0.24.4", ...more };
  }

  #said(type: string, role: string, part: Fields): Fields {
    return this.#row(type, { message: { role, parts: [part] } });
  }

  prompt(text: string): Fields[] {
    return [this.#said("user", "user", { text })];
  }

  override call(): Fields[] {
    return [
      this.#said("assistant", "model", { functionCall: { id: "c1", name: "run_shell_command", args: {} } }),
      this.#said("tool_result", "user", { functionResponse: { id: "c1", response: { output: "one" } } }),
    ];
  }

  answer(text: string): Fields[] {
    return [this.#said("assistant", "model", { text })];
  }

  refusal(status: number): Fields[] {
    const codes = { error_message: `${status} no`, error_type: "BadRequestError", status_code: status };
    const uiEvent = { "event.name": "qwen-code.api_error", ...codes };
    return [this.#row("system", { subtype: "ui_telemetry", systemPayload: { uiEvent } })];
  }
}

class GeminiWriter extends Writer {
  readonly file = join(".gemini", "tmp", "project", "chats", `session-2026-11-25T10-00-${this.id.slice(0, 8)}.jsonl`);

  override head(): Fields[] {
    const projectHash = createHash("sha256").update(this.project).digest("hex");
    const { id: sessionId, timestamp } = this;
    return [{ sessionId, projectHash, startTime: timestamp, lastUpdated: timestamp, kind: "main" }];
  }

  prompt(text: string): Fields[] {
    const { uuid: id, timestamp } = this.next();
    return [{ id, timestamp, type: "user", content: [{ text }] }, { $set: { lastUpdated: timestamp } }];
  }

  answer(text: string): Fields[] {
    const { uuid: id, timestamp } = this.next();
    return [{ id, timestamp, type: "gemini", content: text, model: "gemini-2.5-pro" }];
  }

  refusal(): Fields[] {
    return [];
  }
}

const writers = {
  "claude-code": ClaudeWriter,
  codex: CodexWriter,
  copilot: CopilotWriter,
  qwen: QwenWriter,
  gemini: GeminiWriter,
};

export const clientsWithRows = Object.keys(writers);

function writerOf(client: string): (typeof writers)[keyof typeof writers] {
  if (!Object.hasOwn(writers, client)) throw new Error(`no invented session of ${client}`);
  return writers[client as keyof typeof writers];
}

function ids(prefix: string): () => string {
  let count = 0;
  return () => `${prefix}-0000-4000-8000-${String(++count).padStart(12, "0")}`;
}

const newId = ids("0a000000");

/** "the word is pear" -> a shell call -> "Ran one." */
export function invented(client: string, project: string): InventedSession {
  const writer = new (writerOf(client))(newId(), project, Date.parse("2026-11-25T10:00:00.000Z"), newId);
  return {
    client,
    id: writer.id,
    file: writer.file,
    rows: [...writer.head(), ...writer.prompt("the word is pear"), ...writer.call(), ...writer.answer("Ran one.")],
    refused: (number, status) =>
      client === "gemini" ? [] : [...writer.prompt(`refused ${number}`), ...writer.refusal(status)],
  };
}

/** A session as its client writes it, a row a line, the same each time: each prompt begins a turn that ends with its answer. */
export function writtenRows(client: string, turns: readonly Turn[]): string[] {
  const id = "5f0e0e5e-0000-4000-8000-0000000000d1";
  const writer = new (writerOf(client))(id, "/p", T0 - 86_400_000, ids("00000000"));
  const rows = turns.flatMap(({ prompt, answer }) => [...writer.prompt(prompt), ...writer.answer(answer)]);
  return [...writer.head(), ...rows].map((row) => JSON.stringify(row));
}

/** Writes the session as it is, or with these rows. @returns its path */
export function writeSession(
  home: string,
  { file, client, id, ...session }: InventedSession,
  rows = session.rows,
): string {
  const path = join(home, file);
  fs.mkdirSync(dirname(path), { recursive: true });
  fs.writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  if (client === "copilot") fs.writeFileSync(join(dirname(path), "workspace.yaml"), `id: ${id}\n`);
  return path;
}

function openCodeFailure(statusCode: number): Fields {
  return { role: "assistant", error: { name: "APIError", data: { message: "no", statusCode, isRetryable: false } } };
}

/** What `opencode export` prints. @param statuses of the errors that further prompts met */
export function openCodeExport(turns: readonly Turn[], id = "ses_written", statuses: readonly number[] = []): object {
  let second = 0;
  const message = (name: string, text: string, more: Fields): Fields => {
    const [key, created] = [`${name}00000000`, T0 - 86_400_000 + 1_000 * second++];
    const time = more["finish"] === undefined ? { created } : { created, completed: created };
    return {
      info: { id: `msg_${key}`, sessionID: id, time, ...more },
      parts: [{ id: `prt_${key}`, messageID: `msg_${key}`, sessionID: id, type: "text", text }],
    };
  };
  return {
    info: { id, directory: "/p", version: "1.18.33" },
    messages: [
      ...turns.flatMap(({ prompt, answer }, at) => [
        message(`a${2 * at + 1}`, prompt, { role: "user" }),
        message(`a${2 * at + 2}`, answer, {
          role: "assistant",
          parentID: `msg_a${2 * at + 1}00000000`,
          finish: "stop",
        }),
      ]),
      ...statuses.flatMap((status, at) => [
        message(`b${at}`, `refused ${at}`, { role: "user" }),
        message(`c${at}`, "", openCodeFailure(status)),
      ]),
    ],
  };
}

/** A program `opencode` that exports a session of two turns and of these errors, and keeps what it imports; null: of none. */
export function fakeOpenCode(folder: string, id: string | null, statuses: readonly number[] = []): void {
  const source = join(folder, "opencode.json");
  const turns = [
    { prompt: "the word is pear", answer: "Noted." },
    { prompt: "run one", answer: "Ran one." },
  ];
  if (id !== null) fs.writeFileSync(source, JSON.stringify(openCodeExport(turns, id, statuses)));
  const script = `#!/bin/sh\ncase "$1" in\nexport) cat "${source}" ;;\nimport) cp "$2" "${folder}/imported.json" ;;\nesac\n`;
  fs.mkdirSync(join(folder, "path"), { recursive: true });
  fs.writeFileSync(join(folder, "path", "opencode"), script, { mode: 0o755 });
}

function isFile(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Every file of the clients below the home, with its bytes; folders and links to nothing are null. */
export function filesOf({ folder: home }: CliHome): Map<string, string | null> {
  const folders = [".claude", ".codex", ".copilot", ".qwen", ".gemini"].filter((name) =>
    fs.existsSync(join(home, name)),
  );
  const names = folders.flatMap((name) =>
    fs.readdirSync(join(home, name), { recursive: true, encoding: "utf8" }).map((below) => join(name, below)),
  );
  return new Map(
    names.map((name) => [name, isFile(join(home, name)) ? fs.readFileSync(join(home, name), "base64") : null]),
  );
}

export function known(home: CliHome, { id, client, file }: InventedSession): void {
  addSession(home, { id, client, pid: 77, transcriptPath: join(home.folder, file) });
}

export type Break = (path: string, session: InventedSession) => void;

export const lines = (path: string): string[] => fs.readFileSync(path, "utf8").trimEnd().split("\n");

export const edit =
  (change: (all: string[]) => string[]): Break =>
  (path) =>
    fs.writeFileSync(path, `${change(lines(path)).join("\n")}\n`);

export const rows = (change: (row: Fields, at: number) => object): Break =>
  edit((all) => all.map((line, at) => JSON.stringify(change(JSON.parse(line) as Fields, at))));

export const refuse =
  (...statuses: readonly number[]): Break =>
  (path, session) => {
    const refused = statuses.flatMap((status, number) => session.refused(number, status));
    edit((all) => [...all, ...refused.map((row) => JSON.stringify(row))])(path, session);
  };

export const zeroed: Break = (path) => fs.writeFileSync(path, Buffer.alloc(fs.statSync(path).size));
export const empty: Break = (path) => fs.writeFileSync(path, "");
export const gone: Break = (path) => fs.rmSync(path);
export const cut: Break = (path) => fs.truncateSync(path, fs.statSync(path).size - 9);
export const folder: Break = (path) => {
  fs.rmSync(path);
  fs.mkdirSync(path);
};
export const deadLink: Break = (path) => {
  fs.rmSync(path);
  fs.symlinkSync(join(dirname(path), "nowhere"), path);
};
