import type { Trigger } from "../contract/checkpoint.ts";
import type { Config } from "../contract/config.ts";

/** Pure. Reasons for a checkpoint after a tool call, or while the chat is idle. */

export interface SaveFacts {
  /** Calls since the last checkpoint. */
  readonly toolCalls: number;
  /** Null if never saved. */
  readonly sinceSavedMs: number | null;
  readonly isRiskPending: boolean;
}

export type SaveLimits = Pick<Config["checkpoint"], "everyToolCalls" | "everyMs">;

export function timerTrigger(facts: SaveFacts, limits: SaveLimits): Trigger | null {
  return facts.isRiskPending ? "risk" : countTrigger(facts, limits);
}

export function countTrigger(facts: Omit<SaveFacts, "isRiskPending">, limits: SaveLimits): Trigger | null {
  if (facts.toolCalls >= limits.everyToolCalls) return "tools";
  return facts.sinceSavedMs === null || facts.sinceSavedMs >= limits.everyMs ? "time" : null;
}
