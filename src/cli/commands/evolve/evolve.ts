import { InvalidArgumentError, Option, type Command } from "commander";
import { subjects } from "../../../evolution/candidate.ts";
import { countUpTo, type Cli, type CommonOptions } from "../../cli.ts";
import { parseDuration } from "../../times.ts";

export interface EvolveFlags extends CommonOptions {
  readonly maxTasks?: number;
  /** US dollars. */
  readonly budgetCost?: number;
  readonly budgetTokens?: number;
  readonly timeLimit?: number;
  readonly maxRejected?: number;
  readonly only?: readonly string[];
  readonly tests?: string;
  readonly allowApi?: boolean;
  readonly retry?: boolean;
  readonly trust?: boolean;
  readonly config?: string;
  /** False: only submit. */
  readonly work?: boolean;
  readonly dryRun?: boolean;
}

export interface ReviewFlags extends CommonOptions {
  readonly accept?: number;
  readonly reject?: number;
  readonly reason?: string;
}

export function addEvolve(program: Command, cli: Cli): void {
  const command = program
    .command("evolve [folder]")
    .description("improve code on branches: finds what is worth a change, tries it, keeps what the tests approve")
    .option("--dry-run", "print the plan, change nothing")
    .option("--max-tasks <n>", "changes to try (default: 10)", countUpTo(50))
    .option("--budget-cost <usd>", "for the whole run, in US dollars", amountOption)
    .option("--budget-tokens <n>", "for the whole run", countUpTo(1_000_000_000))
    .option("--time-limit <time>", "for the whole run: 30m, 4h (default: 2h)", timeOption)
    .option("--max-rejected <n>", "stop after this many rejected changes in a row (default: 3)", countUpTo(100))
    .option("--only <list>", `some of ${subjects.join(", ")}, or tools or rules`, listOption)
    .option("--tests <command>", "has to succeed, too (default: the project's test framework alone)")
    .option("--allow-api", "keep changes of the public API")
    .option("--retry", "also what the judge has rejected in earlier runs")
    .option("--trust", "run the project's tools and tests, this time")
    .addOption(new Option("--config <file>", "settings of a worker that has a type with evolve, for its claude"))
    .option("--no-work", "only submit the tasks, for workers of that type");
  cli.define(command, async (flags: EvolveFlags, folder = ".") => {
    const { evolve } = await import("./run-evolve.ts");
    return evolve(cli, flags, folder);
  });
  addParts(command, cli);
}

function addParts(command: Command, cli: Cli): void {
  const report = command.command("report [folder]").description("the newest run: what was tried, kept and rejected");
  cli.define(report, async (_flags: CommonOptions, folder = ".") => {
    const { showReport } = await import("./run-evolve.ts");
    return showReport(cli, folder);
  });
  const stop = command.command("stop [folder]").description("cancel the open tasks of the newest run");
  cli.define(stop, async (_flags: CommonOptions, folder = ".") => {
    const { stopRun } = await import("./run-evolve.ts");
    return stopRun(cli, folder);
  });
  const review = command
    .command("review [folder]")
    .description("go through the branches that were kept: accept (merge) or reject each")
    .addOption(new Option("--accept <task>", "merge the work of this task into the branch you are on").argParser(task))
    .addOption(new Option("--reject <task>", "never propose it again").argParser(task).conflicts("accept"))
    .option("--reason <text>", "why it is rejected");
  cli.define(review, async (flags: ReviewFlags, folder = ".") => {
    const { reviewRuns } = await import("./review.ts");
    return reviewRuns(cli, flags, folder);
  });
}

function listOption(text: string): string[] {
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

const maxUsd = 100_000;

function amountOption(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > maxUsd)
    throw new InvalidArgumentError(`It must be an amount in dollars up to ${maxUsd}, such as 2.50.`);
  return value;
}

const maxTimeMs = 604_800_000;

function timeOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms < 1_000 || ms > maxTimeMs)
    throw new InvalidArgumentError("Give a duration, such as 30m or 4h.");
  return ms;
}

function task(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1) throw new InvalidArgumentError("It must be the number of a task.");
  return value;
}
