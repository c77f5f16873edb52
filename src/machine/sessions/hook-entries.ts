import { stripVTControlCharacters } from "node:util";
import { isRan, subagentWords, userWords } from "../../clients/adapter/harness-text.ts";
import { deedOf, filePathOf, subagentTool } from "../../clients/adapter/tools.ts";
import type { TranscriptNote } from "../../clients/transcript/transcript-draft.ts";
import type { AsksFor } from "../../contract/chat-state.ts";
import { describingArguments } from "../../contract/hook-tool.ts";
import type { HookInput, HookEvent } from "../../contract/hooks.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { FileNote, TodoItem } from "../../contract/work-state.ts";
import { stored } from "../../contract/limits.ts";
import { boundTexts, redactJson } from "../../redaction/redact-json.ts";
import { redactAndClip, redactAndKeepEnds } from "../../redaction/redact.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { withoutOwnTexts } from "./text/neutralize.ts";
import { idOf, pathOf, approvedPlan, digest, failure, type KeyedEntry } from "./entries.ts";
import { noteCall, type CallEntry, type CallNotes } from "./call-notes.ts";
import { provenBy } from "./effect-proofs.ts";

/** Pure: what the end of a call shows, in the words of its client. */

type CallResult = Pick<
  Extract<JournalEntry, { kind: "tool_end" }>,
  "output" | "exitCode" | "background" | "removed" | "names" | "proven"
>;

const most = { readChars: 2_000, colouredChars: 8_000, names: 6, nameChars: 160, removed: 30 };

function resultOf(input: HookInput, { removed, worktrees, effects }: CallNotes): CallResult {
  const { tool_name: tool = "", tool_response: response } = input;
  const fields = asObject(response);
  const output = deedOf(tool) === "runs" ? lastLines(printedIn(response)) : "";
  const proven = effects.length === 0 ? [] : provenBy(effects, allPrinted(response), fields);
  const exitCode = numberAt(fields, "exit_code");
  const background = textAt(fields, "backgroundTaskId") ?? (fields?.["isAsync"] === true ? agentIn(input) : null);
  const names = namesIn(input, worktrees, output);
  return {
    ...(output === "" ? {} : { output }),
    ...(exitCode === null ? {} : { exitCode }),
    ...(background === null ? {} : { background: idOf(background) }),
    ...(removed.length === 0 ? {} : { removed: removed.slice(0, most.removed).map(pathOf) }),
    ...(names.length === 0 ? {} : { names: names.slice(-most.names) }),
    ...(proven.length === 0 ? {} : { proven }),
  };
}

function agentIn({ tool_response: response }: HookInput): string | null {
  return textAt(asObject(response), "agentId");
}

function printedIn(response: unknown): string {
  if (typeof response === "string") return response;
  const fields = asObject(response);
  for (const name of ["stdout", "stderr", "output"]) {
    const printed = textAt(fields, name);
    if (printed !== null && printed.trim() !== "") return printed;
  }
  const blocks = [...listAt(fields, "content"), ...listAt(fields, "llmContent")];
  return blocks.map((block) => textAt(asObject(block), "text") ?? "").join("\n");
}

/** With what it wrote as errors: git reports a push there. */
function allPrinted(response: unknown): string {
  return `${textAt(asObject(response), "stderr") ?? ""}\n${printedIn(response)}`;
}

/** The last line, with those before it as far as they are short. */
function lastLines(printed: string): string {
  // Colours would take the room of words.
  const plain = stripVTControlCharacters(printed.slice(-most.colouredChars)).trimEnd();
  const end = redactAndKeepEnds(plain, { head: 0, tail: most.readChars });
  let text = "";
  for (const line of end.split("\n").toReversed()) {
    const said = line.replaceAll(/\s+/g, " ").trim();
    if (!/[\p{L}\p{N}]/u.test(said) || said.startsWith("[cut, ")) continue;
    if (text !== "" && said.length + text.length + 3 > stored.output) break;
    text = text === "" ? said.slice(0, stored.output) : `${said} / ${text}`;
  }
  return text;
}

