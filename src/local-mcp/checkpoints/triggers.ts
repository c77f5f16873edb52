import type { Config } from "../../contract/config.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import type { Trigger } from "./checkpoints.ts";
import { isRiskyCommand } from "./risky-commands.ts";

/** Pure: no storage, no clock. */

export interface ToolCall {
  readonly toolName: string | null;
  readonly toolInput: unknown;
}

export interface TriggerFacts extends ToolCall {
  readonly toolCalls: number;
  /** Null if never saved. */
  readonly sinceSavedMs: number | null;
  readonly isRiskPending: boolean;
}

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

export function timerTrigger(
  facts: Pick<TriggerFacts, "toolCalls" | "sinceSavedMs" | "isRiskPending">,
  config: Config["checkpoint"],
): Trigger | null {
  return facts.isRiskPending ? "risk" : countTrigger(facts, config);
}

export function countTrigger(
  facts: Pick<TriggerFacts, "toolCalls" | "sinceSavedMs">,
  config: Config["checkpoint"],
): Trigger | null {
  if (facts.toolCalls >= config.everyToolCalls) return "tools";
  return facts.sinceSavedMs === null || facts.sinceSavedMs >= config.everyMs ? "time" : null;
}

function isRiskyCall({ toolName, toolInput }: ToolCall, config: Config["checkpoint"]): boolean {
  return isRisky(toolName, config.beforeTools) || isRiskyCommand(toolName, toolInput, config);
}

function isRisky(tool: string | null, patterns: readonly string[]): boolean {
  if (tool === null) return false;
  return patterns.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(tool);
  });
}
