import { wordAt } from "../../redaction/redact.ts";
import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import { asTime } from "../../shared/known-time.ts";
import { ranText, userWords, withAttachments } from "../adapter/harness-text.ts";
import { uuid } from "../adapter/session-files.ts";
import {
  addCall,
  addEnd,
  type LineFormat,
  type LineOrigin,
  type TranscriptBase,
  type TranscriptDraft,
  type TranscriptToolCall,
  addCompaction,
  addFailure,
  addCounts,
  limitWindows,
  addText,
  rowState,
} from "../transcript/transcript-draft.ts";
import { agentsNamespace, answersOf, backgroundId, codex, headChars, printedIn, runningSession } from "./codex.ts";
import { noteFinalAnswer, noteThread, readAgents, startedBy, taskIn, threadOf } from "./codex-threads.ts";

const stateOf = rowState(() => ({
  /** The newest plan since the last prompt. */
  plan: null as string | null,
  /** Calls that a program is, by its own id. */
  programs: new Map<string, readonly string[]>(),
  /** Commands that a call waits for, by the id of the call. */
  waits: new Map<string, string>(),
}));

/** Rows of Codex's rollouts about calls of tools. */
const callRows: readonly (readonly [string, LineFormat])[] = [
  ["response_item/function_call", readFunctionCall],
  ["response_item/custom_tool_call", readCustomCall],
  [
    "response_item/local_shell_call",
    (draft, payload, origin) => add(draft, payload, shellCall(objectAt(payload, "action")?.["command"]), origin),
  ],
  ["response_item/function_call_output", readOutput],
  ["response_item/custom_tool_call_output", readOutput],
  ["response_item/local_shell_call_output", readOutput],
  ["event_msg/patch_apply_end", readPatchEnd],
  ["event_msg/mcp_tool_call_end", readMcpEnd],
];

type Call = Pick<TranscriptToolCall, "name" | "input" | "isUnhooked">;

const isUnhooked = true;

function add(draft: TranscriptDraft, payload: JsonObject, call: Call, { at, uuid }: LineOrigin): void {
  addCall(draft, { id: textAt(payload, "call_id", 200), at, uuid, ...call });
}

type ReadFunction = (input: JsonObject | null, draft: TranscriptDraft) => Call;

/** Functions in Claude Code's words. */
const functions: ReadonlyMap<string, ReadFunction> = new Map<string, ReadFunction>([
  ["exec_command", (input) => ({ name: "Bash", input: { command: input?.["cmd"] } })],
  ["shell", (input) => shellCall(input?.["command"])],
  ["shell_command", (input) => shellCall(input?.["command"])],
  ["update_plan", (input) => ({ name: "TodoWrite", input: { todos: todosOf(input) }, isUnhooked })],
  ["request_user_input", (input) => ({ name: "AskUserQuestion", input, isUnhooked })],
  ["apply_patch", (input) => ({ name: "apply_patch", input, isUnhooked })],
  [
    "spawn_agent",
    (input) => {
      const { task_name: description, message: prompt } = input ?? {};
      return { name: "Agent", input: { ...(description === undefined ? {} : { description }), prompt } };
    },
  ],
  ["close_agent", (input, draft) => ({ name: "TaskStop", input: { task_id: threadOf(draft, input?.["target"]) } })],
]);

/** Functions that wait for a command which runs on, or type into it. */
export const waiting: ReadonlySet<string> = new Set(["write_stdin", "wait"]);

function readFunctionCall(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const name = textAt(payload, "name", 200);
  const input = parseObject(textAt(payload, "arguments") ?? "");
  const command = numberAt(input, "session_id");
  if (name !== null && waiting.has(name) && command !== null)
    stateOf(draft).waits.set(textAt(payload, "call_id", 200) ?? "", backgroundId(command));
  if (name === null || waiting.has(name)) return;
  const server = textAt(payload, "namespace", 200);
  const isOwn = server === null || agentsNamespace.test(server);
  const own = isOwn ? functions.get(name)?.(input, draft) : { name: `${server}__${name}`, input };
  add(draft, payload, own ?? { name, input, isUnhooked }, origin);
}

