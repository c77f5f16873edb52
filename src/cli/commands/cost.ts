import type { Command } from "commander";
import * as z from "zod";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { PricedTokens, UsageLine } from "../../contract/machine/usage.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { wrongUsage } from "../answer.ts";
import { tableView } from "../view.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { readTextFile } from "../option-values.ts";

type Usage = MachineOutput<"usage.list">;
type Line = Usage["lines"][number];

export function addCommand(program: Command, cli: Cli): void {
  addTokens(define(cli, program, "cost", { operation: "usage.list", view: costView }), cli);
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

const TokensInput = z.strictObject({
  files: z.array(z.string()).min(1),
  model: z.string().optional().describe("the model that reads them; without one the estimate is on the high side"),
});

const maxFileBytes = 256_000_000;

function addTokens(cost: Command, cli: Cli): void {
  define(cli, cost, "tokens", {
    input: TokensInput,
    summary: "Estimated tokens of texts (-: stdin), and their price as input.",
    example: { files: ["README.md"] },
    rest: "files",
    run: (input) => showTokens(cli, input),
  });
}

async function showTokens(cli: Cli, { files, model }: z.infer<typeof TokensInput>): Promise<CommandResult> {
  if (files.filter((file) => file === "-").length > 1) return wrongUsage("stdin (-) can be read once.");
  const texts: string[] = [];
  for (const file of files) {
    const text = file === "-" ? ok(await cli.io.readInput()) : readTextFile(cli, file, "text", maxFileBytes);
    if (!text.ok) return text;
    texts.push(text.value);
  }
  const estimates: (PricedTokens & { readonly file: string })[] = [];
  for (const [at, text] of texts.entries()) {
    const estimate = await cli.call("tokens.estimate", { text, ...omitUndefined({ model }) });
    if (!estimate.ok) return estimate;
    estimates.push({ file: files[at] ?? "-", ...estimate.value });
  }
  const [first] = estimates;
  const text = cli.table(estimates, {
    FILE: ({ file }) => (file === "-" ? "stdin" : file),
    TOKENS: ({ tokens }) => `about ${count(tokens)}`,
    RANGE: ({ low, high }) => `${count(low)} to ${count(high)}`,
    PRICE: ({ dollars }) => (dollars === null ? "-" : `about $${dollars.toFixed(4)}`),
  });
  return ok({ data: { model: model ?? null, files: estimates }, text: [text, first?.priceNote ?? ""] });
}

export function count(tokens: number): string {
  return tokens.toLocaleString("en-US");
}
