import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import * as z from "zod";
import { toolNames, type ToolName } from "../../../analysis/adapter.ts";
import { toMarkdown } from "../../../analysis/formats/markdown.ts";
import { toSarif } from "../../../analysis/formats/sarif.ts";
import { toText } from "../../../analysis/formats/text.ts";
import type { Report } from "../../../analysis/report.ts";
import { readConfig } from "../../../platform/config-file.ts";
import { writeAtomically } from "../../../platform/private-files.ts";
import { ok } from "../../../shared/result.ts";
import { analyze, defaultMemoryMb, defaultTimeMs, type AnalysisOptions } from "../../../tool-runner/analyze.ts";
import { isTrusted } from "../../../tool-runner/project-folder.ts";
import { exitCodes, failed, wrongUsage, type CliResult } from "../../answer.ts";
import { enumOption, type Cli, type CommandResult, type CommonOptions } from "../../cli.ts";
import { parseDuration } from "../../times.ts";
import { fileMode, readBaseline, writeBaseline } from "./baseline-file.ts";

const Format = z.enum(["text", "json", "sarif", "markdown"]);

interface AnalyzeOptions extends CommonOptions {
  readonly since?: string;
  readonly baseline?: string;
  readonly writeBaseline?: boolean;
  readonly format?: z.infer<typeof Format>;
  readonly output?: string;
  readonly only?: readonly ToolName[];
  readonly trust?: boolean;
  readonly timeLimit?: number;
}

const defaultBaseline = "analysis-baseline.json";

export function addAnalyze(program: Command, cli: Cli): void {
  const command = program
    .command("analyze [folder]")
    .description("what the project's own tools find: types, lint, complexity, duplicates, dead code")
    .addOption(
      new Option("--since <ref>", "only what this commit does not have is new").conflicts([
        "baseline",
        "writeBaseline",
      ]),
    )
    .option("--baseline <file>", "only what this file does not have is new")
    .option("--write-baseline", `write all findings to the baseline (default: ${defaultBaseline} in the folder)`)
    .addOption(enumOption("--format <format>", Format, " (default: text)"))
    .option("--output <file>", "write the report to a file")
    .option("--only <tools>", `some of ${toolNames.join(", ")}`, toolsOption)
    .option("--trust", "also run tools that run the project's code, this time")
    .option("--time-limit <time>", "of each tool: 90s, 10m (default: 5m)", timeOption);
  cli.define(command, (options: AnalyzeOptions, folder = ".") => runAnalysis(cli, options, folder));
}

function toolsOption(text: string): ToolName[] {
  const names = text.split(",").map((name) => name.trim());
  const parsed = z.array(z.enum(toolNames)).safeParse(names);
  if (!parsed.success) throw new InvalidArgumentError(`It must be some of ${toolNames.join(", ")}.`);
  return parsed.data;
}

const maxTimeMs = 86_400_000;

function timeOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms > maxTimeMs) throw new InvalidArgumentError("Give a duration, such as 90s or 10m.");
  return ms;
}

/** [AN14] Ends with 0 when nothing is new, no tool failed and each kind was covered. */
async function runAnalysis(cli: Cli, options: AnalyzeOptions, given: string): Promise<CommandResult> {
  const checked = checkInput(cli, options, given);
  if (!checked.ok) return checked;
  const { root, paths, baseline, trusted } = checked.value;
  const signal = endSignal(cli);
  cli.progress(`Analysing ${root} ...`);
  const report = await analyzeUntil(signal, {
    folder: root,
    only: options.only ?? null,
    isTrusted: options.trust === true || isTrusted(root, trusted),
    timeMs: options.timeLimit ?? defaultTimeMs,
    memoryMb: defaultMemoryMb,
    since: options.since ?? null,
    baseline,
    env: cli.io.env,
    now: cli.io.now,
    monotonic: () => performance.now(),
    signal,
  });
  if (report === null) return ok({ data: { interrupted: true }, text: "", exit: exitCodes.interrupted });
  if (!report.ok) return wrongUsage(`${report.error}.`);
  if (options.writeBaseline) writeBaseline(paths.baseline, report.value);
  return answer(cli, options, report.value, paths);
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

interface Paths {
  readonly output: string | null;
  readonly baseline: string;
}

interface CheckedInput {
  readonly root: string;
  readonly paths: Paths;
  readonly baseline: AnalysisOptions["baseline"];
  readonly trusted: readonly string[];
}

function checkInput(cli: Cli, options: AnalyzeOptions, given: string): CliResult<CheckedInput> {
  const folder = resolve(cli.io.cwd, given);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return wrongUsage(`there is no folder ${folder}.`);
  const paths = pathsOf(cli, options, folder);
  const isCompared = options.baseline !== undefined && !options.writeBaseline;
  const baseline = isCompared ? readBaseline(paths.baseline) : ok(null);
  if (!baseline.ok) return baseline;
  const missing = [paths.output, paths.baseline].find((path) => path !== null && !existsSync(dirname(path)));
  if (missing) return wrongUsage(`there is no folder ${dirname(missing)}.`);
  const config = readConfig(cli.paths.config);
  if (!config.ok) return failed("bad_config", config.error);
  return ok({ root: realpathSync(folder), paths, baseline: baseline.value, trusted: config.value.analysis.trusted });
}

function pathsOf(cli: Cli, { output, baseline }: AnalyzeOptions, folder: string): Paths {
  return {
    output: output === undefined ? null : resolve(cli.io.cwd, output),
    baseline: resolve(cli.io.cwd, baseline ?? join(folder, defaultBaseline)),
  };
}

function answer(cli: Cli, options: AnalyzeOptions, report: Report, { output, baseline }: Paths): CommandResult {
  const format = options.json ? "json" : (options.format ?? "text");
  const text = format === "json" ? `${JSON.stringify(report, null, 2)}\n` : render(report, format);
  const exit = exitOf(report, options.writeBaseline === true);
  if (options.writeBaseline) cli.progress(`The baseline is in ${relative(cli.io.cwd, baseline)}.`);
  if (output === null) return ok({ data: report, text, isVerbatim: true, exit });
  writeAtomically(output, text, { mode: fileMode });
  const { totals, tools, notCovered } = report;
  return ok({ data: { output, totals, tools, notCovered }, text: `The report is in ${output}.\n`, exit });
}

function render(report: Report, format: Exclude<AnalyzeOptions["format"], "json" | undefined>): string {
  if (format === "text") return toText(report);
  return format === "markdown" ? toMarkdown(report) : `${JSON.stringify(toSarif(report), null, 2)}\n`;
}

function exitOf({ findings, tools, notCovered }: Report, isWritten: boolean): number {
  const hasFailed = tools.some(({ status }) => status === "failed") || !tools.some(({ status }) => status === "ran");
  const hasNew = !isWritten && findings.some(({ isNew }) => isNew !== false);
  if (hasFailed || hasNew) return exitCodes.failed;
  return notCovered.length > 0 && !isWritten ? exitCodes.incomplete : exitCodes.ok;
}