/** A command is a list of words, the last of which is a shell's script. */
function shellCall(command: unknown): Call & { readonly input: { readonly command: string } } {
  const words = Array.isArray(command) ? command.filter((word) => typeof word === "string") : [];
  const isScript = words.length === 3 && /^-\w*c$/.test(words[1] ?? "");
  const line = typeof command === "string" ? command : isScript ? (words[2] ?? "") : words.join(" ");
  return { name: "Bash", input: { command: line } };
}

function todosOf(input: JsonObject | null): JsonObject[] {
  return listAt(input, "plan").map((step) => {
    const { step: content, status } = asObject(step) ?? {};
    return { content, status };
  });
}

/**
 * `apply_patch`, and `exec`: a program whose functions are the tools. Hooks report what the program
 * calls, under other ids.
 */
function readCustomCall(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const name = textAt(payload, "name", 200);
  const input = textAt(payload, "input") ?? "";
  if (name === "exec") return readProgram(draft, textAt(payload, "call_id", 200), input, origin);
  if (name !== null) add(draft, payload, { name, input: { input }, isUnhooked }, origin);
}

function readProgram(draft: TranscriptDraft, id: string | null, program: string, { at, uuid }: LineOrigin): void {
  if (id === null) return;
  const calls = callsOfProgram(program);
  const ids = calls.map((_call, index) => (index === 0 ? id : `${id}.${index}`));
  stateOf(draft).programs.set(id, ids);
  for (const [index, call] of calls.entries()) addCall(draft, { id: ids[index] ?? id, at, uuid, ...call, isUnhooked });
}

/** By which a dialog is known whose call stands in an earlier part. */
const dialogOutput = '{"answers":{';

/** A message to or of a sub-agent. */
function readAgentMessage(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const text = textOf(payload);
  noteFinalAnswer(draft, payload, text, origin.at);
  const task = taskIn(payload, text);
  if (task !== null) asks(draft, task, [], origin);
}

/** Output of a tool as the model reads it. */
function readOutput(draft: TranscriptDraft, payload: JsonObject, { at }: LineOrigin): void {
  const id = textAt(payload, "call_id", 200);
  if (id === null) return;
  const text = textAt(payload, "output");
  const parts = text === null ? listAt(payload, "output").map((part) => textAt(asObject(part), "text") ?? "") : [text];
  const output = parts.join("\n");
  readAgents(draft, output, at);
  const awaited = stateOf(draft).waits.get(id);
  if (awaited !== undefined && !isBehind(output))
    draft.notes.push({ kind: "ended", id: awaited, response: printedIn(output), at });
  for (const toolUseId of stateOf(draft).programs.get(id) ?? [id]) endCall(draft, toolUseId, output, at);
}

function isBehind(output: string): boolean {
  return runningSession.test(output.slice(0, headChars));
}

function endCall(draft: TranscriptDraft, toolUseId: string, output: string, at: number | null): void {
  const call = draft.calls.get(toolUseId);
  // No event comes of a command that works on behind the turn.
  const worksOn = isBehind(output);
  const isDialog = call ? call.name === "AskUserQuestion" : output.startsWith(dialogOutput);
  const isCommand = worksOn || call?.name === "Bash" || call?.name === "exec";
  const other = isCommand ? printedIn(output) : startedBy(draft, call, output);
  const response = isDialog ? answersOf(call?.input, output) : other;
  const unhooked = worksOn || (call && !call.isUnhooked) ? {} : ({ isUnhooked } as const);
  addEnd(draft, { toolUseId, error: errorIn(call?.name, output), at, ...(response ? { response } : {}), ...unhooked });
}

/** Patches inside of a program are among them, which is no call of its own then. */
function readPatchEnd(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const toolUseId = textAt(payload, "call_id", 200);
  if (toolUseId === null) return;
  add(draft, payload, { name: "apply_patch", input: { input: patchOf(payload) }, isUnhooked }, origin);
  const error = payload["success"] === false ? (textAt(payload, "stderr") ?? "failed") : null;
  addEnd(draft, { toolUseId, error, at: origin.at });
}

/** The headings of a patch, by which its files are known. */
function patchOf(payload: JsonObject): string {
  const changes = Object.entries(objectAt(payload, "changes") ?? {});
  return changes.map(([path, change]) => headingOf(path, asObject(change))).join("\n");
}

const headings: ReadonlyMap<unknown, string> = new Map([
  ["add", "Add"],
  ["delete", "Delete"],
]);

