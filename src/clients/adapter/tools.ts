import { isAbsolute, resolve } from "node:path";
import type { HookInput } from "../../contract/hooks.ts";
import { isWayToOwnTool } from "../../contract/own-tools.ts";
import { asObject, listAt, textAt, objectAt, type JsonObject } from "../../shared/json-fields.ts";

/** The tools of all clients, and what a call of each does. */

type Deed =
  /** Changes the file that its input names. */
  | "edits"
  | "reads"
  /** Runs a command of a shell, which may do anything. */
  | "runs"
  | "plans"
  /** Asks the user, and waits for the answer. */
  | "asks"
  /** Starts or ends others, whose calls count for themselves. */
  | "directs"
  | "unknown";

interface Tool {
  readonly does: Deed;
  /** Field of the input with the path of its file. */
  readonly path?: "file_path" | "notebook_path";
  readonly shell?: Shell;
}

export type Shell = "sh" | "powershell";

/** By Claude Code's names, which the adapters of other clients give their tools, too. */
const tools: ReadonlyMap<string, Tool> = new Map<string, Tool>([
  ["Edit", { does: "edits", path: "file_path" }],
  ["MultiEdit", { does: "edits", path: "file_path" }],
  ["Write", { does: "edits", path: "file_path" }],
  ["NotebookEdit", { does: "edits", path: "notebook_path" }],
  ["Read", { does: "reads", path: "file_path" }],
  ["Bash", { does: "runs", shell: "sh" }],
  ["PowerShell", { does: "runs", shell: "powershell" }],
  ["AskUserQuestion", { does: "asks" }],
  ["ExitPlanMode", { does: "asks" }],
]);

/** Names that clients give tools which change nothing themselves. */
const harmless: readonly (readonly [RegExp, Deed])[] = [
  [/^(?:read|read_\w+|notebook_?read|view|view_\w+|ls|list|list_\w+|glob|grep|grep_\w+|search)$/i, "reads"],
  [/^(?:search_file_content|web_?search|google_web_search|tool_?search|web_?fetch|fetch|bash_?output)$/i, "reads"],
  [/^(?:todo_?read|todo_?write|write_todos|update_plan|task_?(?:create|update|list|get)|think)$/i, "plans"],
  [/^(?:enter_?plan_?mode|skill)$/i, "plans"],
  [/^(?:ask_?user\w*|request_user_input|exit_?plan_?mode)$/i, "asks"],
  [/^(?:task|task_?(?:output|stop)|agent|kill_?(?:shell|bash))$/i, "directs"],
];

const subagentMark = " (subagent)";

/** Name in the journal of a tool that a sub-agent calls. */
export function subagentTool(name: string): string {
  return name + subagentMark;
}

export function isBySubagent(name: string): boolean {
  return name.endsWith(subagentMark);
}

/** Name of a tool without the mark of a sub-agent. */
function toolOf(name: string): string {
  return isBySubagent(name) ? name.slice(0, -subagentMark.length) : name;
}

/** @param name as a call or the journal has it */
export function deedOf(name: string): Deed {
  const tool = toolOf(name);
  return tools.get(tool)?.does ?? harmless.find(([names]) => names.test(tool))?.[1] ?? "unknown";
}

/** Whether a call of the tool may change files: a tool that is not known may. */
export function mayChangeFiles(name: string): boolean {
  const deed = deedOf(name);
  return name !== "" && (deed === "edits" || deed === "runs" || deed === "unknown") && !isWayToOwnTool(toolOf(name));
}

/** Whether it may change others than those that its input names. */
export function mayChangeAnyFile(name: string): boolean {
  return mayChangeFiles(name) && deedOf(name) !== "edits";
}

/** Path of the file that a call reads or edits, as its input has it; null: it names none. */
export function filePathOf(name: string, input: unknown): string | null {
  const { path } = tools.get(name) ?? {};
  return path === undefined ? null : (textAt(asObject(input), path) ?? textAt(asObject(input), "file_path"));
}

/** Absolute path of the file that an edit names; null: it names none. */
export function editedPath({ tool_name: tool = "", tool_input: input, cwd }: HookInput): string | null {
  const path = deedOf(tool) === "edits" ? filePathOf(tool, input) : null;
  if (path === null || isAbsolute(path)) return path;
  return cwd === undefined ? null : resolve(cwd, path);
}

const oldFields = ["old_string", "oldString", "old_str"];
const newFields = ["new_string", "newString", "new_str", "content", "file_text", "new_source"];

/** Texts that an edit replaces, and those that it writes, by its input; "" where it names none. */
export function textsOfEdit(input: JsonObject | null): { readonly before: string; readonly after: string }[] {
  return [input, ...listAt(input, "edits").map(asObject)].flatMap((part) => {
    const [before, after] = [textOf(part, oldFields), textOf(part, newFields)];
    return before === null && after === null ? [] : [{ before: before ?? "", after: after ?? "" }];
  });
}

function textOf(part: JsonObject | null, names: readonly string[]): string | null {
  return names.map((name) => textAt(part, name)).find((text) => text !== null) ?? null;
}

