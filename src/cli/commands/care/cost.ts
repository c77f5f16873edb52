import { oneLine } from "../../../shared/format.ts";
import type { Command } from "commander";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { UsageLine } from "../../../contract/machine/usage.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { shortPath } from "../../screen-text.ts";
import { tableView } from "../../views.ts";

type Usage = MachineOutput<"usage.list">;
type Line = Usage["lines"][number];

export function addCommand(program: Command, cli: Cli): Command {
  return defineOperation(cli, program, "cost", { operation: "usage.list", view: costView });
}

const costView = tableView<Usage, Line>({
  rows: ({ lines, total }) => (lines.length === 0 ? [] : [...lines, total]),
  empty: "Nothing was counted in that time.",
  columns: (usage, { io }) => ({
    [usage.by.toUpperCase()]: (line) => (line === usage.total ? "total" : keyText(usage, line, io.env["HOME"] ?? "")),
    RESPONSES: ({ responses }) => responses.toLocaleString("en-US"),
    INPUT: ({ input }) => input.toLocaleString("en-US"),
    OUTPUT: ({ output }) => output.toLocaleString("en-US"),
    "CACHE READ": ({ cacheRead }) => cacheRead.toLocaleString("en-US"),
    "CACHE WRITE": ({ cacheWrite }) => cacheWrite.toLocaleString("en-US"),
    COST: costText,
  }),
  notes: ({ total, pricesAsOf }) => notes(total, pricesAsOf),
});

function keyText({ by }: Usage, { key, shortId, title }: Line, home: string): string {
  if (key === null) return by === "task" ? "no task" : "-";
  if (by === "project") return shortPath(key, home);
  return [shortId ?? key, ...(title === undefined ? [] : [oneLine(title, 40)])].join("  ");
}

/** [CL96] Marks a cost that includes estimates or misses unpriced tokens. */
function costText({ clientCostUsd, estimatedCostUsd, unpricedTokens }: UsageLine): string {
  const costUsd = clientCostUsd + estimatedCostUsd;
  const cost = `$${costUsd.toFixed(2)}`;
  if (unpricedTokens > 0) return costUsd === 0 ? "not known" : `at least ${cost}`;
  return estimatedCostUsd > 0 ? `about ${cost}` : cost;
}

function notes({ estimatedCostUsd, unpricedTokens }: UsageLine, asOf: string | null): string[] {
  const date = asOf === null ? "" : ` of ${asOf}`;
  return [
    "Days are UTC days, as for budgets. Counted are all chats of this machine; `shim team budget` counts the tasks of the workspace, on every machine.",
    ...(estimatedCostUsd > 0
      ? [`Of the total $${estimatedCostUsd.toFixed(2)} is estimated by your prices${date} (usage.prices).`]
      : []),
    ...(unpricedTokens > 0
      ? [
          `The cost of ${unpricedTokens.toLocaleString("en-US")} tokens is not known: the client did not report it (Claude Code does in its status line), and usage.prices has no price for the model.`,
        ]
      : []),
  ];
}
