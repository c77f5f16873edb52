import type { Trigger } from "../../../contract/checkpoint.ts";
import type { Config } from "../../../contract/config.ts";
import type { HookEvent, HookInput } from "../../../contract/hooks.ts";
import { timerTrigger, type SaveFacts } from "../signals/risk.ts";
import { matchesWildcard } from "../../../shared/wildcard.ts";
import { isToolEnd } from "../hook-entries.ts";
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
  return isToolEnd(event) ? timerTrigger(facts, config) : null;
}
