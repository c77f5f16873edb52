import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { type Command, Option } from "commander";
import * as z from "zod";
import { toolNames, Baseline, toBaseline } from "../../code/analysis/finding.ts";
import { toText, type Report } from "../../code/analysis/report.ts";
import { Duration, File, Folder, flag } from "../../contract/machine/operation.ts";
import { isFolder } from "../../platform/paths.ts";
import { writeAtomically } from "../../platform/private-files.ts";
import { pluralize } from "../../shared/format.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { type AnalysisOptions, analyze } from "../../code/tool-runner/analyze.ts";
import { trustOf } from "../../code/tool-runner/project-folder.ts";
import { TransformInput } from "../../code/transform/transformers.ts";
import type { Transformed } from "../../code/transform/run-transform.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { wrongUsage, type Lines, wrongWords } from "../answer.ts";
import { addGroup, type Cli, type CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { addEvolve } from "./evolve.ts";

const defaultBaseline = "analysis-baseline.json";

const AnalyzeInput = z.strictObject({
  folder: Folder.optional(),
  since: z.string().optional().describe("only what this commit does not have is new"),
  baseline: File.optional().describe("only what this file does not have is new"),
  writeBaseline: flag(`write all findings to the baseline (default: ${defaultBaseline} in the folder)`),
  only: z
    .string()
    .transform((text) => text.split(",").map((name) => name.trim()))
    .pipe(z.array(z.enum(toolNames)))
    .optional()
    .describe(`some of ${toolNames.join(", ")}`),
  trust: flag("also run tools that run the project's code, this time"),
  timeLimitMs: Duration.min(1_000).max(86_400_000).optional().describe("of each tool (default: 5m)"),
});
type AnalyzeInput = z.infer<typeof AnalyzeInput>;

export function addCommand(program: Command, cli: Cli): void {
  const code = addGroup(program, "code", "analyze and change a project's code");
  define(cli, code, "analyze", {
    input: AnalyzeInput,
    summary: "What the project's own tools find: types, lint, complexity, duplicates, dead code.",
    args: ["folder"],
    run: (input, { json }) => runAnalysis(cli, input, json === true),
  });
  define(cli, code, "transform", {
    input: TransformInput,
    summary:
      "Change code by a rule of ast-grep, a codemod, `lint-fix` or `unused-fix`, in a worktree: shows the diff, or leaves a branch.",
    example: { what: "lint-fix", paths: ["src"] },
    args: ["what"],
    rest: "paths",
    own: [new Option("--no-tests", "with --branch: run no tests")],
    run: (input) => transform(cli, input),
  });
  addEvolve(code, cli);
}

/** Ends with 0 when nothing is new, no tool failed and each kind was covered. */
async function runAnalysis(cli: Cli, input: AnalyzeInput, isJson: boolean): Promise<CommandResult> {
  const { only, trust, timeLimitMs, since, writeBaseline: isWritten } = input;
  const checked = checkInput(cli, input);
  if (!checked.ok) return checked;
  const { root, path, baseline } = checked.value;
  const trusted = trustOf(cli.paths.config, root, trust);
  if (!trusted.ok) return trusted;
  const signal = cli.io.interrupted();
  cli.progress(`Analysing ${root} ...`);
  const analyzed = analyze({
    folder: root,
    only,
    isTrusted: trusted.value,
    timeMs: timeLimitMs,
    since,
    baseline,
    env: cli.io.env,
    now: cli.io.now,
    monotonic: () => performance.now(),
    signal,
  });
  const report = await analyzed.catch((error: unknown) => {
    if (signal.aborted) return null;
    throw error;
  });
  if (report === null || signal.aborted)
    return ok({ data: { interrupted: true }, text: "", exit: exitCodes.interrupted });
  if (!report.ok) return wrongUsage(`${report.error}.`);
  if (isWritten) {
    writeBaseline(path, report.value);
    cli.progress(`The baseline is in ${relative(cli.io.cwd, path)}.`);
  }
  const text = isJson ? `${JSON.stringify(report.value, null, 2)}\n` : toText(report.value);
  return ok({ data: report.value, text, isVerbatim: true, exit: analysisExit(report.value, isWritten) });
}

interface CheckedInput {
  readonly root: string;
  /** The baseline. */
  readonly path: string;
  readonly baseline: NonNullable<AnalysisOptions["baseline"]> | null;
}

function checkInput(
  { io }: Cli,
  { folder = io.cwd, since, baseline: given, writeBaseline: isWritten }: AnalyzeInput,
): Result<CheckedInput> {
  if (since !== undefined && (isWritten || given !== undefined))
    return wrongWords("--since cannot be used with a baseline.");
  if (!isFolder(folder)) return wrongUsage(`there is no folder ${folder}.`);
  const path = given ?? join(folder, defaultBaseline);
  const baseline = given !== undefined && !isWritten ? readBaseline(path) : ok(null);
  if (!baseline.ok) return baseline;
  if (!existsSync(dirname(path))) return wrongUsage(`there is no folder ${dirname(path)}.`);
  return ok({ root: realpathSync(folder), path, baseline: baseline.value });
}

function analysisExit({ findings, tools, notCovered }: Report, isWritten: boolean): number {
  const hasFailed = tools.some(({ status }) => status === "failed") || !tools.some(({ status }) => status === "ran");
  const hasNew = !isWritten && findings.some(({ isNew }) => isNew !== false);
  if (hasFailed || hasNew) return exitCodes.failed;
  return notCovered.length > 0 && !isWritten ? exitCodes.incomplete : exitCodes.ok;
}

/** Files for the user's repository are readable by all. */
const fileMode = 0o644;

function readBaseline(path: string): Result<{ readonly name: string; readonly baseline: Baseline }> {
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

/** Exit code 3: nothing changed. */
async function transform(cli: Cli, input: TransformInput): Promise<CommandResult> {
  const { transformProject } = await import("../../code/transform/run-transform.ts");
  const site = { cwd: cli.io.cwd, signal: cli.io.interrupted() };
  const done = await transformProject(cli.context, input, site);
  if (!done.ok) return err({ ...done.error, message: `${done.error.message}${advice[done.error.code] ?? ""}` });
  const { files } = done.value;
  const exit = files.length === 0 ? exitCodes.notFound : exitCodes.ok;
  return ok({ data: done.value, text: changeLines(done.value), isVerbatim: true, exit });
}

const advice: Readonly<Record<string, string>> = {
  no_tool: " SHIM downloads nothing: add the package to the project.",
  not_trusted: " --trust allows that this time, and the setting analysis.trusted always.",
  no_tests: " Name a command with --tests, or say --no-tests.",
  tests_failed: "No branch was left.",
};

function changeLines(report: Transformed): Lines {
  const { diff, files, leftOut, uncommitted } = report;
  return [
    diff !== "" && `${diff}\n`,
    ...(files.length === 0 ? [`${report.tool} changed nothing.`] : [countText(report), resultText(report)]),
    ...leftOut.map(({ path, reason }) => `Left out: ${path} (${reason}).`),
    uncommitted > 0 &&
      `Not included: ${pluralize(uncommitted, "path")} of your tree with changes that are not committed.`,
  ];
}

function countText({ tool, version, files, insertions, deletions }: Transformed): string {
  const name = version === null ? tool : `${tool} ${version}`;
  return `${name}: ${pluralize(files.length, "file")}, ${pluralize(insertions, "insertion")}, ${pluralize(deletions, "deletion")}.`;
}

function resultText({ isIdempotent, tests, base, branch }: Transformed): string {
  const repeat = isIdempotent ? "A second run changes nothing more." : "A second run changes these files again.";
  if (branch === null) return `${repeat} This was a dry run: --branch leaves a branch, once the tests pass.`;
  const judged = tests === null ? "No tests were run" : `${tests.command} succeeded`;
  return `${repeat} ${judged}. It is on the branch ${branch}, from ${base.slice(0, 12)}; nothing is merged.`;
}
