import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import { answersOf } from "../../clients/codex.ts";
import { errorIn, exitMarks } from "./codex-failures.ts";
import { noteCell, noteSession, polledCommand, saysItRunsOn } from "./codex-polls.ts";
import { callsOfProgram } from "./codex-programs.ts";
import {
  addCall,
  addEnd,
  removeCall,
  reopenCall,
  stopCall,
  type LineOrigin,
  type TranscriptDraft,
  type TranscriptToolCall,
} from "./transcript-draft.ts";

type RowReader = (draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin) => void;

/** [TR201] Rows of Codex's rollouts about calls of tools. */
export const callRows: readonly (readonly [string, RowReader])[] = [
  ["response_item/function_call", readFunctionCall],
  ["response_item/custom_tool_call", readCustomCall],
  ["response_item/local_shell_call", readShellCall],
  ["response_item/function_call_output", readOutput],
  ["response_item/custom_tool_call_output", readOutput],
  ["response_item/local_shell_call_output", readOutput],
  ["event_msg/patch_apply_end", readPatchEnd],
  ["event_msg/mcp_tool_call_end", readMcpEnd],
];

type Call = Pick<TranscriptToolCall, "name" | "input" | "isUnhooked">;

const isUnhooked = true;

function add(draft: TranscriptDraft, payload: JsonObject, call: Call, { at, uuid }: LineOrigin): void {
  const id = textAt(payload, "call_id", 200);
  if (id !== null) addCall(draft, { id, at, uuid, ...call });
}

/** Functions in Claude Code's words. */
const functions: ReadonlyMap<string, (input: JsonObject | null) => Call> = new Map<
  string,
  (input: JsonObject | null) => Call
>([
  ["exec_command", (input) => ({ name: "Bash", input: { command: input?.["cmd"] } })],
  ["shell", (input) => shellCall(input?.["command"])],
  ["shell_command", (input) => shellCall(input?.["command"])],
  ["update_plan", (input) => ({ name: "TodoWrite", input: { todos: todosOf(input) }, isUnhooked })],
  ["request_user_input", (input) => ({ name: "AskUserQuestion", input, isUnhooked })],
  ["apply_patch", (input) => ({ name: "apply_patch", input, isUnhooked })],
]);

function readFunctionCall(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const name = textAt(payload, "name", 200);
  const id = textAt(payload, "call_id", 200);
  if (name === null || id === null) return;
  const written = textAt(payload, "arguments") ?? "";
  if ((name === "write_stdin" || name === "wait") && isPoll(draft, id, written)) return;
  const input = parseObject(written);
  add(draft, payload, functionCall(name, textAt(payload, "namespace", 200), input), origin);
}

function functionCall(name: string, server: string | null, input: JsonObject | null): Call {
  if (server !== null) return { name: `${server}__${name}`, input };
  return functions.get(name)?.(input) ?? { name, input, isUnhooked };
}

/** A command is a list of words, the last of which is a shell's script. */
function shellCall(command: unknown): Call {
  const words = Array.isArray(command) ? command.filter((word) => typeof word === "string") : [];
  const isScript = words.length === 3 && /^-\w*c$/.test(words[1] ?? "");
  const line = typeof command === "string" ? command : isScript ? words[2] : words.join(" ");
  return { name: "Bash", input: { command: line } };
}

function todosOf(input: JsonObject | null): JsonObject[] {
  return listAt(input, "plan").map((step) => {
    const { step: content, status } = asObject(step) ?? {};
    return { content, status };
  });
}

