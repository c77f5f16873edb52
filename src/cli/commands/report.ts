import type { Command } from "commander";
import { pluralize } from "../../shared/format.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { durationOption } from "../option-values.ts";
import { learningOperations } from "../../contract/machine/learning.ts";

export function addCommand(program: Command, cli: Cli): void {
  const report = define(cli, program, "report", {
    operation: "report.get",
    of: learningOperations,
    view: ({ report: text }) => text,
    isVerbatim: true,
  });
  define(cli, report, "workflows", {
    operation: "report.workflows",
    of: learningOperations,
    view: ({ texts }) =>
      texts.length > 0 ? [...texts] : "The records show nothing that takes time again and again.\n",
  });
  define(cli, report, "run", {
    operation: "review.run",
    of: learningOperations,
    // The process that has started the review may have ended since.
    run: async ({ call, options: { timeLimit } }) => {
      if (typeof timeLimit === "number") setTimeout(() => process.exit(exitCodes.failed), timeLimit).unref();
      return call();
    },
    view: ({ better, moved, started, notes, report: path }) => [
      `${pluralize(better.length, "better value")} found.`,
      ...better.map(({ key, from, to, note }) => `- ${key}: ${from} -> ${to}, ${note}.`),
      ...moved.map(({ id, state }) => `${id}: ${state}.`),
      started && `${started.id}: ${started.key} = ${started.to}, ${started.state}.`,
      ...notes,
      path !== null && `Report: ${path}`,
    ],
  }).option("--time-limit <duration>", "give up after this time (5m)", durationOption);
}
