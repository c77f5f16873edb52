import type { Command } from "commander";
import { findSurvivors, MutantsInput, type MutantsReport } from "../../../mutation/find-survivors.ts";
import { oneLine, pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { defineProgram } from "../../operation-command.ts";
import { endSignal } from "../analyze/analyze.ts";

/** [MU31] Exit code 1 where a mutant survives. */
export function addCommand(program: Command, cli: Cli): void {
  const summary = "Small changes of these files that no test notices: Stryker tries them on your last commit.";
  const details = { input: MutantsInput, summary, rest: "files" };
  defineProgram(cli, program.command("mutants"), details, async (input) => {
    const found = await findSurvivors(cli.context, input, { cwd: cli.io.cwd, signal: endSignal(cli) });
    if (!found.ok) return found;
    const hasSurvivor = found.value.files.some(({ survivors }) => survivors.length > 0);
    const exit = hasSurvivor ? exitCodes.failed : exitCodes.ok;
    return ok({ data: found.value, text: formatSurvivors(found.value), isVerbatim: true, exit });
  });
}

const maxChars = 60;

/** One line for each survivor, below its file. */
function formatSurvivors({ files, uncommitted }: MutantsReport): string {
  const left = `Your ${pluralize(uncommitted, "path")} with changes that are not committed were left out.\n`;
  return files.map(formatFile).join("") + (uncommitted > 0 ? left : "");
}

function formatFile({ file, counts, survivors }: MutantsReport["files"][number]): string {
  const { killed, timeout, survived, invalid } = counts;
  const others = invalid > 0 ? `, ${invalid} invalid` : "";
  const lines = survivors.map(({ line, column, operator, before, after }) => {
    const change = `${oneLine(before, maxChars)} -> ${oneLine(after, maxChars) || "(nothing)"}`;
    return `  ${line}:${column}  ${operator}: ${change}\n`;
  });
  return `${file}: ${survived} survived, ${killed + timeout} noticed by a test${others}.\n${lines.join("")}`;
}
