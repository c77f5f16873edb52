import type { RemainingBudget } from "../../contract/budgets.ts";
import { serverName } from "../../installer/entries.ts";
import type { Continuation } from "./continuation.ts";
import type { ClaudeFiles } from "./claude-files.ts";
import type { ClaudeSettings } from "./claude-settings.ts";

const shimTools = `mcp__${serverName}`;
const shimDeletingTool = `${shimTools}__shim_clear_state`;

/** [CX1] [CX2] Contains nothing of the task; denies what is not allowed without a question. */
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
    ...pair(
      "--max-budget-usd",
      budgetLeft.costMicros === null ? undefined : (budgetLeft.costMicros / 1_000_000).toFixed(6),
    ),
    ...pair(session, continuation.session),
  ];
}

function pair(option: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [option, String(value)];
}

function permissions({ allowAll, allowedTools, disallowedTools }: ClaudeSettings): string[] {
  const denied = ["--disallowedTools", shimDeletingTool, ...disallowedTools];
  if (allowAll) return [...pair("--permission-mode", "bypassPermissions"), ...denied];
  const names = allowedTools.map((rule) => rule.replace(/\(.*$/s, ""));
  const tools = [...new Set(names)].filter((name) => !name.startsWith("mcp__"));
  // Without it, a sub-agent's tokens are not reported.
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