/** Whether a call starts a sub-agent, or waits for one. */
export function startsAgent(name: string): boolean {
  return /^(?:Task|Agent|task|agent|spawn_agent|wait_agent)$/.test(name);
}

/** Whether a sub-agent speaks in the result of a call. */
export function isAgentCall(name: string): boolean {
  return isBySubagent(name) || startsAgent(name);
}

/** Whether its calls name a file in the field `file_path`. */
export function takesFilePath(name: string): boolean {
  return tools.get(name)?.path === "file_path";
}

export interface ShellCommand {
  readonly text: string;
  readonly shell: Shell;
}

/** Text that a call gives a shell to run; null: it runs none. */
export function shellCommandOf(name: string, input: unknown): ShellCommand | null {
  const { shell } = tools.get(name) ?? {};
  const text = shell === undefined ? null : textAt(asObject(input), "command");
  return shell === undefined || text === null ? null : { text, shell };
}

/** Pure: output and exit code of a command, from what a client tells its model. */

interface ShellResult extends JsonObject {
  readonly stdout: string;
  readonly exit_code?: number;
  /** By which its client names a command that works on behind the turn. */
  readonly backgroundTaskId?: string;
}

const outputStart = /^Output: /m;
/** Lines that Gemini CLI and its descendants put after the output. */
const detail =
  /^(?:<\/untrusted_context>|Error: \(none\)|Exit Code: .{1,20}|Signal: .{1,40}|Background PIDs: .*|Process Group PGID: .{1,20})$/;
const exitLine = /^Exit Code: (\d{1,10})$/;

/** Qwen Code; Gemini CLI. */
const behind =
  /^(?:Background shell started\.\nid: (bg_\w{1,40})$|(?:<untrusted_context>\n)?Command moved to background \(PID: (\d{1,10})\))/m;

/** @returns null: a text of another kind */
function shellResult(report: string | null): ShellResult | null {
  if (report === null) return null;
  const begun = behind.exec(report.slice(0, 200));
  if (begun !== null) return { stdout: "", backgroundTaskId: begun[1] ?? `pid-${begun[2]}` };
  const start = report.search(outputStart);
  if (start < 0) return null;
  let output = report.slice(start + "Output: ".length).trimEnd();
  let code: string | undefined;
  for (let at = output.lastIndexOf("\n"); at >= 0; at = output.lastIndexOf("\n")) {
    const line = output.slice(at + 1);
    if (!detail.test(line)) break;
    code ??= exitLine.exec(line)?.[1];
    output = output.slice(0, at);
  }
  return { stdout: output === "(empty)" ? "" : output, ...(code === undefined ? {} : { exit_code: Number(code) }) };
}

/** A failure in Claude Code's words. */
export function failedText({ stdout, exit_code: code }: ShellResult): string {
  return `Exit code ${code ?? "unknown"} ${stdout}`.trim();
}

/** The call of a command with Claude Code's fields; that of another tool stays as it is. */
export function withShellResult(input: JsonObject): JsonObject {
  if (input["tool_name"] !== "Bash") return input;
  const printed = shellResult(textAt(objectAt(input, "tool_response"), "llmContent"));
  const failed = shellResult(textAt(input, "error"));
  return {
    ...input,
    ...(printed === null ? {} : { tool_response: printed }),
    ...(failed === null ? {} : { error: failedText(failed) }),
  };
}

/**
 * Result, in Claude Code's fields, of a call whose sub-agent works on behind the turn; null: of
 * another call.
 *
 * @param launched finds the sub-agent's id in what its client tells the model
 */
export function agentBehind(report: string | null, launched: RegExp): JsonObject | null {
  const agentId = launched.exec(report ?? "")?.[1];
  return agentId === undefined ? null : { isAsync: true, agentId };
}

/** The call of such a sub-agent with that result; another call stays as it is. */
export function withAgentBehind(input: JsonObject, report: string | null, launched: RegExp): JsonObject {
  const result = input["tool_name"] === "Agent" ? agentBehind(report, launched) : null;
  return result === null ? input : { ...input, tool_response: result };
}

/** The tool of Gemini CLI and its descendants that runs commands. */
const shellTool = "run_shell_command";

/** @param answer a `functionResponse` of a transcript */
export function shellAnswer(answer: JsonObject | null): ShellResult | null {
  const report = objectAt(answer, "response");
  return textAt(answer, "name") === shellTool ? shellResult(textAt(report, "output") ?? textAt(report, "error")) : null;
}

/** Expression reads at most 200 characters: the end of a report. 1.0.31 names no shell. */
const completed = /\s*<(?:shellId: \w{1,40} completed|exited) with exit code (\d{1,10})>\s*$/;

/** @param report of Copilot CLI. @param known exit code that a row names */
export function shellCompletion(report: string, known: number | null = null): ShellResult | null {
  const end = completed.exec(report.slice(-200));
  const code = known ?? (end === null ? null : Number(end[1]));
  if (code === null) return null;
  return { stdout: report.slice(0, report.length - (end?.[0].length ?? 0)), exit_code: code };
}
