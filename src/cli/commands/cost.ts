import type { Command } from "commander";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { UsageLine } from "../../contract/machine/usage.ts";
import { tableView } from "../view.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { usageOperations } from "../../contract/machine/usage.ts";

type Usage = MachineOutput<"usage.list">;
type Line = Usage["lines"][number];

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "cost", { operation: "usage.list", of: usageOperations, view: costView });
}

const costView = tableView<Usage, Line>({
  rows: ({ lines, total }) => (lines.length === 0 ? [] : [...lines, total]),
  empty: "Nothing was counted in that time.",
  columns: (usage, cli) => ({
    [usage.by.toUpperCase()]: (line) => (line === usage.total ? "total" : keyText(usage, line, cli)),
    RESPONSES: ({ responses }) => count(responses),
    INPUT: ({ input }) => count(input),
    OUTPUT: ({ output }) => count(output),
    "CACHE READ": ({ cacheRead }) => count(cacheRead),
    "CACHE WRITE": ({ cacheWrite }) => count(cacheWrite),
    COST: costText,
  }),
  notes: ({ total: { estimatedCostUsd, unpricedTokens }, pricesAsOf }) => [
    "Days are UTC days, as for budgets. Counted are all chats of this machine; `shim team budget` counts the tasks of the workspace, on every machine.",
    estimatedCostUsd > 0 &&
      `Of the total $${estimatedCostUsd.toFixed(2)} is estimated by your prices${pricesAsOf === null ? "" : ` of ${pricesAsOf}`} (usage.prices).`,
    unpricedTokens > 0 &&
      `The cost of ${count(unpricedTokens)} tokens is not known: the client did not report it (Claude Code does in its status line), and usage.prices has no price for the model.`,
  ],
});

function keyText({ by }: Usage, { key, shortId, title }: Line, cli: Cli): string {
  if (key === null) return by === "task" ? "no task" : "-";
  if (by === "project") return cli.short(key);
  return [shortId ?? key, ...(title === undefined ? [] : [title])].join("  ");
}

/** Marks a cost that includes estimates or misses unpriced tokens. */
function costText({ clientCostUsd, estimatedCostUsd, unpricedTokens }: UsageLine): string {
  const costUsd = clientCostUsd + estimatedCostUsd;
  const cost = `$${costUsd.toFixed(2)}`;
  if (unpricedTokens > 0) return costUsd === 0 ? "not known" : `at least ${cost}`;
  return estimatedCostUsd > 0 ? `about ${cost}` : cost;
}

export function count(tokens: number): string {
  return tokens.toLocaleString("en-US");
}