function readShellCall(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  add(draft, payload, shellCall(objectAt(payload, "action")?.["command"]), origin);
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

function isPoll(draft: TranscriptDraft, id: string, written: string): boolean {
  const command = polledCommand(draft.codex, id, written);
  if (command !== null) reopenCall(draft, command);
  return command !== null;
}

function readProgram(draft: TranscriptDraft, id: string | null, program: string, { at, uuid }: LineOrigin): void {
  if (id === null) return;
  const calls = callsOfProgram(program);
  const marks = exitMarks(program);
  if (calls[0]?.name === "write_stdin" && isPoll(draft, id, program)) {
    draft.codex.programs.set(id, { calls: [draft.codex.polls.get(id) ?? id], marks });
    return;
  }
  const ids = calls.map((_, index) => (index === 0 ? id : `${id}.${index}`));
  draft.codex.programs.set(id, { calls: ids, marks });
  for (const [index, call] of calls.entries()) {
    const own = ids[index] ?? id;
    addCall(draft, { id: own, at, uuid, ...call, isUnhooked });
    if (call.name === "apply_patch") draft.codex.openPatch = own;
  }
}

/** By which a dialog is known whose call stands in an earlier part. */
const dialogOutput = '{"answers":{';

/** Output of a tool as the model reads it. */
function readOutput(draft: TranscriptDraft, payload: JsonObject, { at }: LineOrigin): void {
  const id = textAt(payload, "call_id", 200);
  if (id === null) return;
  const { polls, programs } = draft.codex;
  const command = polls.get(id) ?? id;
  const { calls, marks } = programs.get(id) ?? { calls: [command], marks: programs.get(command)?.marks ?? [] };
  const parts = partsOf(payload);
  const runsOn = noteCell(draft.codex, command, parts[0] ?? "");
  for (const toolUseId of calls) endCall(draft, toolUseId, { parts, marks, runsOn }, at);
}

interface Output {
  readonly parts: readonly string[];
  readonly marks: readonly string[];
  /** The program itself does. */
  readonly runsOn: boolean;
}

function endCall(draft: TranscriptDraft, toolUseId: string, output: Output, at: number | null): void {
  const call = draft.calls.get(toolUseId);
  const text = output.parts.join("\n");
  const isDialog = call ? call.name === "AskUserQuestion" : text.startsWith(dialogOutput);
  const response = isDialog ? { response: answersOf(call?.input, text) } : {};
  const unhooked = call && !call.isUnhooked ? {} : ({ isUnhooked } as const);
  const runsOn = noteRunning(draft, toolUseId, output) ? ({ runsOn: true } as const) : {};
  const error = errorIn(call?.name, output.parts, output.marks);
  addEnd(draft, { toolUseId, error, at, ...response, ...unhooked, ...runsOn });
}

/** Returns whether a command of the call runs on. */
function noteRunning(draft: TranscriptDraft, toolUseId: string, { parts, runsOn }: Output): boolean {
  const isOpen = saysItRunsOn(parts);
  const typedInto = draft.codex.inputs.get(toolUseId);
  if (typedInto !== undefined && !isOpen) stopCall(draft, typedInto);
  if (draft.calls.get(toolUseId)?.name !== "Bash") return false;
  noteSession(draft.codex, toolUseId, parts.join("\n"));
  return isOpen || runsOn;
}

function partsOf(payload: JsonObject): string[] {
  const text = textAt(payload, "output");
  return text === null ? listAt(payload, "output").map((part) => textAt(asObject(part), "text") ?? "") : [text];
}

/** [TR221] A patch inside of a program: the program's own call would be a second one of it. */
function readPatchEnd(draft: TranscriptDraft, payload: JsonObject, origin: LineOrigin): void {
  const toolUseId = textAt(payload, "call_id", 200);
  if (toolUseId === null) return;
  const { openPatch } = draft.codex;
  if (openPatch !== null && !draft.calls.has(toolUseId) && !draft.ended.has(openPatch)) removeCall(draft, openPatch);
  draft.codex.openPatch = null;
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
export function endItem(draft: TranscriptDraft, item: JsonObject, { at }: LineOrigin): void {
  const toolUseId = textAt(item, "id", 200);
  if (toolUseId === null) return;
  const code = numberAt(item, "exit_code") ?? 0;
  const failed = item["status"] === "failed" ? (textAt(objectAt(item, "error"), "message") ?? "failed") : null;
  const isCommand = item["type"] === "CommandExecution";
  const exited = code === 0 ? null : `Exit code ${code} ${textAt(item, "aggregated_output") ?? ""}`.trim();
  addEnd(draft, { toolUseId, error: isCommand ? exited : failed, at });
}
