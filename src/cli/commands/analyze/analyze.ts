import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import { toolNames } from "../../../analysis/adapter.ts";
import { Baseline, toBaseline } from "../../../analysis/finding.ts";
import { toMarkdown, toSarif, toText } from "../../../analysis/formats.ts";
import type { Report } from "../../../analysis/report.ts";
import { Duration, File, Folder } from "../../../contract/machine/forms.ts";
import { writeAtomically } from "../../../platform/private-files.ts";
import { ok } from "../../../shared/result.ts";
import { analyze, type AnalysisOptions } from "../../../tool-runner/analyze.ts";
import { trustOf } from "../../../tool-runner/project-folder.ts";
import { defaultTimeMs } from "../../../tool-runner/run-tool.ts";
import { exitCodes, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { defineProgram } from "../../operation-command.ts";

const defaultBaseline = "analysis-baseline.json";

const AnalyzeInput = z.strictObject({
  folder: Folder.optional(),
  since: z.string().optional().describe("only what this commit does not have is new"),
  baseline: File.optional().describe("only what this file does not have is new"),
  writeBaseline: z
    .boolean()
    .default(false)
    .describe(`write all findings to the baseline (default: ${defaultBaseline} in the folder)`),
  format: z.enum(["text", "json", "sarif", "markdown"]).default("text").describe("of the report"),
  output: File.optional().describe("write the report to a file"),
  only: z
    .string()
    .transform((text) => text.split(",").map((name) => name.trim()))
    .pipe(z.array(z.enum(toolNames)))
    .optional()
    .describe(`some of ${toolNames.join(", ")}`),
  trust: z.boolean().default(false).describe("also run tools that run the project's code, this time"),
  timeLimitMs: Duration.min(1_000).max(86_400_000).optional().describe("of each tool (default: 5m)"),
});
type AnalyzeInput = z.infer<typeof AnalyzeInput>;

export function addCommand(program: Command, cli: Cli): void {
  const summary = "What the project's own tools find: types, lint, complexity, duplicates, dead code.";
  const details = { input: AnalyzeInput, summary, args: ["folder"] };
  defineProgram(cli, program.command("analyze"), details, (input, { json }) => runAnalysis(cli, input, json === true));
}

/** [AN14] Ends with 0 when nothing is new, no tool failed and each kind was covered. */
async function runAnalysis(cli: Cli, input: AnalyzeInput, isJson: boolean): Promise<CommandResult> {
  const { only, trust, timeLimitMs, since, writeBaseline: isWritten } = input;
  const checked = checkInput(cli, input);
  if (!checked.ok) return checked;
  const { root, path, baseline } = checked.value;
  const trusted = trustOf(cli.paths.config, root, trust);
  if (!trusted.ok) return trusted;
  const signal = endSignal(cli);
  cli.progress(`Analysing ${root} ...`);
  const report = await analyzeUntil(signal, {
    folder: root,
    only: only ?? null,
    isTrusted: trusted.value,
    timeMs: timeLimitMs ?? defaultTimeMs,
    since: since ?? null,
    baseline,
    env: cli.io.env,
    now: cli.io.now,
    monotonic: () => performance.now(),
    signal,
  });
  if (report === null) return ok({ data: { interrupted: true }, text: "", exit: exitCodes.interrupted });
  if (!report.ok) return wrongUsage(`${report.error}.`);
  if (isWritten) {
    writeBaseline(path, report.value);
    cli.progress(`The baseline is in ${relative(cli.io.cwd, path)}.`);
  }
  return answer(input, isJson ? "json" : input.format, report.value);
}

const parentCheckMs = 1_000;

/** Aborted by Ctrl-C, and when the launcher is gone: a killed one forwards no signal. */
export function endSignal({ io }: Cli): AbortSignal {
  const orphaned = new AbortController();
  const parent = io.parentPid();
  const timer = setInterval(() => {
    if (io.parentPid() !== parent) orphaned.abort();
  }, parentCheckMs);
  timer.unref();
  return AbortSignal.any([io.interrupted(), orphaned.signal]);
}

/** @returns null after Ctrl-C */
async function analyzeUntil(
  signal: AbortSignal,
  options: AnalysisOptions,
): Promise<Awaited<ReturnType<typeof analyze>> | null> {
  try {
    const report = await analyze(options);
    return signal.aborted ? null : report;
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

interface CheckedInput {
  readonly root: string;
  /** The baseline. */
  readonly path: string;
  readonly baseline: AnalysisOptions["baseline"];
}

function checkInput(
  { io }: Cli,
  { folder = io.cwd, since, baseline: given, writeBaseline: isWritten, output }: AnalyzeInput,
): CliResult<CheckedInput> {
  if (since !== undefined && (isWritten || given !== undefined))
    return wrongUsage("--since cannot be used with a baseline.");
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return wrongUsage(`there is no folder ${folder}.`);
  const path = given ?? join(folder, defaultBaseline);
  const baseline = given !== undefined && !isWritten ? readBaseline(path) : ok(null);
  if (!baseline.ok) return baseline;
  const missing = [output ?? path, path].map(dirname).find((one) => !existsSync(one));
  if (missing !== undefined) return wrongUsage(`there is no folder ${missing}.`);
  return ok({ root: realpathSync(folder), path, baseline: baseline.value });
}

function answer(
  { output, writeBaseline: isWritten }: AnalyzeInput,
  format: AnalyzeInput["format"],
  report: Report,
): CommandResult {
  const text = formats[format](report);
  const exit = exitOf(report, isWritten);
  if (output === undefined) return ok({ data: report, text, isVerbatim: true, exit });
  writeAtomically(output, text, { mode: fileMode });
  const { totals, tools, notCovered } = report;
  return ok({ data: { output, totals, tools, notCovered }, text: `The report is in ${output}.\n`, exit });
}

const formats: Readonly<Record<AnalyzeInput["format"], (report: Report) => string>> = {
  text: toText,
  markdown: toMarkdown,
  json: (report) => `${JSON.stringify(report, null, 2)}\n`,
  sarif: (report) => `${JSON.stringify(toSarif(report), null, 2)}\n`,
};

function exitOf({ findings, tools, notCovered }: Report, isWritten: boolean): number {
  const hasFailed = tools.some(({ status }) => status === "failed") || !tools.some(({ status }) => status === "ran");
  const hasNew = !isWritten && findings.some(({ isNew }) => isNew !== false);
  if (hasFailed || hasNew) return exitCodes.failed;
  return notCovered.length > 0 && !isWritten ? exitCodes.incomplete : exitCodes.ok;
}

/** Files for the user's repository are readable by all. */
const fileMode = 0o644;

function readBaseline(path: string): CliResult<{ readonly name: string; readonly baseline: Baseline }> {
  if (!existsSync(path)) return wrongUsage(`there is no baseline ${path}; --write-baseline makes one.`);
  try {
    return ok({ name: basename(path), baseline: Baseline.parse(JSON.parse(readFileSync(path, "utf8"))) });
  } catch {
    return wrongUsage(`${path} is no baseline of this version; --write-baseline writes one.`);
  }
}

function writeBaseline(path: string, { findings }: Report): void {
  writeAtomically(path, `${JSON.stringify(toBaseline(findings), null, 2)}\n`, { mode: fileMode });
}
