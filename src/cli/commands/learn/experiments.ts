import type { Command } from "commander";
import type { ExperimentView } from "../../../contract/machine/experiments.ts";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import { pluralize } from "../../../shared/format.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView, tableView } from "../../views.ts";

export function addCommand(learn: Command, cli: Cli): void {
  const command = defineOperation(cli, learn, "experiments", {
    operation: "experiments.list",
    view: (output, ...more) => listView(output, ...more) + notesView(output, ...more),
  });
  const args = ["experiment"] as const;
  const view = linesView(lastLines);
  defineOperation(cli, command, "show", { operation: "experiments.show", args, view: linesView(allLines) });
  defineOperation(cli, command, "start", { operation: "experiments.start", args: ["key", "value"], view });
  defineOperation(cli, command, "stop", {
    operation: "experiments.stop",
    args,
    view: linesView(({ stopped, workspaceProblem }, _cli, { all }) => [
      ...stopped.flatMap(lastLines),
      ...(all === true
        ? [`${pluralize(stopped.length, "experiment")} stopped; none starts until \`shim learn experiments allow\`.`]
        : []),
      ...problemLines("Nothing was stopped in the workspace", workspaceProblem),
    ]),
  });
  defineOperation(cli, command, "revert", { operation: "experiments.revert", args, view });
  defineOperation(cli, command, "allow", {
    operation: "experiments.allow",
    view: linesView(({ workspaceProblem }) => [
      "Experiments may start again.",
      ...problemLines("Not in the workspace", workspaceProblem),
    ]),
  });
}

type Listed = MachineOutput<"experiments.list">;

const listView = tableView<Listed, ExperimentView>({
  rows: ({ experiments }) => experiments,
  columns: (_output, cli) => ({
    ID: ({ id }) => id,
    SETTING: ({ key, from, to }) => `${key}: ${from} -> ${to}`,
    STATE: ({ state }) => state,
    SESSIONS: ({ scope, sessions }) => sessionsText(scope, sessions),
    SINCE: ({ steps }) => cli.ago(steps.at(-1)?.at ?? 0),
  }),
  empty: "No experiment yet. `shim learn opportunities` says what to try.",
});

const notesView = linesView<Listed>(({ offSince, workspaceProblem }, cli) => [
  ...(offSince === null
    ? []
    : [`Switched off ${cli.ago(offSince)}. \`shim learn experiments allow\` lets them start again.`]),
  ...problemLines("Trials of the workspace are not listed", workspaceProblem),
]);

function sessionsText(scope: ExperimentView["scope"], sessions: ExperimentView["sessions"]): string {
  if (scope === "workspace") return "all";
  return sessions ? String(sessions.without + sessions.with) : "-";
}

function problemLines(what: string, problem: string | null): string[] {
  return problem === null ? [] : [`${what}: ${problem}`];
}

/** State, and why it has it. */
function lastLines({ id, state, steps }: ExperimentView): string[] {
  return [`${id}: ${state}. ${steps.at(-1)?.note ?? ""}`];
}

function allLines({ id, scope, key, from, to, state, reason, plan, sessions, steps }: ExperimentView): string[] {
  return [
    `${id}: ${key}${scope === "workspace" ? " of the workspace" : ""} from ${from} to ${to}, ${state}`,
    `Why: ${reason}`,
    ...(plan
      ? [
          `Plan, fixed before the start: ${Math.round(plan.share * 100)} % of new sessions, half of them with the new value; at most ${pluralize(plan.sessions, "session")} and ${plan.maxDays} days; decided by ${plan.decidedBy}; guardrails: ${plan.guardrails.join(", ")}.`,
        ]
      : []),
    ...(sessions ? [`Sessions: ${sessions.with} with the new value, ${sessions.without} without.`] : []),
    ...steps.map((step) => `  ${new Date(step.at).toISOString().slice(0, 16)}  ${step.state}: ${step.note}`),
  ];
}
