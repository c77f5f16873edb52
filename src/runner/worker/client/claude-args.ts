import type { RemainingBudget } from "../../../contract/budgets.ts";
import { serverName } from "../../../installer/entries.ts";
import type { ClaudeSettings } from "./settings.ts";

const shimTools = `mcp__${serverName}`;
const shimDeletingTool = `${shimTools}__shim_clear_state`;

/** Arguments hold nothing of a task, and deny what is not allowed without asking. */
export function taskArgs(
  settings: ClaudeSettings,
  model: string | undefined,
  effort: string | null,
  { costMicros }: RemainingBudget,
): string[] {
  const { maxTurns, settingSources } = settings;
  return [
    "--include-partial-messages",
    "--strict-mcp-config",
    ...pair("--setting-sources", settingSources.join(",")),
    ...permissions(settings),
    ...pair("--model", model),
    ...pair("--effort", effort ?? undefined),
    ...pair("--max-turns", maxTurns),
    ...pair("--max-budget-usd", costMicros === null ? undefined : (costMicros / 1_000_000).toFixed(6)),
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
