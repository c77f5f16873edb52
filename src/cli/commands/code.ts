import { realpathSync } from "node:fs";
import type { Command } from "commander";
import * as z from "zod";
import { toolNames } from "../../code/analysis/finding.ts";
import { toText, type Report } from "../../code/analysis/report.ts";
import { Duration, Folder, flag } from "../../contract/machine/operation.ts";
import { isFolder } from "../../platform/paths.ts";
import { ok } from "../../shared/result.ts";
import { analyze } from "../../code/tool-runner/analyze.ts";
import { requireTrust } from "../../code/tool-runner/project-folder.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { wrongUsage } from "../answer.ts";
import { addGroup, type Cli, type CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { addEvolve } from "./evolve.ts";

const AnalyzeInput = z.strictObject({
  folder: Folder.optional(),
  since: z.string().optional().describe("only what this commit does not have is new"),
  only: z
    .string()
    .transform((text) => text.split(",").map((name) => name.trim()))
    .pipe(z.array(z.enum(toolNames)))
    .optional()
    .describe(`some of ${toolNames.join(", ")}`),
  trust: flag("run the project's tools, this time"),
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
  addEvolve(code, cli);
}

/** Ends with 0 when nothing is new, no tool failed and each kind was covered. */
async function runAnalysis(cli: Cli, input: AnalyzeInput, isJson: boolean): Promise<CommandResult> {
  const { folder = cli.io.cwd, only, trust, timeLimitMs, since } = input;
  if (!isFolder(folder)) return wrongUsage(`there is no folder ${folder}.`);
  const root = realpathSync(folder);
  const trusted = requireTrust(cli.paths.config, root, trust);
  if (!trusted.ok) return trusted;
  const signal = cli.io.interrupted();
  cli.progress(`Analysing ${root} ...`);
  const analyzed = analyze({
    folder: root,
    only,
    timeMs: timeLimitMs,
    since,
    env: cli.io.env,
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
  const text = isJson ? `${JSON.stringify(report.value, null, 2)}\n` : toText(report.value);
  return ok({ data: report.value, text, isVerbatim: true, exit: analysisExit(report.value) });
}

function analysisExit({ findings, tools, notCovered }: Report): number {
  const hasFailed = tools.some(({ status }) => status === "failed") || !tools.some(({ status }) => status === "ran");
  const hasNew = findings.some(({ isNew }) => isNew !== false);
  if (hasFailed || hasNew) return exitCodes.failed;
  return notCovered.length > 0 ? exitCodes.incomplete : exitCodes.ok;
}
