/** Invented sessions in the files of their clients, with the fields that the versions of the tests write, and damages. */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import type { CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { T0 } from "#harness/store/store-test.ts";

type Fields = Readonly<Record<string, unknown>>;

export type Turn = Readonly<{ prompt: string; answer: string }>;

export interface InventedSession {
  readonly client: string;
  readonly id: string;
  readonly file: string;
  readonly rows: readonly Fields[];
  /** A prompt that the API refuses. */
  refused(number: number, status: number): readonly Fields[];
}

type Rows = ReturnType<typeof rowsOf>;

/** Ids and times of the rows of one session; each is a second later. */
function rowsOf(id: string, project: string, start: number, makeId: () => string) {
  let [last, second] = [null as string | null, 0];
  /** Id and time of the next row, and the id of the row before it. */
  const next = () => {
    const link = { uuid: makeId(), parent: last, timestamp: new Date(start + second++ * 1_000).toISOString() };
    last = link.uuid;
    return link;
  };
  const folder = project.replaceAll(/[^a-zA-Z0-9]/g, "-");
  return { id, project, folder, next, timestamp: new Date(start).toISOString() };
}

/** How a client writes a session. */
interface Form {
  readonly file: string;
  readonly head?: () => Fields[];
  readonly prompt: (text: string) => Fields[];
  /** `echo one`, with its result. */
  readonly call?: () => Fields[];
  readonly answer: (text: string) => Fields[];
  readonly refusal: (status: number) => Fields[];
}

function claudeForm({ id: sessionId, project: cwd, folder, next }: Rows): Form {
  let answers = 0;
  const row = (type: string, message: Fields, more: Fields = {}): Fields => {
    const { parent: parentUuid, ...link } = next();
    return { parentUuid, isSidechain: false, type, message, ...link, sessionId, cwd, version: "2.1.328", ...more };
  };
  const answer = (content: Fields, more: Fields = {}): Fields => {
    const id = `msg_${++answers}`;
    return row("assistant", { id, role: "assistant", model: "claude-opus-5-5", content: [content], ...more });
  };
  const result = { type: "tool_result", tool_use_id: "toolu_1", content: "one" };
  return {
    file: join(".claude", "projects", folder, `${sessionId}.jsonl`),
    prompt: (text) => [row("user", { role: "user", content: text })],
    call: () => [
      answer({ type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "echo one" } }),
      row("user", { role: "user", content: [result] }),
    ],
    answer: (text) => [answer({ type: "text", text }, { stop_reason: "end_turn" })],
    refusal: (status) => {
      const content = [{ type: "text", text: `API Error: ${status}` }];
      const message = { id: `refused_${++answers}`, role: "assistant", model: "<synthetic>", content };
      const error = { isApiErrorMessage: true, apiErrorStatus: status, apiErrorType: "invalid_request_error" };
      return [row("assistant", message, error)];
    },
  };
}

function codexForm({ id, project: cwd, timestamp, next }: Rows): Form {
  const row = (type: string, payload: Fields): Fields => ({ timestamp: next().timestamp, type, payload });
  const said = (role: string, type: string, text: string): Fields =>
    row("response_item", { type: "message", role, content: [{ type, text }] });
  const item = (type: string, contentType: string, text: string): Fields =>
    row("event_msg", { type: "item_completed", item: { type, content: [{ type: contentType, text }] } });
  const kinds: Readonly<Record<number, string>> = { 400: "other", 413: "context_window_exceeded" };
  return {
    file: join(".codex", "sessions", "2026", "11", "25", `rollout-2026-11-25T10-00-00-${id}.jsonl`),
    head: () => [row("session_meta", { id, timestamp, cwd, originator: "codex_exec", cli_version: "0.169.0" })],
    prompt: (text) => [
      row("event_msg", { type: "task_started" }),
      said("user", "input_text", text),
      item("UserMessage", "text", text),
    ],
    call: () => [
      row("response_item", { type: "function_call", name: "exec_command", call_id: "c1", arguments: "{}" }),
      row("response_item", { type: "function_call_output", call_id: "c1", output: "one" }),
    ],
    answer: (text) => [
      said("assistant", "output_text", text),
      item("AgentMessage", "Text", text),
      row("event_msg", { type: "task_complete", last_agent_message: text }),
    ],
    refusal: (status) => {
      const error = { message: "no", codex_error_info: kinds[status] ?? "usage_limit_exceeded" };
      return [row("event_msg", { type: "task_complete", last_agent_message: null, error })];
    },
  };
}

function copilotForm({ id: sessionId, project: cwd, next }: Rows): Form {
  const row = (type: string, data: Fields): Fields => {
    const { uuid: id, parent: parentId, timestamp } = next();
    return { type, data, id, timestamp, parentId };
  };
  const answer = (content: string, toolRequests: readonly Fields[] = []): Fields =>
    row("assistant.message", { messageId: next().uuid, content, toolRequests });
  return {
    file: join(".copilot", "session-state", sessionId, "events.jsonl"),
    head: () => [row("session.start", { sessionId, version: 1, copilotVersion: "1.0.102", context: { cwd } })],
    prompt: (text) => [row("user.message", { content: text })],
    call: () => [
      answer("", [{ toolCallId: "c1", name: "bash", arguments: {} }]),
      row("tool.execution_complete", { toolCallId: "c1", success: true, result: { content: "one" } }),
    ],
    answer: (text) => [answer(text), row("assistant.turn_end", { turnId: "0" })],
    refusal: (status) => [row("session.error", { errorType: "query", message: `${status} no`, statusCode: status })],
  };
}

