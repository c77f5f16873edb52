import type { Command } from "commander";
import * as z from "zod";
import { Folder } from "../../contract/machine/operation.ts";
import { type RunLimits, EvolveInput, describe, methodText } from "../../code/evolution/candidate.ts";
import { EvolveSettings } from "../../code/evolution/plan.ts";
import type { EvolveReport, Tried, RunFacts } from "../../code/evolution/run.ts";
import type { Review, Evolved, Planned } from "../../code/evolution/run-evolve.ts";
import { age, oneLine, pluralize } from "../../shared/format.ts";
import { ok, type Result } from "../../shared/result.ts";
import { exitCodes, textOf, type Columns, type Lines, wrongWords } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { defineProgram } from "../operation-command.ts";
import { readInputFile } from "../plan-file.ts";
import { mergedText } from "./tasks.ts";

const FolderInput = z.strictObject({ folder: Folder.optional() });
const change = z.int().min(1).optional();
const ReviewInput = z.strictObject({
  folder: Folder.optional(),
  accept: change.describe("merge this change into the branch you are on"),
  reject: change.describe("never propose this change again"),
  reason: z.string().default("").describe("why it is rejected"),
});

export function addEvolve(code: Command, cli: Cli): void {
  const command = code.command("evolve");
  const args = ["folder"];
  const summary = "Improve code on branches: finds what is worth a change, tries it, keeps what the tests approve.";
  defineProgram(cli, command, { input: EvolveInput, summary, args }, (input) => evolveProject(cli, input));
  const report = { input: FolderInput, summary: "The newest run: what was tried, kept and rejected.", args };
  defineProgram(cli, command.command("report"), report, async ({ folder = cli.io.cwd }) => {
    const { newestReport } = await import("../../code/evolution/run-evolve.ts");
    const found = await newestReport(cli.context, folder);
    return found.ok ? reported(cli, found.value, false) : found;
  });
  const stop = { input: FolderInput, summary: "End the newest run: what is open is not tried.", args };
  defineProgram(cli, command.command("stop"), stop, async ({ folder = cli.io.cwd }) => {
    const { stopNewest } = await import("../../code/evolution/run-evolve.ts");
    const stopped = await stopNewest(cli.context, folder);
    if (!stopped.ok) return stopped;
    return ok({ data: stopped.value, text: [`Run ${stopped.value.run} has ended; what was open is not tried.`] });
  });
  const review = {
    input: ReviewInput,
    summary: "Go through the branches that were kept: accept (merge) or reject each.",
    args,
  };
  defineProgram(cli, command.command("review"), review, (input, { json }) => reviewRuns(cli, input, json === true));
}

async function evolveProject(cli: Cli, input: EvolveInput): Promise<CommandResult> {
  const settings = readSettings(cli, input.config);
  if (!settings.ok) return settings;
  const { evolve } = await import("../../code/evolution/run-evolve.ts");
  const done = await evolve(cli.context, input, {
    settings: settings.value,
    cwd: cli.io.cwd,
    signal: cli.io.interrupted(),
    onPlan: (planned) => cli.io.stderr(cli.verbatim(textOf(planLines(planned)))),
  });
  return done.ok ? answer(cli, done.value) : done;
}

const maxChars = 100_000;

function readSettings(cli: Cli, file: string | undefined): Result<EvolveSettings> {
  if (file === undefined) return ok(EvolveSettings.parse({}));
  const expected = { schema: EvolveSettings, form: "settings of evolve", name: "the settings", maxChars };
  const read = readInputFile(cli, file, "the settings of evolve", expected);
  return read.ok ? ok(EvolveSettings.parse(read.value)) : read;
}

function answer(cli: Cli, done: Evolved): CommandResult {
  if (done.kind === "reported") return reported(cli, done.report, done.isInterrupted);
  return ok({ data: done.plan, text: planLines(done), isVerbatim: true });
}

function reported(cli: Cli, report: EvolveReport, isInterrupted: boolean): CommandResult {
  const exit = isInterrupted ? exitCodes.interrupted : exitCodes.ok;
  return ok({ data: report, text: reportLines(cli, report), isVerbatim: true, exit });
}

/** Accepts, rejects, or lists what waits; in a terminal it asks for each. */
async function reviewRuns(
  cli: Cli,
  { folder = cli.io.cwd, accept, reject, reason }: z.infer<typeof ReviewInput>,
  isJson: boolean,
): Promise<CommandResult> {
  if (accept !== undefined && reject !== undefined) return wrongWords("give --accept or --reject, not both.");
  if (reject !== undefined && reason.trim() === "") return wrongWords("--reject needs a --reason.");
  const { withReview } = await import("../../code/evolution/run-evolve.ts");
  return withReview(cli.context, folder, async (review) => {
    if (accept !== undefined) return acceptChange(review, accept);
    if (reject !== undefined) return rejectChange(review, reject, reason);
    const isAsked = cli.io.isInteractive && !isJson && review.offered.length > 0;
    return isAsked ? askForEach(cli, review) : listOffered(cli, review);
  });
}

async function acceptChange(review: Review, number: number): Promise<CommandResult> {
  const merged = await review.accept(number);
  if (!merged.ok) return merged;
  const { branch, isDeleted } = merged.value;
  return ok({
    data: merged.value,
    text: [mergedText(merged.value, "change"), `Its branch ${branch} is ${isDeleted ? "deleted" : "left"}.`],
  });
}

