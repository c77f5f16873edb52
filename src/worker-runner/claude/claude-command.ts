import type { RemainingBudget } from "../../contract/budgets.ts";
import type { Route } from "../../contract/routes.ts";
import { serverName } from "../../installer/entries.ts";
import type { Continuation } from "../client/continuation.ts";
import type { ClaudeFiles } from "./claude-files.ts";
import type { ClaudeSettings } from "./claude-settings.ts";

const shimTools = `mcp__${serverName}`;
const shimDeletingTool = `${shimTools}__shim_clear_state`;

/** [CX1] [CX2] Contains nothing of the task; denies what is not allowed without a question. */
export function buildArguments(
  settings: ClaudeSettings,
  route: Route | null,
  files: ClaudeFiles,
  continuation: Continuation,
  budgetLeft: RemainingBudget,
): string[] {
  const { maxTurns, settingSources } = settings;
  const { model, effort } = route ?? { model: settings.model, effort: null };
  const session = continuation.kind === "resume" ? "--resume" : "--session-id";
  return [
    "-p",
    ...pair("--input-format", "stream-json"),
    ...pair("--output-format", "stream-json"),
    "--verbose",
    "--include-partial-messages",
    ...pair("--mcp-config", files.mcpConfig),
    "--strict-mcp-config",
    ...pair("--settings", files.settings),
    ...pair("--setting-sources", settingSources.join(",")),
    ...permissions(settings),
    ...pair("--model", model),
    ...pair("--effort", effort ?? undefined),
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

/** Input format of Claude Code: a message per line. */
export function userMessage(text: string): string {
  return `${JSON.stringify({ type: "user", message: { role: "user", content: text } })}\n`;
}

/** [CX13] After INT between two turns, Claude Code often ends without reporting its cost. */
export const interruptLine = JSON.stringify({
  type: "control_request",
  request_id: "interrupt",
  request: { subtype: "interrupt" },
});
