import type { RemainingBudget } from "../../contract/budgets.ts";
import { serverName } from "../../installer/entries.ts";
import type { Continuation } from "./continuation.ts";
import type { ClaudeFiles } from "./claude-files.ts";
import type { ClaudeSettings } from "./claude-settings.ts";

/** SHIM's own tools are allowed but for the one that deletes. */
const shimTools = `mcp__${serverName}`;
const shimDeletingTool = `${shimTools}__shim_clear_state`;

/**
 * [CX1] [CX2] The command line: nothing of a task stands in it. Tools that are not allowed are not there, a use that is not allowed is refused, and nobody is asked;
 * the user's and the project's settings, which could allow more, are left out unless the settings name them.
 */
export function buildArguments(
  settings: ClaudeSettings,
  files: ClaudeFiles,
  continuation: Continuation,
  budgetLeft: RemainingBudget,
): string[] {
  const { model, maxTurns, settingSources } = settings;
  const session = continuation.kind === "resume" ? "--resume" : "--session-id";
  return [
    "-p",
    ...pair("--output-format", "stream-json"),
    "--verbose",
    "--include-partial-messages",
    ...pair("--mcp-config", files.mcpConfig),
    "--strict-mcp-config",
    ...pair("--settings", files.settings),
    ...pair("--setting-sources", settingSources.join(",")),
    ...permissions(settings),
    ...pair("--model", model),
    ...pair("--max-turns", maxTurns),
    ...pair("--max-budget-usd", budgetLeft.costMicros === null ? undefined : formatDollars(budgetLeft.costMicros)),
    ...pair(session, continuation.session),
  ];
}

function pair(option: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [option, String(value)];
}

function permissions({ allowAll, allowedTools, disallowedTools }: ClaudeSettings): string[] {
  const denied = ["--disallowedTools", shimDeletingTool, ...disallowedTools];
  if (allowAll) return [...pair("--permission-mode", "bypassPermissions"), ...denied];
  const tools = [...new Set(allowedTools.map(toolName))].filter((name) => !name.startsWith("mcp__"));
  // A sub-agent's messages are told, and so its tokens.
  const forwarded = tools.some((name) => name === "Agent" || name === "Task") ? ["--forward-subagent-text"] : [];
  return [
    ...pair("--permission-mode", "dontAsk"),
    ...pair("--tools", tools.join(",")),
    "--allowedTools",
    shimTools,
    ...allowedTools,
    ...denied,
    ...forwarded,
  ];
}

/** Without what is allowed of it. */
function toolName(rule: string): string {
  return rule.replace(/\(.*$/s, "");
}

function formatDollars(micros: number): string {
  return (micros / 1_000_000).toFixed(6);
}
