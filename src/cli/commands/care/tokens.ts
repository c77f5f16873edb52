import type { Command } from "commander";
import type { PricedTokens, TokenCheck } from "../../../contract/machine/tokens.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { readTextFile } from "../../task-input.ts";

interface TokensOptions extends CommonOptions {
  readonly model?: string;
  readonly check?: boolean;
}

const maxFileBytes = 256_000_000;

export function addCommand(program: Command, cli: Cli): void {
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