function qwenForm({ id: sessionId, project: cwd, folder, next }: Rows): Form {
  const row = (type: string, more: Fields): Fields => {
    const { parent: parentUuid, ...link } = next();
    return { ...link, parentUuid, sessionId, type, cwd, version: "0.24.4", ...more };
  };
  const said = (type: string, role: string, part: Fields): Fields => row(type, { message: { role, parts: [part] } });
  return {
    file: join(".qwen", "projects", folder, "chats", `${sessionId}.jsonl`),
    prompt: (text) => [said("user", "user", { text })],
    call: () => [
      said("assistant", "model", { functionCall: { id: "c1", name: "run_shell_command", args: {} } }),
      said("tool_result", "user", { functionResponse: { id: "c1", response: { output: "one" } } }),
    ],
    answer: (text) => [said("assistant", "model", { text })],
    refusal: (status) => {
      const codes = { error_message: `${status} no`, error_type: "BadRequestError", status_code: status };
      const uiEvent = { "event.name": "qwen-code.api_error", ...codes };
      return [row("system", { subtype: "ui_telemetry", systemPayload: { uiEvent } })];
    },
  };
}

function geminiForm({ id: sessionId, project, timestamp: startTime, next }: Rows): Form {
  const projectHash = createHash("sha256").update(project).digest("hex");
  return {
    file: join(".gemini", "tmp", "project", "chats", `session-2026-11-25T10-00-${sessionId.slice(0, 8)}.jsonl`),
    head: () => [{ sessionId, projectHash, startTime, lastUpdated: startTime, kind: "main" }],
    prompt: (text) => {
      const { uuid: id, timestamp } = next();
      return [{ id, timestamp, type: "user", content: [{ text }] }, { $set: { lastUpdated: timestamp } }];
    },
    answer: (text) => {
      const { uuid: id, timestamp } = next();
      return [{ id, timestamp, type: "gemini", content: text, model: "gemini-2.5-pro" }];
    },
    refusal: () => [],
  };
}

const forms = { "claude-code": claudeForm, codex: codexForm, copilot: copilotForm, qwen: qwenForm, gemini: geminiForm };

/** Clients whose transcripts are rows. */
export const clientsWithRows = Object.keys(forms);

const formOf = (client: string, rows: Rows): Form => forms[client as keyof typeof forms](rows);

function ids(prefix: string): () => string {
  let count = 0;
  return () => `${prefix}-0000-4000-8000-${String(++count).padStart(12, "0")}`;
}

const newId = ids("0a000000");

/** "the word is pear" -> a shell call -> "Ran one." */
export function invented(client: string, project: string): InventedSession {
  const id = newId();
  const form = formOf(client, rowsOf(id, project, Date.parse("2026-11-25T10:00:00.000Z"), newId));
  const { file, head = () => [], prompt, call = () => [], answer, refusal } = form;
  const rows = [...head(), ...prompt("the word is pear"), ...call(), ...answer("Ran one.")];
  const refused: InventedSession["refused"] = (number, status) =>
    client === "gemini" ? [] : [...prompt(`refused ${number}`), ...refusal(status)];
  return { client, id, file, rows, refused };
}

/** A session as its client writes it, a row a line, the same each time: each prompt begins a turn that ends with its answer. */
export function writtenRows(client: string, turns: readonly Turn[]): string[] {
  const id = "5f0e0e5e-0000-4000-8000-0000000000d1";
  const form = formOf(client, rowsOf(id, "/p", T0 - 86_400_000, ids("00000000")));
  const written = form.head?.() ?? [];
  for (const { prompt, answer } of turns) written.push(...form.prompt(prompt), ...form.answer(answer));
  return written.map((row) => JSON.stringify(row));
}

/** Writes the session as it is, or with these rows. @returns its path */
export function writeSession(home: string, session: InventedSession, rows = session.rows): string {
  const path = join(home, session.file);
  write(home, { [session.file]: rows.map((row) => `${JSON.stringify(row)}\n`).join("") });
  if (session.client === "copilot") fs.writeFileSync(join(dirname(path), "workspace.yaml"), `id: ${session.id}\n`);
  return path;
}

function openCodeFailure(statusCode: number): Fields {
  return { role: "assistant", error: { name: "APIError", data: { message: "no", statusCode, isRetryable: false } } };
}

/** What `opencode export` prints. @param statuses of the errors that further prompts met */
export function openCodeExport(turns: readonly Turn[], id = "ses_written", statuses: readonly number[] = []): object {
  let second = 0;
  const answered = { role: "assistant", finish: "stop" };
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
        message(`a${2 * at + 2}`, answer, { ...answered, parentID: `msg_a${2 * at + 1}00000000` }),
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

function contentOf(path: string): string | null {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() === true ? fs.readFileSync(path, "base64") : null;
}

/** Every file of the clients below the home, with its bytes; folders and links to nothing are null. */
export function filesOf({ folder: home }: CliHome): Map<string, string | null> {
  const names = fs.readdirSync(home, { recursive: true, encoding: "utf8" });
  const ofClients = names.filter((name) => /^\.(claude|codex|copilot|qwen|gemini)\//.test(name));
  return new Map(ofClients.map((name) => [name, contentOf(join(home, name))]));
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
