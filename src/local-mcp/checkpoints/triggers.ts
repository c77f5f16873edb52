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
  /** Tool calls since the last checkpoint. */
  readonly toolCalls: number;
  /** Since the state was last saved; null: never. */
  readonly sinceSavedMs: number | null;
  /** The risk has risen since the last checkpoint, whichever process saw it. */
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

/**
 * [CP9] When a checkpoint is due: the risk has crossed a level upwards, every N tool calls, every M minutes while something happens, before and
 * after a compaction, at the end of a turn and of the session, before another model, before a
 * tool that the user marked as risky, and [CP30] before a risky command.
 */
export function dueTrigger(event: HookEvent, facts: TriggerFacts, config: Config["checkpoint"]): Trigger | null {
  return eventTrigger(event, facts, config) ?? (isToolEnd(event) ? timerTrigger(facts, config) : null);
}

/** The part of {@link dueTrigger} that needs no more than the event. */
export function eventTrigger(event: HookEvent, call: ToolCall, config: Config["checkpoint"]): Trigger | null {
  return alwaysDue[event] ?? (event === "PreToolUse" && isRiskyCall(call, config) ? "before_tool" : null);
}

export function isToolEnd(event: HookEvent): boolean {
  return event === "PostToolUse" || event === "PostToolUseFailure";
}

/** [SI30] Without a hook's event: the risk has risen, or a checkpoint is due by count. */
export function timerTrigger(
  facts: Pick<TriggerFacts, "toolCalls" | "sinceSavedMs" | "isRiskPending">,
  config: Config["checkpoint"],
): Trigger | null {
  return facts.isRiskPending ? "risk" : countTrigger(facts, config);
}

/** Every N tool calls, or every M minutes while something changed. */
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
