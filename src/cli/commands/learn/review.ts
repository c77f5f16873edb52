import type { Command } from "commander";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import { age, pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { durationOption } from "../../task-input.ts";
import { linesView, tableView } from "../../views.ts";

const maxUnjudged = 25;

export function addCommand(learn: Command, cli: Cli): void {
  defineOperation(cli, learn, "run", {
    operation: "review.run",
    // The process that has started the review may have ended since.
    before: async (_input, _cli, { timeLimit }) => {
      if (typeof timeLimit === "number") setTimeout(() => process.exit(exitCodes.failed), timeLimit).unref();
      return ok(null);
    },
    view: linesView(({ findings, moved, started, notes, report }) => [
      `${pluralize(findings.length, "finding")}.`,
      ...findings.map(({ title, text, advice }) => `- ${title}. ${text} ${advice}`),
      ...moved.map(({ id, state }) => `${id}: ${state}.`),
      ...(started ? [`${started.id}: ${started.key} = ${started.to}, ${started.state}.`] : []),
      ...notes,
      ...(report === null ? [] : [`Report: ${report}`]),
    ]),
  }).option("--time-limit <duration>", "give up after this time (5m)", durationOption);
  defineOperation(cli, learn, "report", {
    operation: "report.get",
    view: ({ report }) => report,
    isVerbatim: true,
  });
  defineOperation(cli, learn, "opportunities", {
    operation: "opportunities.list",
    view: (output, ...more) =>
      findingsView(output, ...more) + unjudgedView(output, ...more) + notesView(output, ...more),
  });
}

type Opportunities = MachineOutput<"opportunities.list">;

const findingsView = linesView<Opportunities>(({ findings, sessions, since, until }, cli) => {
  const scope = `${pluralize(sessions, "session")} of the last ${age(until - since)}`;
  if (findings.length === 0) return [`Nothing found in ${scope}.`];
  const paragraphs = findings.map(({ title, text, advice }) => `\n${cli.paint("bold", title)}\n${text} ${advice}`);
  return [`Found in ${scope}:`, ...paragraphs];
});

const unjudgedTable = tableView<Opportunities, Opportunities["unjudged"][number]>({
  rows: ({ unjudged }) => unjudged.slice(0, maxUnjudged),
  columns: () => ({
    PATTERN: ({ pattern }) => pattern,
    SUBJECT: ({ subject }) => subject,
    CASES: ({ n }) => String(n),
    NEEDED: ({ minimum }) => String(minimum),
  }),
  empty: "",
  notes: ({ unjudged }) =>
    unjudged.length > maxUnjudged ? [`and ${unjudged.length - maxUnjudged} more (--json has all)`] : [],
});

function unjudgedView(output: Opportunities, cli: Cli, input: unknown): string {
  if (output.unjudged.length === 0) return "";
  return `\nNot judged, for want of cases:\n${unjudgedTable(output, cli, input)}`;
}

const notesView = linesView<Opportunities>(({ teamProblem, hasDepartures }) => {
  if (teamProblem !== null) return [`\nThe team was not examined: ${teamProblem}`];
  return hasDepartures ? [] : ["\nChats that came back were not examined: the audit log needs an admin token."];
});
