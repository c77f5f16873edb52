import type { Command } from "commander";
import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { pluralize } from "../../shared/format.ts";
import { addGroup, type Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import type { Shown } from "../answer.ts";
import { tableView } from "../view.ts";
import { learningOperations } from "../../contract/machine/learning.ts";

export function addCommand(program: Command, cli: Cli): void {
  const group = addGroup(program, "experiment", "trials of settings on this machine's sessions");
  const args = ["experiment"] as const;
  define(cli, group, "list", { operation: "experiments.list", of: learningOperations, view: listView });
  define(cli, group, "show", { operation: "experiments.show", of: learningOperations, args, view: allLines });
  define(cli, group, "start", {
    operation: "experiments.start",
    of: learningOperations,
    args: ["key", "value"],
    view: lastLine,
  });
  define(cli, group, "stop", {
    operation: "experiments.stop",
    of: learningOperations,
    args,
    view: ({ stopped }, _cli, { input: { all } }) => [
      ...stopped.flatMap(lastLine),
      all === true &&
        `${pluralize(stopped.length, "experiment")} stopped. No review starts one until \`shim config set kaizen apply\`.`,
    ],
  });
}

const listView = tableView<MachineOutput<"experiments.list">, ExperimentView>({
  rows: ({ experiments }) => experiments,
  columns: (_output, cli) => ({
    ID: "id",
    SETTING: settingText,
    STATE: "state",
    SESSIONS: ({ sessions }) => sessions && sessions.without + sessions.with,
    SINCE: ({ steps }) => cli.ago(steps.at(-1)?.at ?? 0),
  }),
  empty: "No experiment yet. `shim report` says what to try.",
});

/** State, and why it has it. */
function lastLine({ id, state, steps }: ExperimentView): string[] {
  return [`${id}: ${state}. ${steps.at(-1)?.note ?? ""}`];
}

function allLines({ id, key, from, to, state, reason, sessions, steps }: ExperimentView): Shown {
  return [
    `${id}: ${key} from ${from} to ${to}, ${state}`,
    `Why: ${reason}`,
    sessions && `Sessions: ${sessions.with} with the new value, ${sessions.without} without.`,
    ...steps.map((step) => `  ${new Date(step.at).toISOString().slice(0, 16)}  ${step.state}: ${step.note}`),
  ];
}

function settingText({ key, from, to }: Pick<ExperimentView, "key" | "from" | "to">): string {
  return `${key}: ${from} -> ${to}`;
}
