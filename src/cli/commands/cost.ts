import type { Command } from "commander";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { PricedTokens, TokenCheck } from "../../contract/machine/tokens.ts";
import type { UsageLine } from "../../contract/machine/usage.ts";
import { oneLine } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { type CliResult, wrongUsage } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { defineOperation } from "../operation-command.ts";
import { shortPath } from "../screen-text.ts";
import { readTextFile } from "../task-input.ts";
import { tableView } from "../views.ts";

type Usage = MachineOutput<"usage.list">;
type Line = Usage["lines"][number];

export function addCommand(program: Command, cli: Cli): void {
  addTokens(defineOperation(cli, program, "cost", { operation: "usage.list", view: costView }), cli);
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

interface TokensOptions extends CommonOptions {
  readonly model?: string;
  readonly check?: boolean;
}

const maxFileBytes = 256_000_000;

function addTokens(program: Command, cli: Cli): void {
  const command = program
    .command("tokens <files...>")
    .description("estimated tokens of texts (-: stdin), and their price as input")
    .option("--model <id>", "the model that reads them; without one the estimate is on the high side")
    .option("--check", "the files are transcripts: how far estimates are from what the API counted");
  // Commander passes the list of files as one argument.
  cli.define(command, (options: TokensOptions, files: unknown) => showTokens(cli, options, files as readonly string[]));
}

async function showTokens(cli: Cli, options: TokensOptions, files: readonly string[]): Promise<CommandResult> {
  if (files.filter((file) => file === "-").length > 1) return wrongUsage("stdin (-) can be read once.");
  const texts: { readonly file: string; readonly text: string }[] = [];
  for (const file of files) {
    const text = await readText(cli, file);
    if (!text.ok) return text;
    texts.push({ file, text: text.value });
  }
  if (options.check === true)
    return checkTranscripts(
      cli,
      texts.map(({ text }) => text),
    );
  const estimates: (PricedTokens & { readonly file: string })[] = [];
  for (const { file, text } of texts) {
    const estimate = await cli.call("tokens.estimate", { text, ...omitUndefined({ model: options.model }) });
    if (!estimate.ok) return estimate;
    estimates.push({ file, ...estimate.value });
  }
  const [first] = estimates;
  const text = cli.table(estimates, {
    FILE: ({ file }) => (file === "-" ? "stdin" : file),
    TOKENS: ({ tokens }) => `about ${count(tokens)}`,
    RANGE: ({ low, high }) => `${count(low)} to ${count(high)}`,
    SOURCE: sourceText,
    PRICE: ({ dollars }) => (dollars === null ? "-" : `about $${dollars.toFixed(4)}`),
  });
  return ok({ data: { model: options.model ?? null, files: estimates }, text: `${text}${first?.priceNote ?? ""}\n` });
}

async function readText(cli: Cli, file: string): Promise<CliResult<string>> {
  return file === "-" ? ok(await cli.io.readInput()) : readTextFile(cli, file, "text", maxFileBytes);
}

export function sourceText({ source, samples }: PricedTokens): string {
  return source === "learned" ? `learned (${samples})` : source;
}

export function count(tokens: number): string {
  return tokens.toLocaleString("en-US");
}

async function checkTranscripts(cli: Cli, transcripts: string[]): Promise<CommandResult> {
  const checks = await cli.call("tokens.check", { transcripts });
  if (!checks.ok) return checks;
  const { learned } = checks.value;
  if (learned.pairs === 0)
    return ok({ data: checks.value, text: "No response without thinking has enough text and a count by the API.\n" });
  const lines = Object.entries(checks.value).map(([source, check]) => `${checkText(source, check)}\n`);
  return ok({ data: checks.value, text: lines.join("") });
}

function percent(share: number | null): string {
  return `${(100 * (share ?? 0)).toFixed(1)} %`;
}

function checkText(source: string, { pairs, medianError, p90Error, insideShare }: TokenCheck): string {
  return `${source}: n = ${pairs}, median error ${percent(medianError)}, 90 % below ${percent(p90Error)}, ${percent(insideShare)} inside the range`;
}
