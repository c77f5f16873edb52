import { expect, it } from "vitest";
import { qwen } from "#src/clients/claude-compatible.ts";
import { HookInput } from "#src/contract/hook-input.ts";
import { answerEvent, answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const small = "Fix the bug in src/a.ts and add a test.";
const large = `Migrate and refactor: ${Array.from({ length: 30 }, (_, at) => `src/part${at}/main.ts`).join(", ")}`;

interface Case {
  readonly subagents?: "off" | "advise" | "apply";
  readonly entryPoint?: string;
  readonly input?: object;
  readonly tool?: string;
  readonly event?: string;
}

function runtimeFor({ subagents = "apply", entryPoint = "sdk-cli" }: Case) {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: entryPoint }, config: { routing: { subagents } } });
  runtime.processes.start(1_000);
  return runtime;
}

const whole = { description: "A fix", prompt: small, subagent_type: "general-purpose", run_in_background: false };

function eventOf({ input = whole, tool = "Agent", event = "PreToolUse" }: Case): object {
  return { session_id: "s1", hook_event_name: event, tool_name: tool, tool_use_id: "t1", tool_input: input };
}

/** By the hook tool of the MCP process. */
function answerByTool(given: Case): object {
  const input = HookInput.parse(eventOf(given));
  const incoming = {
    clientName: "claude-code",
    event: "PreToolUse",
    input,
    clientPid: 1_000,
    isInParts: true,
  } as const;
  return answerEvent(runtimeFor(given), incoming).answer;
}

function answerTo(given: Case): Record<string, unknown> {
  const { event = "PreToolUse" } = given;
  const answer = answerHook(runtimeFor(given), event, () => JSON.stringify(eventOf(given)), 1_000);
  return answer === "" ? {} : (JSON.parse(answer) as Record<string, unknown>);
}

it("[RT40] without a user the model of a small subagent task is set, and all else of its input stays", () => {
  expect(answerTo({})).toEqual({
    hookSpecificOutput: { hookEventName: "PreToolUse", updatedInput: { ...whole, model: "haiku" } },
  });
});

it("[RT40] the MCP process sets it, too, where it has the whole input", () => {
  expect(answerByTool({})).toEqual({
    hookSpecificOutput: { hookEventName: "PreToolUse", updatedInput: { ...whole, model: "haiku" } },
  });
});

it("[RT41] with a user, and when only advice is asked for, the user is advised and nothing is changed", () => {
  const advice = { systemMessage: "SHIM: this subagent has a small task; if it names no model, haiku may do." };
  expect(answerTo({ entryPoint: "cli" })).toEqual(advice);
  expect(answerTo({ subagents: "advise" })).toEqual(advice);
  const parts = { description: whole.description, prompt: small };
  expect(answerByTool({ input: parts })).toEqual(advice);
});

it("[RT40] a named model, a larger task, one without evidence, another tool and another event stay as they are", () => {
  const cases: readonly Case[] = [
    { subagents: "off" },
    { input: { ...whole, model: "opus" } },
    { input: { ...whole, prompt: large } },
    { input: { ...whole, prompt: "Look around." } },
    { input: { ...whole, prompt: 7 } },
    { input: ["x"] },
    { tool: "Bash" },
    { event: "PostToolUse" },
  ];
  for (const one of cases) expect([one, answerTo(one)]).toEqual([one, {}]);
});

it("[CA13] a subagent of another client keeps its model, and brings no advice", () => {
  for (const subagents of ["advise", "apply"] as const) {
    const call = { session_id: "s1", tool_name: "agent", tool_call_id: "t1", tool_input: whole };
    expect(answerHook(runtimeFor({ subagents }), "PreToolUse", () => JSON.stringify(call), 1_000, qwen)).toBe("");
  }
});