function headingOf(path: string, change: JsonObject | null): string {
  const moved = textAt(change, "move_path");
  return `*** ${headings.get(change?.["type"]) ?? "Update"} File: ${path}${moved === null ? "" : `\n*** Move to: ${moved}`}`;
}

function readMcpEnd(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const toolUseId = textAt(payload, "call_id", 200);
  const { server, tool, arguments: input } = objectAt(payload, "invocation") ?? {};
  if (toolUseId === null || typeof server !== "string" || typeof tool !== "string") return;
  add(draft, payload, { name: `mcp__${server}__${tool}`, input, isUnhooked }, origin);
  const result = objectAt(payload, "result");
  const answer = objectAt(result, "Ok");
  const isFailed = answer === null || answer["isError"] === true;
  const text = listAt(answer, "content").map((part) => textAt(asObject(part), "text") ?? "");
  const error = isFailed ? (textAt(result, "Err") ?? (text.join("\n") || "failed")) : null;
  addEnd(draft, { toolUseId, error, at: origin.at });
}

/** An item of 0.169 and later: the end of a call under the id that hooks report. */
function endItem(draft: TranscriptDraft, item: JsonObject, { at }: LineOrigin): void {
  const toolUseId = textAt(item, "id", 200);
  const code = numberAt(item, "exit_code") ?? 0;
  const failed = item["status"] === "failed" ? (textAt(objectAt(item, "error"), "message") ?? "failed") : null;
  const isCommand = item["type"] === "CommandExecution";
  if (!isCommand) return addEnd(draft, { toolUseId, error: failed, at });
  const stdout = textAt(item, "aggregated_output") ?? "";
  const error = code === 0 ? null : `Exit code ${code} ${stdout}`.trim();
  addEnd(draft, { toolUseId, error, at, response: { stdout, exit_code: code } });
}

interface ProgramCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Programs are longer than what is kept of a call. */
const maxProgramChars = 4_000;
const maxScannedChars = 100_000;

