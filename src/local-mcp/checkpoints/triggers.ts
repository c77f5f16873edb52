import type { Config } from "../../contract/config.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import { timerTrigger, type SaveFacts } from "../../policy/save-triggers.ts";
import { matchesWildcard } from "../../shared/wildcard.ts";
import { isRiskyCommand } from "./risky-commands.ts";

/** Pure: no storage, no clock. */

export interface ToolCall {
  readonly toolName: string | null;
  readonly toolInput: unknown;
}

export type TriggerFacts = ToolCall & SaveFacts;

const alwaysDue: Partial<Record<HookEvent, Trigger>> = {
  PreCompact: "compact",
  PostCompact: "compact",
  Stop: "turn_end",
  StopFailure: "turn_end",
  SessionEnd: "session_end",
  PreModelSwitch: "model_switch",
};

export function dueTrigger(event: HookEvent, facts: TriggerFacts, config: Config["checkpoint"]): Trigger | null {
  return eventTrigger(event, facts, config) ?? (isToolEnd(event) ? timerTrigger(facts, config) : null);
}

export function eventTrigger(event: HookEvent, call: ToolCall, config: Config["checkpoint"]): Trigger | null {
  return alwaysDue[event] ?? (event === "PreToolUse" && isRiskyCall(call, config) ? "before_tool" : null);
}

export function isToolEnd(event: HookEvent): boolean {
  return event === "PostToolUse" || event === "PostToolUseFailure";
}

function isRiskyCall({ toolName, toolInput }: ToolCall, config: Config["checkpoint"]): boolean {
  return isRisky(toolName, config.beforeTools) || isRiskyCommand(toolName, toolInput, config);
}

function isRisky(tool: string | null, patterns: readonly string[]): boolean {
  if (tool === null) return false;
  return patterns.some((pattern) => matchesWildcard(tool, pattern));
}
