import type { Config } from "../../contract/config.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import type { RiskLevel } from "../../contract/readings.ts";
import type { Trigger } from "./checkpoints.ts";

/** Pure: no storage, no clock. */

export interface TriggerFacts {
  readonly toolName: string | null;
  /** Tool calls since the last checkpoint. */
  readonly toolCalls: number;
  /** Since the state was last saved; null: never. */
  readonly sinceSavedMs: number | null;
  readonly levelBefore: RiskLevel;
  readonly levelNow: RiskLevel;
}

const always: Partial<Record<HookEvent, Trigger>> = {
  PreCompact: "compact",
  PostCompact: "compact",
  Stop: "turn_end",
  StopFailure: "turn_end",
  SessionEnd: "session_end",
};

const levels: readonly RiskLevel[] = ["safe", "warning", "danger", "critical"];

/**
 * [CP9] When a checkpoint is due: the risk has crossed a level upwards, every N tool calls, every M minutes while something happens, before and
 * after a compaction, at the end of a turn and of the session, and before a tool that the user marked as risky.
 */
export function due(event: HookEvent, facts: TriggerFacts, config: Config["checkpoint"]): Trigger | null {
  const fixed = always[event];
  if (fixed) return fixed;
  if (event === "PreToolUse") return isRisky(facts.toolName, config.beforeTools) ? "before_tool" : null;
  if (event !== "PostToolUse" && event !== "PostToolUseFailure") return null;
  if (levels.indexOf(facts.levelNow) > levels.indexOf(facts.levelBefore)) return "risk";
  return dueByCount(facts, config);
}

/** Every N tool calls, or every M minutes while something changed. */
export function dueByCount(
  facts: Pick<TriggerFacts, "toolCalls" | "sinceSavedMs">,
  config: Config["checkpoint"],
): Trigger | null {
  if (facts.toolCalls >= config.everyToolCalls) return "tools";
  return facts.sinceSavedMs === null || facts.sinceSavedMs >= config.everyMs ? "time" : null;
}

function isRisky(tool: string | null, patterns: readonly string[]): boolean {
  if (tool === null) return false;
  return patterns.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(tool);
  });
}
