import type { Command } from "commander";
import * as z from "zod";
import { Folder } from "../../../contract/machine/forms.ts";
import { EvolveInput } from "../../../evolution/candidate.ts";
import type { Evolved, Run } from "../../../evolution/run-evolve.ts";
import type { EvolveReport } from "../../../evolution/run.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { defineProgram } from "../../operation-command.ts";
import { formatPlan, formatReport } from "./format-evolve.ts";
import { ReviewInput, reviewRuns } from "./review.ts";

const FolderInput = z.strictObject({ folder: Folder.optional() });

export function addCommand(program: Command, cli: Cli): void {
  const command = program.command("evolve");
  const args = ["folder"];
  const summary = "Improve code on branches: finds what is worth a change, tries it, keeps what the tests approve.";
  defineProgram(cli, command, { input: EvolveInput, summary, args }, (input) => evolveProject(cli, input));
  const report = { input: FolderInput, summary: "The newest run: what was tried, kept and rejected.", args };
  defineProgram(cli, command.command("report"), report, async ({ folder = cli.io.cwd }) => {
    const { newestReport } = await import("../../../evolution/run-evolve.ts");
    const found = await newestReport(cli.context, folder);
    return found.ok ? reported(found.value, false) : found;
  });
  const stop = { input: FolderInput, summary: "Cancel the open tasks of the newest run.", args };
  defineProgram(cli, command.command("stop"), stop, async ({ folder = cli.io.cwd }) => {
    const { stopNewest } = await import("../../../evolution/run-evolve.ts");
    const stopped = await stopNewest(cli.context, folder);
    if (!stopped.ok) return stopped;
    return ok({ data: stopped.value, text: `The open tasks of job ${stopped.value.job} are cancelled.\n` });
  });
  const review = {
    input: ReviewInput,
    summary: "Go through the branches that were kept: accept (merge) or reject each.",
    args,
  };
  defineProgram(cli, command.command("review"), review, (input, { json }) => reviewRuns(cli, input, json === true));
}

async function evolveProject(cli: Cli, input: EvolveInput): Promise<CommandResult> {
  const written = await readType(cli, input.config);
  if (!written.ok) return written;
  const { evolve } = await import("../../../evolution/run-evolve.ts");
  const { formatEvent } = await import("../worker/run-worker.ts");
  const done = await evolve(cli.context, input, {
    written: written.value,
    cwd: cli.io.cwd,
    signal: cli.io.interrupted(),
    emit: (event) => cli.progress(formatEvent(event)),
    onPlan: (planned) => cli.io.stderr(cli.verbatim(formatPlan(planned))),
  });
  return done.ok ? answer(done.value) : done;
}

/** The type that the file gives to evolve. */
async function readType(cli: Cli, file: string | undefined): Promise<CliResult<Run["written"]>> {
  if (file === undefined) return ok(null);
  const { readWorkerConfig } = await import("../worker/run-worker.ts");
  const config = readWorkerConfig(cli, file);
  if (!config.ok) return config;
  const [name, type] = Object.entries(config.value.types).find(([, { evolve }]) => evolve !== undefined) ?? [];
  if (name === undefined || type === undefined) return wrongUsage(`${file} has no type with \`evolve\`.`);
  return ok({ name, type });
}

function answer(done: Evolved): CommandResult {
  if (done.kind === "reported") return reported(done.report, done.isInterrupted);
  if (done.kind === "planned") return ok({ data: done.plan, text: formatPlan(done), isVerbatim: true });
  const { job, type } = done;
  return ok({
    data: { job, type },
    text: `Job ${job} is submitted, for workers with \`evolve\` and the type ${type}.\n`,
  });
}

function reported(report: EvolveReport, isInterrupted: boolean): CommandResult {
  const exit = isInterrupted ? exitCodes.interrupted : exitCodes.ok;
  return ok({ data: report, text: formatReport(report), isVerbatim: true, exit });
}
