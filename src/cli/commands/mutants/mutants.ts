import { Option, type Command } from "commander";
import { defaultLimits } from "../../../mutation/run-mutants.ts";
import { countUpTo, type Cli, type CommonOptions } from "../../cli.ts";
import { durationUpTo } from "../../times.ts";

export interface MutantsFlags extends CommonOptions {
  readonly max?: number;
  readonly seed?: number;
  readonly timeLimit?: number;
  readonly trust?: boolean;
  readonly stryker?: string;
}

export function addMutants(program: Command, cli: Cli): void {
  const command = program
    .command("mutants <file...>")
    .description("small changes of these files that no test notices, tried on your last commit")
    .option(
      "--max <n>",
      `try at most so many, drawn by the seed (default: ${defaultLimits.maxMutants})`,
      countUpTo(5_000),
    )
    .option("--seed <n>", "draws them (default: 1)", countUpTo(2 ** 32 - 1))
    .option("--time-limit <time>", "for all of it (default: 30m)", durationUpTo(1, 720))
    .option("--trust", "run the project's tests, this time")
    .addOption(new Option("--stryker <report>", "read Stryker's JSON report instead, and run nothing"));
  cli.define(command, async (flags: MutantsFlags, ...files: unknown[]) => {
    const { findSurvivors } = await import("./find-survivors.ts");
    // `<file...>` comes as one array.
    return findSurvivors(cli, flags, files.flat() as string[]);
  });
}