function rejectChange(review: Review, number: number, reason: string): CommandResult {
  const rejected = review.reject(number, reason.trim());
  if (!rejected.ok) return rejected;
  const { branch } = rejected.value;
  return ok({
    data: { change: number, decision: "rejected", reason, branch },
    text: [`Change ${number} is rejected, and will not be proposed again. Its branch is left: git branch -D ${branch}`],
  });
}

function listOffered(cli: Cli, { offered }: Review): CommandResult {
  const rows = offered.map(({ number, candidate, branch, start, commit, verdict }) => {
    return { change: number, what: describe(candidate), branch, start, commit, verdict };
  });
  const columns: Columns<(typeof rows)[number]> = {
    CHANGE: "change",
    BRANCH: ({ branch }) => branch,
    WHAT: ({ what }) => what,
    JUDGE: ({ verdict }) => verdictText(verdict),
  };
  const text = [
    cli.table(rows, columns, "Nothing waits for a decision.\n"),
    rows.length > 0 &&
      "`git diff HEAD...<branch>` shows one; --accept <change> merges it, --reject <change> --reason <text> does not.",
  ];
  return ok({ data: { offered: rows }, text });
}

async function askForEach(cli: Cli, review: Review): Promise<CommandResult> {
  const decided: { readonly change: number; readonly decision: string }[] = [];
  for (const { number, candidate, verdict } of review.offered) {
    const head = `Change ${number}: ${describe(candidate)}\n${verdictText(verdict)}\n\n`;
    cli.io.stdout(cli.verbatim(`${head}${await review.diff(number)}\n`));
    const decision = await askFor(cli, review, number);
    if (decision === "quit") break;
    if (decision !== "skipped") decided.push({ change: number, decision });
  }
  const left = review.offered.length - decided.length;
  return ok({ data: { decided, left }, text: [`${pluralize(decided.length, "change")} decided, ${left} left.`] });
}

async function askFor(cli: Cli, review: Review, number: number): Promise<"accepted" | "rejected" | "skipped" | "quit"> {
  const reply = ((await cli.io.ask("[a]ccept, [r]eject, [s]kip or [q]uit? ")) ?? "").trim().toLowerCase();
  if (reply.startsWith("q")) return "quit";
  const isAccepted = reply.startsWith("a");
  const reason = reply.startsWith("r") ? ((await cli.io.ask("Why? ")) ?? "").trim() : "";
  if (!isAccepted && reason === "") return "skipped";
  const done = isAccepted ? await acceptChange(review, number) : rejectChange(review, number, reason);
  cli.io.stdout(cli.verbatim(done.ok ? textOf(done.value.text) : `${done.error.message}\n`));
  if (!done.ok) return "skipped";
  return isAccepted ? "accepted" : "rejected";
}

function planLines({ plan: { candidates, facts }, limits, folder }: Planned): Lines {
  return [
    `Plan for ${folder} at ${facts.base.slice(0, 12)}: ${findingsText(facts)}, ${pluralize(candidates.length, "change")} to try.`,
    ...candidates.flatMap((one, at) => [
      `${String(at + 1).padStart(3)}. ${describe(one)}`,
      `     by ${methodText(one)}; value ${one.value}`,
    ]),
    limitsText(limits),
    ...factLines(facts),
  ];
}

function findingsText({ findings, tools }: RunFacts): string {
  return tools.length === 0 ? "no tool of the project ran" : `${pluralize(findings, "finding")} of ${tools.join(", ")}`;
}

function limitsText({ timeMs, costMicros }: RunLimits): string {
  const cost = costMicros === null ? "" : `, ${dollars(costMicros)}`;
  return `It ends after at most ${age(timeMs)} of time${cost}. Mechanical changes cost nothing. Nothing is merged.`;
}

function factLines({ notes }: RunFacts): Lines {
  return notes.map((note) => `Note: ${note}`);
}

function reportLines(cli: Cli, report: EvolveReport): Lines {
  const { tried, run, stopped, findings, used, ageMs, facts, isEnded } = report;
  const count = (outcome: Tried["outcome"]): number => tried.filter((one) => one.outcome === outcome).length;
  const kept = count("kept");
  const state = isEnded ? "has ended" : `is not finished; \`${cli.command} code evolve\` continues it`;
  return [
    `Run ${run} ${state}${stopped === null ? "" : `, since ${stopped}`}: ${pluralize(tried.length, "change")}, ${kept} kept, ${count("rejected")} rejected.`,
    ...tried.flatMap(triedLines),
    `Findings: ${findings.before}, ${findings.afterAllKept} once all that was kept is merged.`,
    `Cost: ${dollars(used.costMicros)}, ${used.tokens} tokens. Work: ${age(used.wallMs)}, in ${age(ageMs)}.`,
    kept > 0 && `\`${cli.command} code evolve review\` goes through the branches.`,
    ...factLines(facts),
  ];
}

const maxWhyChars = 400;

function triedLines({ change: number, outcome, what, method, branch, why, verdict }: Tried): string[] {
  const result = outcome === "kept" ? `${branch}${verdict ? `; ${verdictText(verdict)}` : ""}` : (why ?? "");
  const line = `  ${outcome.padEnd(9)} change ${number}: ${what} (${method})`;
  return result === "" ? [line] : [line, `            ${oneLine(result, maxWhyChars)}`];
}

function verdictText({ findings: { before, after } }: NonNullable<Tried["verdict"]>): string {
  return `${pluralize(before, "finding")} before, ${after} now, the tests pass`;
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(2)}`;
}
