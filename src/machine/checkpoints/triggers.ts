import type { Trigger } from "../../contract/checkpoint.ts";
import type { Config } from "../../contract/config.ts";
import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import { isWayToOwnTool } from "../../contract/own-tools.ts";
import { timerTrigger, type SaveFacts } from "../../learning/policy/risk.ts";
import { matchesWildcard } from "../../shared/wildcard.ts";
import { isRiskyCommand } from "./risky-commands.ts";

/** Pure: no storage, no clock. */

const alwaysDue: Partial<Record<HookEvent, Trigger>> = {
  PreCompact: "compact",
  PostCompact: "compact",
  Stop: "turn_end",
  StopFailure: "turn_end",
  SessionEnd: "session_end",
  PreModelSwitch: "model_switch",
};

const fileTools: ReadonlySet<string> = new Set(["Edit", "MultiEdit", "NotebookEdit", "Write"]);

/** Tools that only read, plan, ask or start others, in the clients' names. */
const readers = [
  "read|read_\\w+|notebook_?read|view|view_\\w+|ls|list|list_\\w+|glob|grep|grep_\\w+|search|search_file_content",
  "web_?search|google_web_search|tool_?search|web_?fetch|fetch|todo_?read|todo_?write|write_todos|update_plan",
  "task|task_?(?:create|update|list|get|output|stop)|agent|ask_?user\\w*|request_user_input|skill|think",
  "(?:enter|exit)_?plan_?mode|bash_?output|kill_?(?:shell|bash)",
];
const reader = new RegExp(`^(?:${readers.join("|")})$`, "i");

/** Whether a call of the tool may change files: a tool that is not known may. */
export function mayChangeFiles(tool: string): boolean {
  return tool !== "" && !reader.test(tool) && !isWayToOwnTool(tool);
}

/** Whether it may change others than those that its input names. */
export function mayChangeAnyFile(tool: string): boolean {
  return mayChangeFiles(tool) && !fileTools.has(tool);
}

/** Why the event itself makes a checkpoint due. */
export function eventTrigger(
  event: HookEvent,
  { tool_name: tool, tool_input: input }: Pick<HookInput, "tool_name" | "tool_input">,
  config: Config["checkpoint"],
): Trigger | null {
  const isRisky = (): boolean =>
    config.beforeTools.some((pattern) => tool !== undefined && matchesWildcard(tool, pattern)) ||
    isRiskyCommand(tool ?? null, input, config);
  return alwaysDue[event] ?? (event === "PreToolUse" && isRisky() ? "before_tool" : null);
}

/** Why one is due by what has happened since the last one, after the end of a tool call. */
export function countedTrigger(event: HookEvent, facts: SaveFacts, config: Config["checkpoint"]): Trigger | null {
  const isToolEnd = event === "PostToolUse" || event === "PostToolUseFailure";
  return isToolEnd ? timerTrigger(facts, config) : null;
}
