import { expect, it } from "vitest";
import { hookEvents, type HookEvent } from "#src/contract/hook-input.ts";
import { dueTrigger, countTrigger, type TriggerFacts } from "#src/local-mcp/checkpoints/triggers.ts";
import { defaults } from "#src/contract/config.ts";

const config = { ...defaults.checkpoint, beforeTools: ["Bash", "mcp__*__delete_*", "a.b"] };
const calm: TriggerFacts = {
  toolName: "Read",
  toolInput: {},
  toolCalls: 1,
  sinceSavedMs: 1_000,
  isRiskPending: false,
};

function at(event: HookEvent, facts: Partial<TriggerFacts> = {}): string | null {
  return dueTrigger(event, { ...calm, ...facts }, config);
}

it("[CP39] every end, compaction and switch of the model is a checkpoint; a start and a prompt are not", () => {
  const always = hookEvents.map((event) => [event, at(event)]).filter(([, trigger]) => trigger !== null);
  expect(Object.fromEntries(always)).toEqual({
    PreCompact: "compact",
    PostCompact: "compact",
    Stop: "turn_end",
    StopFailure: "turn_end",
    SessionEnd: "session_end",
    PreModelSwitch: "model_switch",
  });
});

it("[CP9] after a tool: when the risk rose a level, every N calls, every M minutes, and when nothing was saved yet", () => {
  expect(at("PostToolUse")).toBeNull();
  expect(at("PostToolUse", { isRiskPending: true })).toBe("risk");
  expect(at("PostToolUseFailure", { toolCalls: 10 })).toBe("tools");
  expect(at("PostToolUse", { toolCalls: 9 })).toBeNull();
  expect(at("PostToolUse", { sinceSavedMs: 300_000 })).toBe("time");
  expect(at("PostToolUse", { sinceSavedMs: null })).toBe("time");
  expect(countTrigger({ toolCalls: 0, sinceSavedMs: 299_999 }, config)).toBeNull();
});

const before = (toolName: string | null): string | null => at("PreToolUse", { toolName });

it("[CP40] before a tool that the user marked as risky; * matches any text, all else only itself", () => {
  expect(["Bash", "mcp__files__delete_all", "a.b"].map(before)).toEqual(["before_tool", "before_tool", "before_tool"]);
  expect(["BashOutput", "mcp__files__list", "aXb", null].map(before)).toEqual([null, null, null, null]);
});
