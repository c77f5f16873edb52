import { pluralize } from "../../../shared/format.ts";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { KaizenSetting } from "../../../contract/config.ts";
import type { ReplaySession } from "../../../contract/replay.ts";
import { findWeek, weekOf } from "../../../experiments/kaizen/week.ts";
import { weeklyReport, withTrials } from "../../../experiments/kaizen/weekly-report.ts";
import type { Experiment } from "../../../experiments/engine/experiment.ts";
import { describeFinding } from "../../../experiments/opportunities/describe.ts";
import type { Finding } from "../../../experiments/opportunities/finding.ts";
import { sendCounted } from "../../../local-mcp/assignment/send-counted.ts";
import { nextTrial, tryNext, type NextTrial } from "../../../local-mcp/experiments/next-trial.ts";
import { advanceAll } from "../../../local-mcp/experiments/experiments.ts";
import { weeklyFacts } from "../../../local-mcp/experiments/weekly-facts.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes, failed, wrongUsage } from "../../answer.ts";
import { durationOption } from "../../task-input.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";
import { compareQueue } from "./compare-queue.ts";
import { examine } from "./opportunities.ts";
import { listTrials } from "./workspace-experiments.ts";
import { reviewWorkspace, type WorkspaceReview } from "./workspace-review.ts";

interface RunOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly timeLimit?: number;
}

interface ReportOptions extends CommonOptions {
  readonly week?: string;
}

export function addReview(learn: Command, cli: Cli): void {
  const run = learn
    .command("run")
    .description("one review: examine, advance trials, try the best finding if `kaizen` is apply, write the report")
    .option("--once", "one review (the default)")
    .option("--time-limit <duration>", "give up after this time (5m)", durationOption)
    .option("--dry-run", "say what would be done, and change nothing");
  cli.define(run, (options: RunOptions) => review(cli, options));
  const report = learn
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
  /** Why findings that are more certain are not tried yet. */
  readonly waits: readonly string[];
  readonly report: string | null;
  readonly workspace: WorkspaceReview;
}

/** [EX81] */
async function review(cli: Cli, { dryRun, timeLimit }: RunOptions): Promise<CommandResult> {
  // The process that has started the review may have ended since.
  if (timeLimit !== undefined) setTimeout(() => process.exit(exitCodes.failed), timeLimit).unref();
  const runtime = await cli.runtime();
  const mode = runtime.config.kaizen;
  const { found, recorded } = await examine(cli, runtime, { isStored: dryRun !== true });
  const { findings } = found;
  const next = nextOf(runtime, findings, recorded);
  const { waits } = next;
  const workspace = await reviewTeam(cli, runtime, findings, dryRun === true);
  if (dryRun === true) {
    const done: Review = { mode, findings, moved: [], trial: next.finding, waits, report: null, workspace };
    return ok({ data: done, text: planText(cli, done) });
  }
  const moved = advanceAll(runtime);
  sendCounted(runtime);
  const trial = tryNext(runtime, next);
  const report = await writeLastWeek(cli, runtime, ideas(findings, waits));
  const done: Review = { mode, findings, moved, trial, waits, report, workspace };
  return ok({ data: done, text: doneText(cli, done) });
}

function nextOf(runtime: Runtime, findings: readonly Finding[], recorded: readonly ReplaySession[]): NextTrial {
  const isAllowed = runtime.config.kaizen === "apply";
  return isAllowed ? nextTrial(runtime, findings, recorded) : { finding: null, replay: null, waits: [] };
}

/** [EX90] */
async function reviewTeam(
  cli: Cli,
  runtime: Runtime,
  findings: readonly Finding[],
  isDryRun: boolean,
): Promise<WorkspaceReview> {
  const link = await cli.workspace();
  if (!link.ok) return notReviewed(link.error.message);
  try {
    const { kaizen: mode } = runtime.config;
    const compare = compareQueue(runtime);
    const reviewed = await reviewWorkspace(runtime, link.value, { mode, findings, isDryRun, compare });
    return reviewed.ok ? reviewed.value : notReviewed(reviewed.error.message);
  } finally {
    link.value.close();
  }
}

function notReviewed(reason: string): WorkspaceReview {
  return { candidate: null, trial: null, note: `Not reviewed: ${reason}` };
}

function planText(cli: Cli, { mode, findings, trial, waits, workspace }: Review): string {
  const found = findings.map((one) => `- ${ideaOf(one)}\n`).join("");
  const plan =
    mode === "apply"
      ? trial && "evidence" in trial
        ? `Would try ${trial.parameter} = ${trial.to}.\n`
        : "Would try nothing.\n"
      : "Would change nothing: `shim config set kaizen apply` allows trials.\n";
  return `${pluralize(findings.length, "finding")}.\n${cli.verbatim(found)}${plan}${linesOf(waits)}${workspaceText(cli, workspace)}`;
}

function linesOf(sentences: readonly string[]): string {
  return sentences.map((one) => `${one}\n`).join("");
}

function ideas(findings: readonly Finding[], waits: readonly string[]): string[] {
  return [...findings.map(ideaOf), ...waits];
}

function ideaOf(finding: Finding): string {
  const { title, text, advice } = describeFinding(finding);
  return `${title}. ${text} ${advice}`;
}

function workspaceText(cli: Cli, { note }: WorkspaceReview): string {
  return `Workspace: ${cli.verbatim(note)}\n`;
}

function doneText(cli: Cli, { findings, moved, trial, waits, report, workspace }: Review): string {
  const trialText = trial && "state" in trial ? `${trial.id}: ${trial.key} = ${trial.to}, ${trial.state}.\n` : "";
  const movedText = moved.map(({ id, state }) => `${id}: ${state.replace("_", " ")}.\n`).join("");
  const reportText = report === null ? "" : `Report: ${report}\n`;
  return `${pluralize(findings.length, "finding")}.\n${movedText}${trialText}${linesOf(waits)}${workspaceText(cli, workspace)}${reportText}`;
}

/** [EX83] Each week with chats once, as soon as it has ended. @returns the path if written */
async function writeLastWeek(cli: Cli, runtime: Runtime, texts: readonly string[]): Promise<string | null> {
  const folder = join(runtime.paths.home, "reports");
  const week = weekOf(weekOf(runtime.now()).from - 1);
  const path = join(folder, `${week.name}.md`);
  if (existsSync(path)) return null;
  const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
  if (!facts || facts.sessions === 0) return null;
  const all = withTrials(facts, await listTrials(cli));
  createPrivateFolder(folder);
  writeAtomically(path, weeklyReport(all, texts), { mode: 0o600 });
  return path;
}

async function showReport(cli: Cli, { week: name }: ReportOptions): Promise<CommandResult> {
  const week = name === undefined ? weekOf(cli.io.now()) : findWeek(name);
  if (!week)
    return wrongUsage(`"${(name ?? "").slice(0, 40)}" is no week. Name one such as ${weekOf(cli.io.now()).name}.`);
  const runtime = await cli.runtime();
  const isThisWeek = week.until > cli.io.now();
  const examined = isThisWeek ? await examine(cli, runtime, { isStored: false }) : null;
  const texts =
    examined && ideas(examined.found.findings, nextOf(runtime, examined.found.findings, examined.recorded).waits);
  const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
  if (!facts) return failed("nothing_stored", "nothing is stored yet, so there is nothing to report.");
  const text = weeklyReport(withTrials(facts, await listTrials(cli)), texts);
  return ok({ data: { week: week.name, report: text }, text, isVerbatim: true });
}
