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
import {
  addCall,
  addEnd,
  removeCall,
  reopenCall,
  stopCall,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
  type TranscriptToolCall,
} from "./transcript-draft.ts";

/** [TR201] Rows of Codex's rollouts about calls of tools. */
export const callRows: readonly (readonly [string, LineFormat])[] = [
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
  const server = textAt(payload, "namespace", 200);
  const own = server === null ? functions.get(name)?.(input) : { name: `${server}__${name}`, input };
  add(draft, payload, own ?? { name, input, isUnhooked }, origin);
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
  const text = textAt(payload, "output");
  const parts = text === null ? listAt(payload, "output").map((part) => textAt(asObject(part), "text") ?? "") : [text];
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
  // The client's own word, in any part.
  const isOpen = parts.some((part) => runningCommand.test(part.slice(0, edgeChars)));
  const typedInto = draft.codex.inputs.get(toolUseId);
  if (typedInto !== undefined && !isOpen) stopCall(draft, typedInto);
  if (draft.calls.get(toolUseId)?.name !== "Bash") return false;
  noteSession(draft.codex, toolUseId, parts.join("\n"));
  return isOpen || runsOn;
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
  const code = numberAt(item, "exit_code") ?? 0;
  const failed = item["status"] === "failed" ? (textAt(objectAt(item, "error"), "message") ?? "failed") : null;
  const isCommand = item["type"] === "CommandExecution";
  const exited = code === 0 ? null : `Exit code ${code} ${textAt(item, "aggregated_output") ?? ""}`.trim();
  addEnd(draft, { toolUseId, error: isCommand ? exited : failed, at });
}

/**
 * [TR222] Calls of Codex that only wait for a command which runs on in a session of its shell, or
 * for a program which runs on in a cell.
 */

export interface RunningCommands {
  /** Calls of commands, by the number of their session or the name of their cell. */
  readonly sessions: Map<string, string>;
  /** Calls of commands, by the id of a call that polls them. */
  readonly polls: Map<string, string>;
  /** Calls of commands, by the id of a call that types into them. */
  readonly inputs: Map<string, string>;
}