/** Functions that no call of the program stands for: a patch has a row of its own. */
const silent = /\btools\.(?:apply_patch|write_stdin)\(/;

/** A program of Codex's tool `exec`, whose functions are the tools, as their calls. */
export function callsOfProgram(program: string): readonly ProgramCall[] {
  const calls = [
    ...(program.includes("tools.exec_command(") ? [programCommands(program)] : []),
    ...(program.includes("tools.update_plan(") ? [{ name: "TodoWrite", input: { todos: todosIn(program) } }] : []),
  ];
  return calls.length > 0 || silent.test(program) ? calls : [{ name: "exec", input: { command: program } }];
}

const commandField = /\bcmd["']?:\s{0,20}(?:"((?:[^"\\]|\\.){1,1000})|`((?:[^`\\]|\\.){1,1000}))/g;

/** Commands that a program names in full; else they are in its variables. */
function programCommands(program: string): ProgramCall {
  const fields = program.slice(0, maxProgramChars).matchAll(commandField);
  const commands = [...fields].map(([, quoted, template = ""]) =>
    quoted === undefined ? template : unescaped(quoted),
  );
  return { name: "Bash", input: { command: commands.length > 0 ? commands.join("\n") : program } };
}

/** A text that is cut within an escaped character stays as it is. */
function unescaped(quoted: string): string {
  return textAt(parseObject(`{"text":"${quoted}"}`), "text") ?? quoted;
}

const planStep = /\bstep["']?:\s{0,20}"((?:[^"\\]|\\.){1,1000})",\s{0,20}["']?status["']?:\s{0,20}["'](\w{1,20})["']/g;

function todosIn(program: string): { readonly content: string; readonly status: string }[] {
  const steps = [...program.slice(0, maxScannedChars).matchAll(planStep)];
  return steps.map(([, content = "", status = ""]) => ({ content: unescaped(content), status }));
}

const failure = /^(?:Script failed|aborted|patch rejected|apply_patch verification failed|execution error)\b/;

/** @param tool whose call it is; undefined: that stands in an earlier part */
function errorIn(tool: string | undefined, output: string): string | null {
  const head = output.slice(0, headChars);
  // The exit code of a command in the same program says nothing of a plan.
  const { stdout, exit_code: code = 0 } = tool === "TodoWrite" ? {} : printedIn(output);
  if (code !== 0) return `Exit code ${code} ${stdout}`;
  return failure.test(head) ? output : null;
}

/**
 * Rows of Codex's rollouts by `type` and the type of the payload. 0.118 to 0.147
 * write messages as events; since 0.169 `item_completed` has them once, with the ids that hooks
 * report. `response_item/message` repeats both, between texts of the client.
 */
const rows: ReadonlyMap<string, LineFormat> = new Map<string, LineFormat>([
  ...callRows,
  ["turn_context", (draft, payload) => void (draft.model = wordAt(payload, "model", 200) ?? draft.model)],
  ["session_meta", readMeta],
  ["token_usage_record", readUsage],
  // Newer summaries are encrypted.
  ["compacted", (draft, payload, { at }) => compacts(draft, textAt(payload, "message"), at)],
  ["event_msg/user_message", readUserMessage],
  ["event_msg/agent_message", readMessage],
  ["response_item/agent_message", readAgentMessage],
  ["event_msg/sub_agent_activity", (draft, payload) => noteThread(draft, payload, "event_id")],
  [
    "event_msg/item_completed",
    (draft, payload, origin) => {
      const item = objectAt(payload, "item");
      if (item) items.get(textAt(item, "type") ?? "")?.(draft, item, origin);
    },
  ],
  [
    "event_msg/token_count",
    (draft, payload) => {
      draft.contextWindow = numberAt(objectAt(payload, "info"), "model_context_window");
      const windows = limitWindows(objectAt(payload, "rate_limits"), ["primary", "secondary"], "used_percent");
      if (windows.length > 0) draft.limitWindows = windows;
    },
  ],
  ["event_msg/task_complete", readEnd],
  ["event_msg/turn_aborted", (draft, _payload, { at }) => void draft.interruptions.push({ at })],
  ["event_msg/thread_rolled_back", readRollback],
]);

export function readCodexLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const payload = objectAt(line, "payload");
  const type = textAt(line, "type") ?? "";
  const row = rows.get(type) ?? rows.get(`${type}/${textAt(payload, "type") ?? ""}`);
  if (payload) row?.(draft, payload, origin);
}

/** Written by `codex exec`, or by the SDKs, which run it. */
export function isOfExec(meta: JsonObject | null): boolean {
  return meta?.["source"] === "exec";
}

function baseOf(payload: JsonObject, at: number | null): TranscriptBase {
  const base = objectAt(payload, "history_base");
  const id = textAt(base, "thread_id", 100) ?? "";
  const bytes = numberAt(base, "end_byte_offset") ?? 0;
  if (uuid.test(id)) return { bytes, files: `../../../*/*/*/rollout-*${id}.jsonl`, at: at ?? 0 };
  // Without it the file is the first one, or the user has gone back to before the first prompt.
  const made = asTime(Date.parse(textAt(payload, "timestamp", 40) ?? ""));
  // The row is written with the first prompt, whose event may come before it.
  return { bytes: 0, files: "", at: made ?? at ?? 0 };
}

/** A session that continues another one repeats that one's row after its own. */
function readMeta(draft: TranscriptDraft, payload: JsonObject, { at }: LineOrigin): void {
  draft.forkedFrom ??= textAt(payload, "forked_from_id", 100);
  draft.base ??= baseOf(payload, at);
  draft.clientVersion ??= wordAt(payload, "cli_version", 40);
  draft.isScripts ??= payload["source"] === undefined ? null : isOfExec(payload);
  const git = objectAt(payload, "git");
  const commit = textAt(git, "commit_hash", 64) ?? "";
  if (/^[0-9a-f]{40,64}$/.test(commit)) draft.git ??= { branch: wordAt(git, "branch", 200), commit };
}

function readUserMessage(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const images = listAt(payload, "images").map(() => "image");
  const files = listAt(payload, "local_images").filter((path) => typeof path === "string");
  asks(draft, textAt(payload, "message") ?? "", [...images, ...files], origin);
}

/** An automation of the desktop app writes in the user's place. */
const automation = /^<heartbeat\b/;

function asks(draft: TranscriptDraft, message: string, attached: readonly string[], origin: LineOrigin): void {
  const text = withAttachments(userWords(message), attached);
  if (text === "" || automation.test(text) || isRepeated(draft, text, origin)) return;
  draft.branch = { parent: draft.branch, isWithdrawn: false };
  addText(draft, "user", text, origin);
  const state = stateOf(draft);
  if (approval.test(text)) draft.plans.push({ text: state.plan, ...origin });
  state.plan = null;
}

/** The client's own words for a plan that the user approves. */
const approval = /^(?:Implement the plan\.$|PLEASE IMPLEMENT THIS PLAN:)/;

/** Rows that follow each other tell of the same event. */
const sameEventMs = 1_000;

function isRepeated({ texts }: TranscriptDraft, text: string, { at }: LineOrigin): boolean {
  const last = texts.at(-1);
  const isSame = last?.role === "user" && last.text === text && last.branch?.isWithdrawn !== true;
  return isSame && Math.abs((at ?? 0) - (last.at ?? 0)) < sameEventMs;
}

/** Nothing follows a final answer in its turn, whose end is written later. */
function readMessage(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const text = textAt(payload, "message");
  says(draft, text, origin);
  if (text !== null && payload["phase"] === "final_answer") draft.turnEnd = { text, at: origin.at };
}

function says(draft: TranscriptDraft, text: string | null, origin: LineOrigin): void {
  if (text === null || text.trim() === "") return;
  addText(draft, "assistant", text, origin);
  draft.turnEnd = null;
}

const items: ReadonlyMap<string, LineFormat> = new Map<string, LineFormat>([
  ["UserMessage", (draft, item, origin) => asks(draft, textOf(item), imagesOf(item), origin)],
  ["AgentMessage", (draft, item, origin) => says(draft, textOf(item), origin)],
  [
    "Plan",
    (draft, item, origin) => {
      const plan = textAt(item, "text");
      stateOf(draft).plan = plan;
      says(draft, plan, origin);
    },
  ],
  [
    "CommandExecution",
    (draft, item, origin) => {
      if (item["source"] !== "user_shell") return endItem(draft, item, origin);
      const { command } = shellCall(item["command"]).input;
      asks(draft, ranText(command), [], origin);
    },
  ],
  ["SubAgentActivity", (draft, item) => noteThread(draft, item, "id")],
  ["McpToolCall", endItem],
  ["FileChange", endItem],
  // `compacted` has more, and a live read may begin between the two.
  ["ContextCompaction", (draft, _item, { at }) => compacts(draft, null, at)],
]);

function textOf(item: JsonObject): string {
  const parts = listAt(item, "content").map((part) => textAt(asObject(part), "text") ?? "");
  return parts.filter((part) => part !== "").join("\n");
}

function imagesOf(item: JsonObject): string[] {
  const types = listAt(item, "content").map((part) => textAt(asObject(part), "type") ?? "");
  return types.filter((type) => /image/i.test(type)).map(() => "image");
}

function compacts(draft: TranscriptDraft, summary: string | null, at: number | null): void {
  const last = draft.compactions.at(-1);
  const isSame = last !== undefined && Math.abs((at ?? 0) - (last.at ?? 0)) < sameEventMs;
  if (isSame) draft.compactions.pop();
  addCompaction(draft, { summary: summary ?? (isSame ? last.summary : null), trigger: "unknown", at });
}

function readRollback(draft: TranscriptDraft, payload: JsonObject, { uuid }: LineOrigin): void {
  let count = numberAt(payload, "num_turns", 1_000) ?? 0;
  for (; count > 0 && draft.branch; count -= 1) {
    draft.branch.isWithdrawn = true;
    draft.branch = draft.branch.parent;
  }
  if (count > 0) draft.unplaced.push(uuid);
}

/** A turn that an error of the API ends has no other trace. */
function readEnd(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const error = objectAt(payload, "error");
  if (error) return addFailure(draft, textAt(error, "message") ?? "error", origin, codex.limitIn?.(error));
  const text = textAt(payload, "last_agent_message") ?? "";
  draft.turnEnd = { text, at: origin.at };
}

function readUsage(draft: TranscriptDraft, payload: JsonObject, { at }: LineOrigin): void {
  const messageId = textAt(payload, "response_id", 200);
  if (messageId === null) return;
  const fields = { input: "input_tokens", cached: "cached_input_tokens", written: "cache_write_input_tokens" };
  const answer = { messageId, model: draft.model, at };
  addCounts(draft, objectAt(payload, "usage"), { ...fields, output: ["output_tokens"] }, answer);
}
