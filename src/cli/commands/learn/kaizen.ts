import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { KaizenSetting } from "../../../contract/config.ts";
import { findWeek, weekOf } from "../../../experiments/kaizen/week.ts";
import { weeklyReport } from "../../../experiments/kaizen/weekly-report.ts";
import type { Experiment } from "../../../experiments/engine/experiment.ts";
import { describeFinding } from "../../../experiments/opportunities/describe.ts";
import type { Finding } from "../../../experiments/opportunities/finding.ts";
import { nextTrial, tryFinding } from "../../../local-mcp/experiments/next-trial.ts";
import { advanceAll } from "../../../local-mcp/experiments/experiments.ts";
import { weeklyFacts } from "../../../local-mcp/experiments/weekly-facts.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes, failed, wrongUsage } from "../../answer.ts";
import { durationOption } from "../../task-input.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";
import { pluralize } from "../../screen-text.ts";
import { examine } from "./opportunities.ts";

interface RunOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly timeLimit?: number;
}

interface ReportOptions extends CommonOptions {
  readonly week?: string;
}

export function addKaizen(program: Command, cli: Cli): void {
  const command = program.command("kaizen").description("the review of the records: run, report");
  const run = command
    .command("run")
    .description("one review: examine, advance trials, try the best finding if `kaizen` is apply, write the report")
    .option("--once", "one review (the default)")
    .option("--time-limit <duration>", "give up after this time (5m)", durationOption)
    .option("--dry-run", "say what would be done, and change nothing");
  cli.define(run, (options: RunOptions) => review(cli, options));
  const report = command
    .command("report")
    .description("the report of a week: what died, was saved, was lost, cost and changed")
    .option("--week <week>", "such as 2026-W47 (default: this week)");
  cli.define(report, (options: ReportOptions) => showReport(cli, options));
}

interface Review {
  readonly mode: KaizenSetting;
  readonly findings: readonly Finding[];
  readonly moved: readonly Experiment[];
  readonly trial: Experiment | Finding | null;
  readonly report: string | null;
}

/** [EX81] */
async function review(cli: Cli, { dryRun, timeLimit }: RunOptions): Promise<CommandResult> {
  // The process that has started the review may have ended since.
  if (timeLimit !== undefined) setTimeout(() => process.exit(exitCodes.failed), timeLimit).unref();
  const runtime = await cli.runtime();
  const mode = runtime.config.kaizen;
  const { findings } = (await examine(cli, runtime, { isStored: dryRun !== true })).found;
  const candidate = mode === "apply" ? nextTrial(runtime, findings) : null;
  if (dryRun === true) {
    const done: Review = { mode, findings, moved: [], trial: candidate, report: null };
    return ok({ data: done, text: planText(cli, done) });
  }
  const moved = advanceAll(runtime);
  const trial = candidate && tryFinding(runtime, candidate);
  const report = writeLastWeek(runtime, findings);
  const done: Review = { mode, findings, moved, trial, report };
  return ok({ data: done, text: doneText(done) });
}

function planText(cli: Cli, { mode, findings, trial }: Review): string {
  const found = findings.map((one) => `- ${ideaOf(one)}\n`).join("");
  const plan =
    mode === "apply"
      ? trial && "evidence" in trial
        ? `Would try ${trial.parameter} = ${trial.to}.\n`
        : "Would try nothing.\n"
      : "Would change nothing: `shim config set kaizen apply` allows trials.\n";
  return `${pluralize(findings.length, "finding")}.\n${cli.verbatim(found)}${plan}`;
}

function ideaOf(finding: Finding): string {
  const { title, text, advice } = describeFinding(finding);
  return `${title}. ${text} ${advice}`;
}

function doneText({ findings, moved, trial, report }: Review): string {
  const trialText = trial && "state" in trial ? `${trial.id}: ${trial.key} = ${trial.to}, ${trial.state}.\n` : "";
  const movedText = moved.map(({ id, state }) => `${id}: ${state.replace("_", " ")}.\n`).join("");
  const reportText = report === null ? "" : `Report: ${report}\n`;
  return `${pluralize(findings.length, "finding")}.\n${movedText}${trialText}${reportText}`;
}

/** [EX83] Each week with chats once, as soon as it has ended. @returns the path if written */
function writeLastWeek(runtime: Runtime, findings: readonly Finding[]): string | null {
  const folder = join(runtime.paths.home, "reports");
  const week = weekOf(weekOf(runtime.now()).from - 1);
  const path = join(folder, `${week.name}.md`);
  if (existsSync(path)) return null;
  const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
  if (!facts || facts.sessions === 0) return null;
  createPrivateFolder(folder);
  writeAtomically(path, weeklyReport(facts, findings.map(ideaOf)), { mode: 0o600 });
  return path;
}

async function showReport(cli: Cli, { week: name }: ReportOptions): Promise<CommandResult> {
  const week = name === undefined ? weekOf(cli.io.now()) : findWeek(name);
  if (!week)
    return wrongUsage(`"${(name ?? "").slice(0, 40)}" is no week. Name one such as ${weekOf(cli.io.now()).name}.`);
  const runtime = await cli.runtime();
  const isThisWeek = week.until > cli.io.now();
  const findings = isThisWeek ? (await examine(cli, runtime, { isStored: false })).found.findings : null;
  const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
  if (!facts) return failed("nothing_stored", "nothing is stored yet, so there is nothing to report.");
  const text = weeklyReport(facts, findings && findings.map(ideaOf));
  return ok({ data: { week: week.name, report: text }, text, isVerbatim: true });
}