const pollingCall = /\bsession_id["']?:\s{0,20}(\d{1,20})/;
const waitingCall = /\bcell_id["']?:\s{0,20}["']?(\d{1,20})/;
const typedText = /\bchars["']?:\s{0,20}["'`][^"'`]/;

/**
 * Returns the call of the command that a call polls; null: the call types something, or its
 * command is not known.
 * @param written arguments of `write_stdin` or `wait`, or a program that calls nothing else
 */
export function polledCommand(
  { sessions, polls, inputs }: RunningCommands,
  id: string,
  written: string,
): string | null {
  const cell = waitingCall.exec(written)?.[1];
  const session = pollingCall.exec(written)?.[1] ?? "";
  const command = sessions.get(cell === undefined ? session : nameOfCell(cell));
  if (command === undefined) return null;
  const isTyped = typedText.test(written);
  (isTyped ? inputs : polls).set(id, command);
  return isTyped ? null : command;
}

const sessionInOutput = /\bsession(?: id |_id\\?["']?\s{0,5}[:=]\s{0,5})(\d{1,20})/gi;
/** The client names it before the output, a program mostly after it. */
const edgeChars = 400;

/**
 * Returns whether the command runs on.
 * @param command the call whose output it is, or that another one polls
 */
export function noteSession({ sessions }: RunningCommands, command: string, output: string): boolean {
  const edges = `${output.slice(0, edgeChars)}\n${output.slice(-edgeChars)}`;
  const found = [...edges.matchAll(sessionInOutput)].map(([, session = ""]) => session);
  for (const session of found) if (!sessions.has(session)) sessions.set(session, command);
  return found.length > 0;
}

const cellInOutput = /^Script running with cell ID (\d{1,20})\b/;

/**
 * Returns whether the program runs on.
 * @param call the first one of the program whose output it is, or that another one waits for
 */
export function noteCell({ sessions }: RunningCommands, call: string, output: string): boolean {
  const cell = cellInOutput.exec(output)?.[1];
  if (cell !== undefined) sessions.set(nameOfCell(cell), call);
  return cell !== undefined;
}

function nameOfCell(cell: string): string {
  return `cell ${cell}`;
}

const runningCommand =
  /^(?:Process running with session ID \d{1,20}$|\{"chunk_id":"\w{0,40}","wall_time_seconds":[\d.]{1,20},"session_id":\d{1,20},)/m;

/** Pure. Programs of Codex's tool `exec`, whose functions are the tools. */

interface ProgramCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Programs are longer than what is kept of a call. */
const maxProgramChars = 4_000;
const maxScannedChars = 100_000;

const knownTools: readonly (readonly [string, (program: string) => ProgramCall])[] = [
  ["tools.exec_command(", programCommands],
  [
    "tools.apply_patch(",
    (program) => {
      const files = [...program.slice(0, maxScannedChars).matchAll(patchedFile)].map(([, path = ""]) => path);
      return { name: "apply_patch", input: { path: files.join(", ") } };
    },
  ],
  ["tools.update_plan(", (program) => ({ name: "TodoWrite", input: { todos: todosIn(program) } })],
];

/** [TR213] A program as the calls of its tools: commands, files of a patch, steps of a plan. */
export function callsOfProgram(program: string): readonly ProgramCall[] {
  const known = knownTools.filter(([call]) => program.includes(call)).map(([, read]) => read(program));
  return known.length > 0 ? known : [otherCall(program)];
}

function otherCall(program: string): ProgramCall {
  const start = program.slice(0, maxProgramChars);
  const [first, ...others] = [...start.matchAll(toolCall)].map(([, name = "", input = ""]) => ({ name, input }));
  const isOne = first !== undefined && others.every(({ name }) => name === first.name);
  return isOne
    ? { name: first.name, input: { description: first.input } }
    : { name: "exec", input: { command: program } };
}

const toolCall = /\btools\.(\w{1,200})\(([^\n;]{0,1000})/g;
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

const patchedFile = /\*\*\* (?:Add|Update|Delete) File: ([^\n\\"'`]{1,1000})/g;

/** Pure. Failures of calls, by the output of a tool of Codex. */

/** Lines that the client puts before a command's output. */
const headChars = 300;
const exitCode = /^(?:Process exited with code|Exit code:?) (\d+)$/m;
const failure = /^(?:Script failed|aborted|patch rejected|apply_patch verification failed|execution error)\b/;
const programHead = /^Script \w{1,20}\b[^\n]{0,200}\nWall time [^\n]{0,200}\nOutput:\n*/;

/**
 * @param tool whose call it is; undefined: that stands in an earlier part
 * @param parts of the output: the client's own, then one for each text that a program printed
 * @param marks {@link exitMarks} of the program
 */
function errorIn(tool: string | undefined, parts: readonly string[], marks: readonly string[]): string | null {
  const output = parts.join("\n");
  const isOfProgram = programHead.test(output);
  // The exit code of a command in the same program says nothing of a plan or a patch.
  if (tool === "TodoWrite" || (isOfProgram && tool !== undefined && tool !== "Bash")) return failureIn(output);
  return (isOfProgram ? failedResult(parts, marks) : null) ?? failedCommand(output) ?? failureIn(output);
}

function failureIn(output: string): string | null {
  return failure.test(output.slice(0, headChars)) ? output : null;
}

function failedCommand(output: string): string | null {
  const head = output.slice(0, headChars);
  // `{"output": "...", "metadata": {"exit_code": 1}}`
  const inJson = head.startsWith('{"output":') ? /"exit_code":\s*(\d+)/.exec(output.slice(-headChars)) : null;
  const code = (exitCode.exec(head) ?? inJson)?.[1];
  return code === undefined || code === "0" ? null : `Exit code ${code} ${output}`;
}

const markOfExit = /(?:`|\\n|\n)([^`\n\\${}]{2,40})\$\{\w{1,40}\.exit_code\b/g;

/** Texts after which a program prints the exit code of a command, each at the start of a line. */
function exitMarks(program: string): readonly string[] {
  return [...program.matchAll(markOfExit)].map(([, mark = ""]) => mark);
}

/** [TR225] A program prints what its commands returned, or their exit codes after a mark. */
function failedResult(parts: readonly string[], marks: readonly string[]): string | null {
  const printed = parts.map((part, index) => (index === 0 ? part.replace(programHead, "") : part));
  const failed = printed.flatMap(resultsIn).find(({ code }) => code !== 0);
  if (failed) return `Exit code ${failed.code} ${failed.output}`;
  const code = codesAfter(marks, printed).find((one) => one !== "0");
  return code === undefined ? null : `Exit code ${code} ${printed.join("\n").trim()}`;
}

interface CommandResult {
  readonly code: number;
  readonly output: string;
}

/** The client cuts a long text, which is JSON no more. */
const cutResult = /^\{"chunk_id":"\w{0,40}","wall_time_seconds":[\d.]{1,20},"exit_code":(\d{1,10}),/m;

function resultsIn(text: string): CommandResult[] {
  const value = /^\s*[[{]/.test(text) ? parseObject(`{"printed":${text}}`)?.["printed"] : undefined;
  if (value === undefined) {
    const code = cutResult.exec(text.slice(0, headChars))?.[1];
    return code === undefined ? [] : [{ code: Number(code), output: text }];
  }
  return [value, ...Object.values(Object(value) as JsonObject)].flatMap((one) => resultOf(asObject(one)));
}

function resultOf(value: JsonObject | null): CommandResult[] {
  const isOfCommand = textAt(value, "output") !== null || textAt(value, "chunk_id") !== null;
  const code = numberAt(value, "exit_code") ?? numberAt(objectAt(value, "metadata"), "exit_code");
  return isOfCommand && code !== null ? [{ code, output: textAt(value, "output") ?? "" }] : [];
}

function codesAfter(marks: readonly string[], printed: readonly string[]): string[] {
  const lines = marks.length === 0 ? [] : printed.flatMap((text) => text.split("\n"));
  const values = lines.flatMap((line) =>
    marks.filter((mark) => line.startsWith(mark)).map((mark) => line.slice(mark.length)),
  );
  return values.flatMap((value) => /^\d{1,10}\b/.exec(value)?.[0] ?? []);
}
