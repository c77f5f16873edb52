import { oneLine, pluralize } from "../../../shared/format.ts";
import type { FileMutants } from "../../../mutation/survivor-report.ts";
import type { MutantsReport } from "../../../mutation/find-survivors.ts";

const maxChars = 60;

/** One line for each survivor, below its file. */
export function formatSurvivors({ files, total, tried, seed, stoppedBy, uncommitted }: MutantsReport): string {
  const drawn =
    total > tried ? [`${tried} of ${total} mutants were drawn, by the seed ${seed}: --max tries more.`] : [];
  const stopped = stoppedBy === "time" ? ["The time was over before all were tried."] : [];
  const left =
    uncommitted > 0
      ? [`Your ${pluralize(uncommitted, "path")} with changes that are not committed were left out.`]
      : [];
  return [...files.map(formatFile), ...[...drawn, ...stopped, ...left].map((line) => `${line}\n`)].join("");
}

function formatFile({ file, counts, survivors }: FileMutants): string {
  const { killed, timeout, survived, invalid, not_run: notRun } = counts;
  const noticed = `${killed + timeout} noticed by a test`;
  const others = [...(invalid > 0 ? [`${invalid} invalid`] : []), ...(notRun > 0 ? [`${notRun} not run`] : [])];
  const lines = survivors.map(({ line, column, operator, before, after }) => {
    const change = `${oneLine(before, maxChars)} -> ${oneLine(after, maxChars) || "(nothing)"}`;
    return `  ${line}:${column}  ${operator}: ${change}\n`;
  });
  return `${file}: ${[`${survived} survived`, noticed, ...others].join(", ")}.\n${lines.join("")}`;
}
