import { resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { isRan, userWords } from "../../clients/adapter/harness-text.ts";
import { deedOf, shellCommandOf, filePathOf, subagentTool } from "../../clients/adapter/tools.ts";
import type { TranscriptNote } from "../../clients/transcript/transcript-draft.ts";
import type { AsksFor } from "../../contract/chat-state.ts";
import { describingArguments } from "../../contract/hook-tool.ts";
import type { HookInput, HookEvent } from "../../contract/hooks.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { EffectNote, FileNote, TodoItem } from "../../contract/work-state.ts";
import { stored } from "../../contract/limits.ts";
import { redactAndClip, redactAndKeepEnds, boundTexts } from "../../redaction/bounded-text.ts";
import { redactJson } from "../../redaction/redact.ts";
import { asObject, listAt, numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { withoutOwnTexts } from "./text/neutralize.ts";
import { idOf, pathOf, approvedPlan, digest, failure, type KeyedEntry } from "./entries.ts";
import { noteEffects } from "./effects.ts";
import { simpleCommands, type SimpleCommand } from "./shell-commands.ts";

/** Pure: what the end of a call shows, in the words of its client. */

type CallResult = Pick<
  Extract<JournalEntry, { kind: "tool_end" }>,
  "output" | "exitCode" | "background" | "removed" | "names"
>;

const most = { readChars: 2_000, colouredChars: 8_000, names: 6, nameChars: 160, removed: 30 };

function resultOf(input: HookInput): CallResult {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const fields = asObject(response);
  const commands = simpleCommandsOf(tool, given);
  const output = deedOf(tool) === "runs" ? lastLines(printedIn(response)) : "";
  const exitCode = numberAt(fields, "exit_code");
  const background = textAt(fields, "backgroundTaskId") ?? (fields?.["isAsync"] === true ? agentIn(input) : null);
  const removed = commands.flatMap((one) => removedBy(one, input.cwd));
  const names = namesIn(input, commands, output);
  return {
    ...(output === "" ? {} : { output }),
    ...(exitCode === null ? {} : { exitCode }),
    ...(background === null ? {} : { background: idOf(background) }),
    ...(removed.length === 0 ? {} : { removed: removed.slice(0, most.removed) }),
    ...(names.length === 0 ? {} : { names: names.slice(-most.names) }),
  };
}

/** Answer of a sub-agent whose call has waited for it; null: it is none, or runs on. */
function subagentResult({ tool_name: tool = "", tool_response: response }: HookInput): string | null {
  if (!/^(?:Task|Agent)$/.test(tool) || asObject(response)?.["isAsync"] === true) return null;
  const text = printedIn(response).trim();
  return text === "" ? null : text;
}

function agentIn({ tool_response: response }: HookInput): string | null {
  return textAt(asObject(response), "agentId");
}

function printedIn(response: unknown): string {
  if (typeof response === "string") return response;
  const fields = asObject(response);
  const printed = ["stdout", "stderr", "output"].map((name) => textAt(fields, name) ?? "");
  const blocks = listAt(fields, "content").map((block) => textAt(asObject(block), "text") ?? "");
  return [...printed, blocks.join("\n")].find((text) => text.trim() !== "") ?? "";
}

/** The last line, with those before it as far as they are short. */
function lastLines(printed: string): string {
  // Colours would take the room of words.
  const plain = stripVTControlCharacters(printed.slice(-most.colouredChars)).trimEnd();
  const end = redactAndKeepEnds(plain, { head: 0, tail: most.readChars });
  const lines = end.split("\n").map((line) => line.replaceAll(/\s+/g, " ").trim());
  const said = lines.filter((line) => /[\p{L}\p{N}]/u.test(line) && !line.startsWith("[cut, "));
  let text = (said.pop() ?? "").slice(0, stored.output);
  for (let line = said.pop(); line !== undefined; line = said.pop()) {
    if (line.length + text.length + 3 > stored.output) break;
    text = `${line} / ${text}`;
  }
  return text;
}

function simpleCommandsOf(tool: string, given: unknown): readonly SimpleCommand[] {
  const command = shellCommandOf(tool, given);
  return command === null ? [] : simpleCommands(command.text, command.shell === "powershell");
}

/** Files that a command is to take away: whether it did is seen at the files. */
function removedBy({ words, folders }: SimpleCommand, cwd: string | undefined): string[] {
  const [program, ...rest] = words[0] === "git" ? words.slice(1) : words;
  const paths = rest.filter((word) => !word.startsWith("-"));
  const taken = program === "mv" ? paths.slice(0, -1) : program === "rm" || program === "unlink" ? paths : [];
  if (folders === null || cwd === undefined) return [];
  return taken.map((path) => pathOf(resolve(cwd, ...folders, path)));
}

/** Addresses of what people discuss, and names of tasks in a tracker. */
const address = /https?:\/\/[^\s"'<>()[\]`\\]{1,200}?\/(?:pull|merge_requests|issues)\/\d{1,9}\b/g;
const trackerId =
  /(?<![\w-])(?!(?:UTF|SHA|ISO|RFC|AES|RSA|GPT|CVE|ES|MD|HTTP|TLS|BASE|PEP)-)[A-Z][A-Z0-9]{1,9}-\d{1,6}(?![\w-])/g;

/** Worktrees, sub-agents, pull requests and tasks of a tracker that the call has named. */
function namesIn(input: HookInput, commands: readonly SimpleCommand[], output: string): string[] {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const fields = asObject(given);
  const worktrees = commands.flatMap(({ words }) => worktreeIn(words));
  const agent = /^(?:Task|Agent)$/.test(tool) ? [agentName(input)] : [];
  const texts = [textAt(fields, "command") ?? "", ...(tool.startsWith("mcp__") ? textsOf(fields) : [])];
  const written = texts.join("\n").slice(0, most.readChars);
  const printed = `${output}\n${printedIn(response).slice(-most.readChars)}`;
  const ids = [...written.matchAll(trackerId)].map(([id]) => id);
  const addresses = [...`${written}\n${printed}`.matchAll(address)].map(([one]) => one);
  const all = [...worktrees, ...agent, ...ids, ...addresses];
  return [...new Set(all.map((name) => redactAndClip(name, most.nameChars).replaceAll(/\s+/g, " ")))];
}

function worktreeIn(words: readonly string[]): string[] {
  const at = words.indexOf("worktree");
  if (words[0] !== "git" || at < 0 || words[at + 1] !== "add") return [];
  const rest = words.slice(at + 2);
  const path = rest.find((word, index) => !word.startsWith("-") && !/^-[bB]$/.test(rest[index - 1] ?? ""));
  return path === undefined ? [] : [`worktree ${path}`];
}

function agentName(input: HookInput): string {
  const fields = asObject(input.tool_input);
  const id = agentIn(input);
  const name = textAt(fields, "name") ?? textAt(fields, "description") ?? textAt(fields, "subagent_type") ?? "";
  return `sub-agent "${name}"${id === null ? "" : ` (${id})`}`;
}

function textsOf(fields: ReturnType<typeof asObject>): string[] {
  return Object.values(fields ?? {}).filter((value) => typeof value === "string");
}

/** Id of what a call has ended that ran in the background, or has seen at its end; null: none. */
function endedBackground({
  tool_name: tool = "",
  tool_input: given,
  tool_response: response,
}: HookInput): string | null {
  const fields = asObject(given);
  const id = textAt(fields, "task_id") ?? textAt(fields, "shell_id") ?? textAt(fields, "bash_id");
  if (/^(?:TaskStop|KillShell|KillBash)$/.test(tool)) return id;
  const answer = asObject(response);
  const status = textAt(answer, "status") ?? textAt(objectAt(answer, "task"), "status") ?? "";
  return /^(?:TaskOutput|BashOutput)$/.test(tool) && isOver(status) ? id : null;
}

function isOver(status: string): boolean {
  return /^(?:completed|failed|killed|stopped)$/.test(status);
}

const notice = /^<task-notification>[^]{0,200}?<task-id>([\w.:-]{1,200})<\/task-id>/;
const noticeStatus = /<status>(\w{1,40})<\/status>/;

/** Id of a background task whose end a client reports in the user's place; null: none. */
function endedTaskIn(prompt: string): string | null {
  const text = prompt.trimStart();
  const id = notice.exec(text)?.[1];
  return id !== undefined && isOver(noticeStatus.exec(text)?.[1] ?? "") ? id : null;
}

/**
 * Pure. Repeated events count once, by the client's own ids.
 *
 * @param turn names the turn, for an event to which the client gives no id
 * @param effects of a call that begins; absent: as its input alone shows them
 */
export function entriesOf(
  event: HookEvent,
  input: HookInput,
  turn: () => string = () => "",
  effects?: readonly EffectNote[],
): KeyedEntry[] {
  return readers[event](input, turn, effects);
}

type Reader = (input: HookInput, turn: () => string, effects?: readonly EffectNote[]) => KeyedEntry[];

const readers: Record<HookEvent, Reader> = {
  SessionStart: () => [],
  SessionEnd: () => [],
  UserPromptSubmit: prompt,
  PreToolUse: (input, _turn, effects = noteEffects(input)) =>
    toolCall(input, "start", (tool) => ({ kind: "tool_start", ...tool, ...(effects.length === 0 ? {} : { effects }) })),
  PostToolUse: (input) => [
    ...toolCall(input, "end", (tool) => ({
      kind: "tool_end",
      ...tool,
      ...durationOf(input),
      ...fileOf(input),
      ...resultOf(input),
    })),
    ...todos(input),
    ...dialog(input),
    ...directed(input),
  ],
  PostToolUseFailure: (input) =>
    toolCall(input, "end", (tool) => {
      const text = redactAndClip(stripVTControlCharacters(input.error ?? "failed"), stored.error);
      return { kind: "tool_error", ...tool, ...durationOf(input), text };
    }),
  PreCompact: (input, turn) => {
    const { trigger = "unknown" } = input;
    return [keyed(`compacting:${eventStamp(input, turn)}`, { kind: "compacting", trigger })];
  },
  PostCompact: (input, turn) => {
    const summary = redactAndKeepEnds(summaryIn(input.compact_summary ?? ""), stored.summary);
    const stamp = input.compact_summary ? digest(summary) : eventStamp(input, turn);
    return [keyed(`compacted:${stamp}`, { kind: "compacted", summary })];
  },
  // A client may report with it what its user ran.
  Stop: (input, turn) => (isRan(input.prompt ?? "") ? prompt(input, turn) : [turnEnd(input, turn)]),
  StopFailure: (input, turn) => {
    const text = [input.error ?? "unknown error", input.last_assistant_message].filter(Boolean).join(": ");
    return [keyed(`failure:${eventStamp(input, turn)}`, failure(text, input.limit ?? null))];
  },
  SubagentStop: (input, turn) => {
    // The summariser of a compaction ends as a subagent without a type.
    if (!input.agent_type) return [];
    return [subagentEnd(input.last_assistant_message ?? "", input.agent_id ?? null, eventStamp(input, turn))];
  },
  Notification: (input, turn) => asks(waitingFor(input), input, turn),
  PermissionRequest: (input, turn) =>
    asks(deedOf(input.tool_name ?? "") === "asks" ? "dialog" : "permission", input, turn),
  PreModelSwitch: () => [],
};

const waitingByType: Readonly<Record<string, AsksFor>> = {
  permission_prompt: "permission",
  worker_permission_prompt: "permission",
  elicitation_dialog: "dialog",
  elicitation_url_dialog: "dialog",
  agent_needs_input: "dialog",
  idle_prompt: "prompt",
};

/** Returns null if the user need not act. Older clients send a message only. */
function waitingFor({ notification_type: type, message }: HookInput): AsksFor | null {
  if (type !== undefined) return Object.hasOwn(waitingByType, type) ? (waitingByType[type] ?? null) : null;
  if (/\bpermission\b/i.test(message ?? "")) return "permission";
  return /\bwaiting for your input\b/i.test(message ?? "") ? "prompt" : null;
}

/** @param stood names what the chat did last: two events may report one question */
function asks(what: AsksFor | null, { tool_use_id: call }: HookInput, stood: () => string): KeyedEntry[] {
  if (what === null) return [];
  return [
    keyed(`asks:${what}:${stood()}`, { kind: "asks", for: what, ...(call === undefined ? {} : { call: idOf(call) }) }),
  ];
}

function subagentEnd(said: string, id: string | null, stamp: string): KeyedEntry {
  const text = redactAndKeepEnds(said.trim(), stored.subagent);
  const key = `subagent:${id ?? stamp}:${digest(text)}`;
  return keyed(key, { kind: "subagent_end", text, ...(id === null ? {} : { id: idOf(id) }) });
}

/** Sub-agents and background tasks that the call has ended, or has seen at their end. */
function directed(input: HookInput): KeyedEntry[] {
  const result = subagentResult(input);
  const ended = endedBackground(input);
  return [
    ...(result === null ? [] : [subagentEnd(result, agentIn(input), input.tool_use_id ?? "")]),
    ...(ended === null ? [] : [backgroundEnd(ended)]),
  ];
}

function backgroundEnd(id: string): KeyedEntry {
  return keyed(`background_end:${idOf(id)}`, { kind: "background_end", id: idOf(id) });
}

/** Prompts of the client itself say nothing but the end of a background task. */
function prompt(input: HookInput, turn: () => string): KeyedEntry[] {
  const ended = endedTaskIn(input.prompt ?? "");
  if (ended !== null) return [backgroundEnd(ended)];
  const text = withoutOwnTexts(userWords(input.prompt ?? ""));
  if (!text) return [];
  const kept = redactAndKeepEnds(text, stored.prompt);
  const said = keyed(`prompt:${eventStamp(input, turn)}`, { kind: "prompt", text: kept });
  return isRan(text) ? [said, turnEnd(input, turn)] : [said];
}

function turnEnd(input: HookInput, turn: () => string): KeyedEntry {
  return keyed(`turn:${eventStamp(input, turn)}`, { kind: "turn_end" });
}

/** Entries of what a client notes in its transcript, and has no event for. */
export function noteEntries(note: TranscriptNote): KeyedEntry[] {
  if (note.kind === "notice" || note.kind === "ended") {
    const ended = note.kind === "ended" ? note.id : endedTaskIn(note.text);
    return ended === null ? [] : [backgroundEnd(ended)];
  }
  if (note.kind === "named") {
    const name = redactAndClip(note.name, stored.input);
    return [keyed(`named:${digest(name)}`, { kind: "named", names: [name] })];
  }
  const text = redactAndClip(note.text.trim(), stored.error);
  return [keyed(`recap:${note.at}:${digest(text)}`, { kind: "recap", text })];
}

type Tool = Pick<Extract<JournalEntry, { kind: "tool_start" }>, "id" | "name" | "input">;

function toolCall(input: HookInput, moment: "start" | "end", entryOf: (tool: Tool) => JournalEntry): KeyedEntry[] {
  const tool = toolOf(input);
  return tool ? [keyed(`${moment}:${tool.id}`, entryOf(tool))] : [];
}

function durationOf({ duration_ms: durationMs }: HookInput): { durationMs?: number } {
  return durationMs === undefined ? {} : { durationMs };
}

function toolOf(input: HookInput): Tool | null {
  if (!input.tool_name || !input.tool_use_id) return null;
  const name = input.agent_id ? subagentTool(input.tool_name) : input.tool_name;
  return { id: input.tool_use_id, name, input: describeInput(input.tool_input) };
}

export function describeInput(toolInput: unknown): string {
  const values = asRecord(toolInput);
  const described = describingArguments.map((key) => values[key]).find((value) => typeof value === "string");
  const text =
    searchIn(values) ?? described ?? JSON.stringify(redactJson(boundTexts(toolInput ?? {}, stored.input * 4)).value);
  return redactAndClip(text, stored.input).replaceAll(/\s+/g, " ");
}

/** A search is described by what it searches, and its folder. */
function searchIn({ pattern, query = pattern, path }: Readonly<Record<string, unknown>>): string | null {
  return typeof query === "string" && typeof path === "string" ? `${query} in ${path}` : null;
}

function fileOf(input: HookInput): { path?: string; action?: FileNote["action"] } {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const path = filePathOf(tool, given);
  if (path === null) return {};
  if (deedOf(tool) === "reads") return { path: pathOf(path), action: "read" };
  const change = asRecord(response)["type"];
  return { path: pathOf(path), action: change === "create" ? "created" : change === "delete" ? "deleted" : "edited" };
}

/** Records the user's choice in a dialog, and an approved plan. */
function dialog(input: HookInput): KeyedEntry[] {
  if (input.agent_id || !input.tool_use_id) return [];
  if (input.tool_name === "AskUserQuestion") return answers(input, input.tool_use_id);
  if (input.tool_name === "ExitPlanMode") return plan(input, input.tool_use_id);
  return [];
}

const maxAnswers = 20;

function answers(input: HookInput, id: string): KeyedEntry[] {
  const given = {
    ...asRecord(asRecord(input.tool_input)["answers"]),
    ...asRecord(asRecord(input.tool_response)["answers"]),
  };
  const all = Object.entries(given)
    .slice(0, maxAnswers)
    .flatMap(([question, value]) => {
      const answer = Array.isArray(value) ? value.filter((one) => typeof one === "string").join(", ") : textOf(value);
      return answer
        ? [{ question: redactAndClip(question, stored.input), answer: redactAndClip(answer, stored.input) }]
        : [];
    });
  return all.length === 0 ? [] : [keyed(`answers:${id}`, { kind: "answers", answers: all })];
}

function plan(input: HookInput, id: string): KeyedEntry[] {
  const [given, answer] = [asRecord(input.tool_input), asRecord(input.tool_response)];
  const text = textOf(answer["plan"]) ?? textOf(given["plan"]);
  if (!text?.trim()) return [];
  const path = textOf(answer["filePath"]) ?? textOf(given["planFilePath"]);
  const { key, entry } = approvedPlan(text, id);
  return [keyed(key, { ...entry, ...(path ? { path: pathOf(path) } : {}) })];
}

function todos(input: HookInput): KeyedEntry[] {
  const values = asRecord(input.tool_input);
  const id = input.tool_use_id;
  if (input.tool_name === "TodoWrite" && Array.isArray(values["todos"])) {
    return [keyed(`todos:${id}`, { kind: "todos", todos: values["todos"].slice(0, 200).map(todoItem) })];
  }
  if (input.tool_name === "TaskCreate") return taskCreated(input, values);
  if (input.tool_name === "TaskUpdate") return taskUpdated(input, values);
  return [];
}

function taskCreated(input: HookInput, values: Record<string, unknown>): KeyedEntry[] {
  const task = asRecord(asRecord(input.tool_response)["task"]);
  const id = task["id"];
  if (typeof id !== "string") return [];
  const text = redactAndClip(textOf(values["subject"]) ?? textOf(values["description"]) ?? `task ${id}`, stored.input);
  return [keyed(`todo:${input.tool_use_id}`, { kind: "todo", todo: { id: idOf(id), text, status: "pending" } })];
}

function taskUpdated(input: HookInput, values: Record<string, unknown>): KeyedEntry[] {
  const given = values["taskId"];
  if (typeof given !== "string") return [];
  const id = idOf(given);
  const status = values["status"];
  if (status === "deleted") return [keyed(`todo:${input.tool_use_id}`, { kind: "todo_removed", id })];
  const text = typeof values["subject"] === "string" ? { text: redactAndClip(values["subject"], stored.input) } : {};
  const change = { ...text, ...(status === undefined ? {} : { status: statusOf(status) }) };
  return [keyed(`todo:${input.tool_use_id}`, { kind: "todo", todo: { id, ...change } })];
}

function todoItem(value: unknown): TodoItem {
  const values = asRecord(value);
  return {
    text: redactAndClip(textOf(values["content"]) ?? textOf(values["subject"]) ?? "", stored.input),
    status: statusOf(values["status"]),
  };
}

function statusOf(status: unknown): TodoItem["status"] {
  return status === "completed" || status === "in_progress" ? status : "pending";
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function asRecord(value: unknown): Record<string, unknown> {
  return { ...asObject(value) };
}

function keyed(key: string, entry: JournalEntry): KeyedEntry {
  return { key, entry };
}

/** Distinguishes events without a client id by turn and content. */
function eventStamp(input: HookInput, turn: () => string): string {
  const content = `${input.prompt ?? ""}${input.last_assistant_message ?? ""}${input.error ?? ""}${input.trigger ?? ""}`;
  return `${turn()}:${digest(content)}`;
}

/** Pure. The summary of a compaction, and the client's texts around it. */

const introduction = "This session is being continued from a previous conversation";
const analysisHeading = "Analysis:\n";
const summaryHeading = "Summary:\n";

/** Lines at the end, to the model. */
const instructions = [
  "If you need specific details from before compaction",
  "Recent messages are preserved",
  "Please continue the conversation from where we left",
  "Continue the conversation from where it left off",
];

/** The summary without the reasoning before it and the instructions after it. */
function summaryIn(text: string): string {
  const marked = withoutAnalysis(text).replaceAll(/<\/?summary>/g, "");
  return withoutInstructions(afterHeading(withoutIntroduction(marked.trim())));
}

/** In tags as the model writes it, which the client turns into headings. */
function withoutAnalysis(text: string): string {
  const [from, to] = [text.indexOf("<analysis>"), text.indexOf("</analysis>")];
  return from < 0 || to < from ? text : text.slice(0, from) + text.slice(to + "</analysis>".length);
}

function withoutIntroduction(text: string): string {
  return text.startsWith(introduction) && text.includes("\n") ? text.slice(text.indexOf("\n")).trimStart() : text;
}

function afterHeading(text: string): string {
  if (text.startsWith(summaryHeading)) return text.slice(summaryHeading.length);
  const at = text.startsWith(analysisHeading) ? text.indexOf(`\n\n${summaryHeading}`) : -1;
  return at < 0 ? text : text.slice(at + 2 + summaryHeading.length);
}

function withoutInstructions(text: string): string {
  let rest = text.trim();
  for (;;) {
    const line = rest.slice(rest.lastIndexOf("\n") + 1);
    if (!instructions.some((begin) => line.startsWith(begin))) return rest;
    rest = rest.slice(0, rest.length - line.length).trimEnd();
  }
}
