import type { Command } from "commander";
import { MutantsInput } from "../../../mutation/mutants-input.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { defineProgram } from "../../operation-command.ts";
import { endSignal } from "../analyze/analyze.ts";
import { formatSurvivors } from "./format-survivors.ts";

/** [MU31] Exit code 1 where a mutant survives. */
export function addCommand(program: Command, cli: Cli): void {
  const summary = "Small changes of these files that no test notices, tried on your last commit.";
  const details = { input: MutantsInput, summary, rest: "files" };
  defineProgram(cli, program.command("mutants"), details, async (input) => {
    const { findSurvivors } = await import("../../../mutation/find-survivors.ts");
    const found = await findSurvivors(cli.context, input, { cwd: cli.io.cwd, signal: endSignal(cli) });
    if (!found.ok) return found;
    const { stoppedBy, files } = found.value;
    const hasSurvivor = files.some(({ survivors }) => survivors.length > 0);
    const exit = stoppedBy === "signal" ? exitCodes.interrupted : hasSurvivor ? exitCodes.failed : exitCodes.ok;
    return ok({ data: found.value, text: formatSurvivors(found.value), isVerbatim: true, exit });
  });
}
