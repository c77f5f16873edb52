import { isWayToOwnTool } from "../../contract/own-tools.ts";
import { asObject, textAt } from "../../shared/json-fields.ts";

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

/** Name of a tool without the mark of a sub-agent. */
function toolOf(name: string): string {
  return name.endsWith(subagentMark) ? name.slice(0, -subagentMark.length) : name;
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
