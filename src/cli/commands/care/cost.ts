import { Option, type Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import {
  totalCost,
  groupings,
  emptyLine,
  sum,
  usageBy,
  type Grouping,
  type UsageLine,
} from "../../../local-mcp/usage/usage-report.ts";
import { shortSessionId } from "../../../local-mcp/sessions/short-ids.ts";
import { momentOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { oneLine, shortPath } from "../../screen-text.ts";

interface CostOptions extends CommonOptions {
  readonly by: Grouping;
  readonly since?: number;
}

export function addCost(program: Command, cli: Cli): void {
  const command = program
    .command("cost")
    .description("tokens and cost of the chats of this machine")
    .addOption(new Option("--by <what>", "grouped by").choices(groupings).default("day"))
    .option("--since <time>", "from that day on: 7d, 2026-11-20", momentOption(cli.io, "first"));
  cli.define(command, (options: CostOptions) => showCost(cli, options));
}

async function showCost(cli: Cli, { by, since: given }: CostOptions): Promise<CommandResult> {
  const since = given ?? null;
  const runtime = await cli.runtime();
  const { usage } = runtime.config;
  const lines = runtime.store.read((sql) => usageBy(sql, { by, since }, usage), []);
  const total = lines.reduce(sum, emptyLine);
  const data = { by, since, lines, total, pricesAsOf: usage.pricesAsOf };
  if (lines.length === 0) return ok({ data, text: "Nothing was counted in that time.\n" });
  const text = cli.table([...lines, total], {
    [by.toUpperCase()]: (line) => (line === total ? "total" : formatKey(cli, runtime, by, line)),
    RESPONSES: ({ responses }) => responses.toLocaleString("en-US"),
    INPUT: ({ input }) => input.toLocaleString("en-US"),
    OUTPUT: ({ output }) => output.toLocaleString("en-US"),
    "CACHE READ": ({ cacheRead }) => cacheRead.toLocaleString("en-US"),
    "CACHE WRITE": ({ cacheWrite }) => cacheWrite.toLocaleString("en-US"),
    COST: costText,
  });
  return ok({ data, text: `${text}${notes(total, usage.pricesAsOf)}` });
}

function formatKey({ io }: Cli, runtime: Runtime, by: Grouping, { key }: UsageLine): string {
  if (key === null) return by === "task" ? "no task" : "-";
  if (by === "project") return shortPath(key, io.env["HOME"] ?? "");
  if (by !== "session") return key;
  return runtime.store.read((sql) => {
    const session = sessions.get(sql, key);
    const title = session && sessions.displayTitle(session);
    return title === null ? shortSessionId(sql, key) : `${shortSessionId(sql, key)}  ${oneLine(title, 40)}`;
  }, key);
}

/** [CL96] Marks a cost that includes estimates or misses unpriced tokens. */
function costText(line: UsageLine): string {
  const cost = `$${totalCost(line).toFixed(2)}`;
  if (line.unpricedTokens > 0) return totalCost(line) === 0 ? "not known" : `at least ${cost}`;
  return line.estimatedCostUsd > 0 ? `about ${cost}` : cost;
}

function notes({ estimatedCostUsd, unpricedTokens }: UsageLine, asOf: string | null): string {
  const date = asOf === null ? "" : ` of ${asOf}`;
  return [
    "Days are UTC days, as for budgets. Counted are all chats of this machine; `shim budget` counts the tasks of the workspace, on every machine.\n",
    ...(estimatedCostUsd > 0
      ? [`Of the total $${estimatedCostUsd.toFixed(2)} is estimated by your prices${date} (usage.prices).\n`]
      : []),
    ...(unpricedTokens > 0
      ? [
          `The cost of ${unpricedTokens.toLocaleString("en-US")} tokens is not known: the client did not report it (Claude Code does in its status line), and usage.prices has no price for the model.\n`,
        ]
      : []),
  ].join("");
}
