import type { TeamResult } from "./team-demo.ts";

type Paint = (color: "green" | "red", text: string) => string;

/** The report for people. */
export function textOf({ checks, times, isComplete }: TeamResult, paint: Paint): string {
  const width = Math.max(...checks.map(({ what }) => what.length));
  const lines = checks.map(({ what, holds, detail }) => {
    const word = holds ? paint("green", "ok   ") : paint("red", "WRONG");
    return `  ${word}  ${what.padEnd(width)}  ${detail}`;
  });
  const wrong = checks.filter(({ holds }) => !holds).length;
  return [
    "By the coordinator's record and the repository:",
    ...lines,
    `It took ${(times.all / 1_000).toFixed(1)} s.`,
    isComplete ? "Every task was done, once." : `${wrong} of ${checks.length} are wrong.`,
    "",
  ].join("\n");
}

/** @param reason why the runtime cannot be started here */
export function skippedText(reason: string): string {
  return `The second part, a team of workers on a coordinator, is skipped: ${reason}.\n`;
}