/** Addresses of what people discuss, and names of tasks in a tracker. */
const address = /https?:\/\/[^\s"'<>()[\]`\\]{1,200}?\/(?:pull|merge_requests|issues)\/\d{1,9}\b/g;
const trackerId =
  /(?<![\w-])(?!(?:UTF|SHA|ISO|RFC|AES|RSA|GPT|CVE|ES|MD|HTTP|TLS|BASE|PEP)-)[A-Z][A-Z0-9]{1,9}-\d{1,6}(?![\w-])/g;

/** Worktrees, sub-agents, pull requests and tasks of a tracker that the call has named. */
function namesIn(input: HookInput, worktrees: readonly string[], output: string): string[] {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const fields = asObject(given);
  const agent = /^(?:Task|Agent)$/.test(tool) ? [agentName(input)] : [];
  const texts = [textAt(fields, "command") ?? "", ...(tool.startsWith("mcp__") ? textsOf(fields) : [])];
  const written = texts.join("\n").slice(0, most.readChars);
  const printed = `${output}\n${printedIn(response).slice(-most.readChars)}`;
  const ids = [...written.matchAll(trackerId)].map(([id]) => id);
  const addresses = [...`${written}\n${printed}`.matchAll(address)].map(([one]) => one);
  const all = [...worktrees.map((path) => `worktree ${path}`), ...agent, ...ids, ...addresses];
  return [...new Set(all.map((name) => redactAndClip(name, most.nameChars).replaceAll(/\s+/g, " ")))];
}

function agentName(input: HookInput): string {
  const fields = asObject(input.tool_input);
  const id = agentIn(input);
  const fitting = ["name", "description", "subagent_type", "prompt"].find((field) => textAt(fields, field) !== null);
  const name = textAt(fields, fitting ?? "") ?? "";
  return `sub-agent "${name}"${id === null ? "" : ` (${id})`}`;
}

function textsOf(fields: ReturnType<typeof asObject>): string[] {
  return Object.values(fields ?? {}).filter((value) => typeof value === "string");
}

function isOver(status: string): boolean {
  return /^(?:completed|failed|killed|stopped|cancelled)$/.test(status);
}

const notice = /^<task-notification>[^]{0,200}?<task-id>([\w.:-]{1,200})<\/task-id>/;
const noticeStatus = /<status>(\w{1,40})<\/status>/;
const noticeCode = /<summary>[^<]{0,2000}\bexit code (\d{1,5})\b[^<]{0,20}<\/summary>/;

/** The end of a background task that a client reports in the user's place, with its answer. */
function endedTaskIn(prompt: string): KeyedEntry[] {
  const text = prompt.trimStart();
  const id = notice.exec(text)?.[1];
  if (id === undefined || !isOver(noticeStatus.exec(text)?.[1] ?? "")) return [];
  const code = noticeCode.exec(text)?.[1];
  const isAnswered = text.includes("<result>");
  return endOfTask(id, isAnswered ? text : "", isAnswered || code === undefined ? {} : { exit_code: Number(code) });
}

function endOfTask(id: string, answer: string, response: JsonObject): KeyedEntry[] {
  return [backgroundEnd(id, response), ...subagentAnswer(answer, id, "")];
}

export function isToolEnd(event: HookEvent): boolean {
  return event === "PostToolUse" || event === "PostToolUseFailure";
}

/**
 * Pure. Repeated events count once, by the client's own ids.
 *
 * @param turn names the turn, for an event to which the client gives no id
 * @param notes of a call; absent: as its input alone shows them
 */
export function entriesOf(
  event: HookEvent,
  input: HookInput,
  turn: () => string = () => "",
  notes?: CallNotes,
): KeyedEntry[] {
  return readers[event](input, turn, notes);
}

type Reader = (input: HookInput, turn: () => string, notes?: CallNotes) => KeyedEntry[];

const readers: Record<HookEvent, Reader> = {
  SessionStart: () => [],
  SessionEnd: () => [],
  UserPromptSubmit: prompt,
  PreToolUse: (input, _turn, { effects } = noteCall(input)) =>
    toolCall("tool_start", input, effects.length === 0 ? {} : { effects }),
  PostToolUse: (input, _turn, notes = noteCall(input)) => {
    const end = toolCall("tool_end", input, { ...fileOf(input), ...resultOf(input, notes) });
    return [...end, ...(besides.get(input.tool_name ?? "")?.(input, input.tool_use_id ?? "") ?? [])];
  },
  PostToolUseFailure: (input, _turn, { effects } = noteCall(input)) => {
    const text = redactAndKeepEnds(stripVTControlCharacters(input.error ?? "failed"), stored.callError);
    const proven = effects.length === 0 ? [] : provenBy(effects, input.error ?? "");
    return toolCall("tool_error", input, { text, ...(proven.length === 0 ? {} : { proven }) });
  },
  PreCompact: (input, turn) => {
    const { trigger = "unknown" } = input;
    return [keyed(`compacting:${eventStamp(input, turn)}`, { kind: "compacting", trigger })];
  },
  PostCompact: (input, turn) => {
    // A sub-agent's own conversation was compacted.
    if (input.agent_id) return [];
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

/** @returns none without words */
function subagentAnswer(said: string, id: string | null, stamp: string): KeyedEntry[] {
  const words = subagentWords(said);
  return words === "" ? [] : [subagentEnd(words, id, stamp)];
}

function subagentEnd(said: string, id: string | null, stamp: string): KeyedEntry {
  const text = redactAndKeepEnds(said.trim(), stored.subagent);
  const key = `subagent:${id ?? stamp}:${digest(text)}`;
  return keyed(key, { kind: "subagent_end", text, ...(id === null ? {} : { id: idOf(id) }) });
}

/** @param response of its command */
function backgroundEnd(id: string, response: JsonObject): KeyedEntry {
  const exitCode = numberAt(response, "exit_code") ?? numberAt(response, "exitCode");
  const proven = provenBy(null, allPrinted(response));
  const known = { ...(exitCode === null ? {} : { exitCode }), ...(proven.length === 0 ? {} : { proven }) };
  return keyed(`background_end:${idOf(id)}`, { kind: "background_end", id: idOf(id), ...known });
}

/** The user's words in a prompt, as they are stored; empty: there are none. */
function storedPrompt(prompt: string): string {
  return redactAndKeepEnds(withoutOwnTexts(userWords(prompt)), stored.prompt);
}

/** The same of words that a user wrote, which may look like a notice of the client. */
export function storedWords(words: string): string {
  return storedPrompt(words) || redactAndKeepEnds(words, stored.prompt);
}

/** Prompts of the client itself say nothing but the end of a background task. */
function prompt(input: HookInput, turn: () => string): KeyedEntry[] {
  const ended = endedTaskIn(input.prompt ?? "");
  if (ended.length > 0) return ended;
  const text = storedPrompt(input.prompt ?? "");
  if (!text) return [];
  const said = keyed(`prompt:${eventStamp(input, turn)}`, { kind: "prompt", text });
  return isRan(text) ? [said, turnEnd(input, turn)] : [said];
}

function turnEnd(input: HookInput, turn: () => string): KeyedEntry {
  return keyed(`turn:${eventStamp(input, turn)}`, { kind: "turn_end" });
}

/** Entries of what a client notes in its transcript, and has no event for. */
export function noteEntries(note: TranscriptNote): KeyedEntry[] {
  if (note.kind === "ended") return [backgroundEnd(note.id, note.response ?? {})];
  if (note.kind === "notice") return endedTaskIn(note.text);
  if (note.kind === "answer") return subagentAnswer(note.text, note.id, `${note.at}`);
  if (note.kind === "named") {
    const name = redactAndClip(note.name, stored.input);
    return [keyed(`named:${digest(name)}`, { kind: "named", names: [name] })];
  }
  const text = redactAndClip(note.text.trim(), stored.error);
  return [keyed(`recap:${note.at}:${digest(text)}`, { kind: "recap", text })];
}

type Rest<Kind extends CallEntry["kind"]> = Omit<Extract<CallEntry, { kind: Kind }>, "kind" | "id" | "name" | "input">;

function toolCall<Kind extends CallEntry["kind"]>(kind: Kind, input: HookInput, rest: Rest<Kind>): KeyedEntry[] {
  const { tool_name: tool, tool_use_id: id, agent_id: agent, duration_ms: durationMs } = input;
  if (!tool || !id) return [];
  const isStart = kind === "tool_start";
  const call = { kind, id, name: agent ? subagentTool(tool) : tool, input: describeInput(input.tool_input), ...rest };
  const entry = isStart || durationMs === undefined ? call : { ...call, durationMs };
  return [keyed(`${isStart ? "start" : "end"}:${id}`, entry as CallEntry)];
}

export function describeInput(toolInput: unknown): string {
  const values = asObject(toolInput);
  const [search, folder] = [textAt(values, "query") ?? textAt(values, "pattern"), textAt(values, "path")];
  const described = describingArguments.find((name) => typeof values?.[name] === "string");
  // The few words for a sub-agent's work say less than its task.
  const task = described === "description" ? textAt(values, "prompt") : null;
  let text: string;
  // A search is described by what it searches, and its folder.
  if (search !== null && folder !== null) text = `${search} in ${folder}`;
  else if (described !== undefined) text = [String(values?.[described]), ...(task === null ? [] : [task])].join(": ");
  else text = JSON.stringify(redactJson(boundTexts(toolInput ?? {}, stored.input * 4)).value);
  return redactAndClip(text, stored.input).replaceAll(/\s+/g, " ");
}

function fileOf(input: HookInput): { path?: string; action?: FileNote["action"] } {
  const { tool_name: tool = "", tool_input: given, tool_response: response } = input;
  const path = filePathOf(tool, given);
  if (path === null) return {};
  if (deedOf(tool) === "reads") return { path: pathOf(path), action: "read" };
  const change = asObject(response)?.["type"];
  return { path: pathOf(path), action: change === "create" ? "created" : change === "delete" ? "deleted" : "edited" };
}

/** Entries of the end of a call beside its own, by its tool and with its id. */
const besides: ReadonlyMap<string, (input: HookInput, id: string) => KeyedEntry[]> = new Map([
  ["TodoWrite", todos],
  ["TaskCreate", taskCreated],
  ["TaskUpdate", taskUpdated],
  ["AskUserQuestion", answers],
  ["ExitPlanMode", plan],
  ["Task", subagentResult],
  ["Agent", subagentResult],
  ["invoke_agent", subagentResult],
  ["TaskStop", stopped],
  ["KillShell", stopped],
  ["KillBash", stopped],
  ["TaskOutput", seenOver],
  ["BashOutput", seenOver],
]);

/** Answer of a sub-agent whose call has waited for it. */
function subagentResult(input: HookInput, id: string): KeyedEntry[] {
  const { tool_response: response } = input;
  const isAsync = asObject(response)?.["isAsync"] === true;
  return isAsync ? [] : subagentAnswer(printedIn(response), agentIn(input), id);
}

/** The end of what ran in the background. */
function stopped({ tool_input: given }: HookInput, _call: string, task: JsonObject | null = null): KeyedEntry[] {
  const fields = asObject(given);
  const id = textAt(fields, "task_id") ?? textAt(fields, "shell_id") ?? textAt(fields, "bash_id");
  return id === null ? [] : endOfTask(id, textAt(task, "result") ?? "", task ?? {});
}

function seenOver(input: HookInput, call: string): KeyedEntry[] {
  const answer = asObject(input.tool_response);
  const task = objectAt(answer, "task");
  const status = textAt(answer, "status") ?? textAt(task, "status") ?? "";
  return isOver(status) ? stopped(input, call, task ?? answer) : [];
}

const maxAnswers = 20;

/** The user's choice in a dialog. */
function answers({ agent_id: agent, tool_input: input, tool_response: response }: HookInput, id: string): KeyedEntry[] {
  if (agent || id === "") return [];
  const given = { ...objectAt(asObject(input), "answers"), ...objectAt(asObject(response), "answers") };
  const all = Object.entries(given)
    .slice(0, maxAnswers)
    .flatMap(([question, value]) => {
      const answer = Array.isArray(value) ? value.filter((one) => typeof one === "string").join(", ") : value;
      return typeof answer === "string" && answer !== ""
        ? [{ question: redactAndClip(question, stored.input), answer: redactAndClip(answer, stored.input) }]
        : [];
    });
  return all.length === 0 ? [] : [keyed(`answers:${id}`, { kind: "answers", answers: all })];
}

/** A plan that the user has approved. */
function plan({ agent_id: agent, tool_input: input, tool_response: response }: HookInput, id: string): KeyedEntry[] {
  const [given, answer] = [asObject(input), asObject(response)];
  const text = textAt(answer, "plan") ?? textAt(given, "plan");
  if (agent || id === "" || !text?.trim()) return [];
  const path = textAt(answer, "filePath") ?? textAt(given, "planFilePath");
  const { key, entry } = approvedPlan(text, id);
  return [keyed(key, { ...entry, ...(path === null ? {} : { path: pathOf(path) }) })];
}

function todos(input: HookInput, id: string): KeyedEntry[] {
  const all = asObject(input.tool_input)?.["todos"];
  if (!Array.isArray(all)) return [];
  return [keyed(`todos:${id}`, { kind: "todos", todos: all.slice(0, maxTodos).map(todoItem) })];
}

const maxTodos = 200;

function taskCreated({ tool_input: input, tool_response: response }: HookInput, call: string): KeyedEntry[] {
  const [values, id] = [asObject(input), objectAt(asObject(response), "task")?.["id"]];
  if (typeof id !== "string") return [];
  const about = textAt(values, "subject") ?? textAt(values, "description") ?? `task ${id}`;
  const todo = { id: idOf(id), text: redactAndClip(about, stored.input), status: "pending" } as const;
  return [keyed(`todo:${call}`, { kind: "todo", todo })];
}

function taskUpdated(input: HookInput, call: string): KeyedEntry[] {
  const { taskId: given, subject, status } = asObject(input.tool_input) ?? {};
  if (typeof given !== "string") return [];
  const id = idOf(given);
  if (status === "deleted") return [keyed(`todo:${call}`, { kind: "todo_removed", id })];
  const text = typeof subject === "string" ? { text: redactAndClip(subject, stored.input) } : {};
  const change = { ...text, ...(status === undefined ? {} : { status: statusOf(status) }) };
  return [keyed(`todo:${call}`, { kind: "todo", todo: { id, ...change } })];
}

function todoItem(value: unknown): TodoItem {
  const item = asObject(value);
  const text = redactAndClip(textAt(item, "content") ?? textAt(item, "subject") ?? "", stored.input);
  return { text, status: statusOf(item?.["status"]) };
}

function statusOf(status: unknown): TodoItem["status"] {
  return status === "completed" || status === "in_progress" ? status : "pending";
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
