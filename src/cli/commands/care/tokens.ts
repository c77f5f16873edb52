import type { Command } from "commander";
import type { Config } from "../../../contract/config.ts";
import { loadFactors } from "../../../local-mcp/signals/token-factors.ts";
import { checkEstimates, readPairs, type TokenCheck } from "../../../local-mcp/signals/token-check.ts";
import { estimateRange, type TokenEstimate } from "../../../routing/tokens.ts";
import { canonicalModel } from "../../../shared/model-name.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { readTextFile } from "../../task-input.ts";

interface TokensOptions extends CommonOptions {
  readonly model?: string;
  readonly check?: boolean;
}

const maxFileBytes = 256_000_000;

export function addTokens(program: Command, cli: Cli): void {
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
  if (options.check === true) return checkTranscripts(texts.map(({ text }) => text));
  const estimates = await Promise.all(
    texts.map(async ({ file, text }) => Object.assign({ file }, await estimateText(cli, text, options.model ?? null))),
  );
  const prices = estimates.length === 0 ? "" : (estimates[0]?.priceNote ?? "");
  const text = cli.table(estimates, {
    FILE: ({ file }) => (file === "-" ? "stdin" : file),
    TOKENS: ({ tokens }) => `about ${count(tokens)}`,
    RANGE: ({ low, high }) => `${count(low)} to ${count(high)}`,
    SOURCE: sourceText,
    PRICE: ({ dollars }) => (dollars === null ? "-" : `about $${dollars.toFixed(4)}`),
  });
  return ok({ data: { model: options.model ?? null, files: estimates }, text: `${text}${prices}` });
}

async function readText(cli: Cli, file: string): Promise<CliResult<string>> {
  return file === "-" ? ok(await cli.io.readInput()) : readTextFile(cli, file, "text", maxFileBytes);
}

export interface PricedEstimate extends TokenEstimate {
  /** Price as uncached input; null: no price is set for the model. */
  readonly dollars: number | null;
  readonly pricesAsOf: string | null;
  readonly priceNote: string;
}

/** [RT3] The price is the user's own, with its date. */
export async function estimateText(cli: Cli, text: string, model: string | null): Promise<PricedEstimate> {
  const runtime = await cli.runtime();
  const estimate = estimateRange(text, model, runtime.store.read(loadFactors, {}));
  const { prices, pricesAsOf } = runtime.config.usage;
  const price = priceOf(prices, model);
  return {
    ...estimate,
    dollars: price === null ? null : (estimate.tokens * price) / 1e6,
    pricesAsOf,
    priceNote: priceNote(model, price, pricesAsOf),
  };
}

function priceOf(prices: Config["usage"]["prices"], model: string | null): number | null {
  if (model === null) return null;
  const key = canonicalModel(model);
  return Object.hasOwn(prices, key) ? (prices[key]?.input ?? null) : null;
}

function priceNote(model: string | null, price: number | null, asOf: string | null): string {
  if (model === null) return "No price: name the model with --model.\n";
  if (price === null)
    return `No price is set for ${model}: set it with its date in usage.prices and usage.pricesAsOf.\n`;
  return `By your price of $${price} for a million input tokens${asOf === null ? ", without a date (usage.pricesAsOf)" : `, as of ${asOf}`}.\n`;
}

export function sourceText({ source, samples }: TokenEstimate): string {
  return source === "learned" ? `learned (${samples})` : source;
}

export function count(tokens: number): string {
  return tokens.toLocaleString("en-US");
}

/** [RT4] */
function checkTranscripts(texts: readonly string[]): CommandResult {
  const pairs = texts.flatMap((text) => readPairs(text.split("\n")));
  const checks = { learned: checkEstimates(pairs), default: checkEstimates(pairs, false) };
  if (pairs.length === 0)
    return ok({ data: checks, text: "No response without thinking has enough text and a count by the API.\n" });
  const text = Object.entries(checks).map(([source, check]) => `${checkText(source, check)}\n`);
  return ok({ data: checks, text: text.join("") });
}

function percent(share: number | null): string {
  return `${(100 * (share ?? 0)).toFixed(1)} %`;
}

function checkText(source: string, { pairs, medianError, p90Error, insideShare }: TokenCheck): string {
  return `${source}: n = ${pairs}, median error ${percent(medianError)}, 90 % below ${percent(p90Error)}, ${percent(insideShare)} inside the range`;
}
