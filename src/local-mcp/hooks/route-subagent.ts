import { claudeCode } from "../../clients/claude-compatible.ts";
import type { HookAnswer } from "../../contract/hook-answer.ts";
import { analyzePrompt } from "../../routing/prompt-analyzer.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isRecord } from "../../shared/json-fields.ts";
import { isWithoutUser } from "./end-session.ts";
import type { HookContext } from "./hook-context.ts";

const maxComplexity = 3;

/**
 * [RT40] [RT41] Sets the model of a small subagent task without a user, where the hook has the
 * whole input of the tool; otherwise advises the user.
 */
export function routeSubagent({ env, config }: Runtime, context: HookContext, answer: HookAnswer): HookAnswer {
  const { event, input, isDeferred } = context;
  const { subagents, smallModel } = config.routing;
  const toolInput = isSubagentCall(context) ? findSmallTask(input.tool_input) : null;
  if (!toolInput) return answer;
  // Hooks of an older configuration have parts of the input, never this one.
  const isWhole = !isDeferred || toolInput["subagent_type"] !== undefined;
  if (subagents === "apply" && isWhole && isWithoutUser(env)) {
    const updatedInput = { ...toolInput, model: smallModel };
    return { ...answer, hookSpecificOutput: { hookEventName: event, ...answer.hookSpecificOutput, updatedInput } };
  }
  const advice = `SHIM: this subagent has a small task; if it names no model, ${smallModel} may do.`;
  return { ...answer, systemMessage: [answer.systemMessage, advice].filter((line) => line !== undefined).join("\n") };
}

function isSubagentCall({ event, input, isLate, clientName }: HookContext): boolean {
  return event === "PreToolUse" && !isLate && clientName === claudeCode.name && input.tool_name === "Agent";
}

/** The tool's input, if it names no model and its prompt is a small task. */
function findSmallTask(toolInput: unknown): Readonly<Record<string, unknown>> | null {
  if (!isRecord(toolInput) || toolInput["model"] !== undefined) return null;
  const prompt = toolInput["prompt"];
  return typeof prompt === "string" && isSmall(prompt) ? toolInput : null;
}

function isSmall(prompt: string): boolean {
  const { evidence, complexity, size } = analyzePrompt(prompt);
  return evidence === "strong" && size === "small" && complexity <= maxComplexity;
}
