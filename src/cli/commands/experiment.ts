import type { Command } from "commander";
import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { pluralize } from "../../shared/format.ts";
import { addGroup, type Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { type Lines, type Shown } from "../answer.ts";
import { tableView } from "../view.ts";

export function addCommand(program: Command, cli: Cli): void {
  const group = addGroup(program, "experiment", "trials of settings on this machine's sessions");
  const args = ["experiment"] as const;
  define(cli, group, "list", { operation: "experiments.list", view: listView });
  define(cli, group, "show", { operation: "experiments.show", args, view: allLines });
  define(cli, group, "start", { operation: "experiments.start", args: ["key", "value"], view: lastLine });
  define(cli, group, "stop", {
    operation: "experiments.stop",
    args,
    view: ({ stopped }, _cli, { input: { all } }) => [
      ...stopped.flatMap(lastLine),
      all === true &&
        `${pluralize(stopped.length, "experiment")} stopped; none starts until \`shim experiment allow\`.`,
    ],
  });
  define(cli, group, "allow", {
    operation: "experiments.allow",
    view: () => "Experiments may start again.\n",
  });
  define(cli, group, "replay", {
    operation: "replay.run",
    view: (report, ...more) =>
      report.sessions === 0
        ? "No recorded session has its events. Sessions keep them for seven days.\n"
        : [...sessionLines(report), variantsView(report, ...more)],
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
  empty: "No experiment yet. `shim experiment replay` says what to try.",
  notes: ({ offSince }, cli) => [
    offSince !== null && `Switched off ${cli.ago(offSince)}. \`shim experiment allow\` lets them start again.`,
  ],
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

type Report = MachineOutput<"replay.run">;
type Variant = Report["variants"][number];

const verdictWords: Readonly<Record<Variant["comparison"]["toolCalls"]["verdict"], string>> = {
  better: "better",
  worse: "worse",
  equivalent: "does not matter",
  undecided: "too few to say",
};

function settingText({ key, from, to }: Pick<ExperimentView, "key" | "from" | "to">): string {
  return `${key}: ${from} -> ${to}`;
}

function sessionLines({ sessions, incomplete, activeHours, made, remade, means, deaths }: Report): Lines {
  const { count, unsavedCalls } = deaths;
  const left = incomplete > 0 ? ` ${pluralize(incomplete, "older session")} without events left out.` : "";
  const remadeShare = Math.round((100 * remade) / made);
  const ofDeaths = count > 0 ? ` (${pluralize(unsavedCalls, "tool call")} in the deaths here)` : "";
  return [
    `${pluralize(sessions, "session")}, ${activeHours.toFixed(1)} active hours, ${pluralize(count, "death")}.${left}`,
    made > 0 && `The replay makes ${remadeShare} % of the ${made} checkpoints that were made.`,
    `\nOn this machine a death loses no recorded event: the journal keeps what checkpoints lack${ofDeaths}.`,
    `A chat that continues on another machine has checkpoints only. A death at any active moment would lose there, on average, ${means.toolCalls.toFixed(2)} tool calls and the last ${means.seconds.toFixed(0)} s, for ${means.savesPerHour.toFixed(1)} checkpoints an hour.`,
    "",
  ];
}

const variantsView = tableView<Report, Variant>({
  rows: ({ variants }) => variants,
  columns: {
    SETTING: ({ key, from, value: to }) => settingText({ key, from, to }),
    "CALLS LOST": ({ comparison }) => comparison.means.toolCalls.toFixed(2),
    "SECONDS LOST": ({ comparison }) => comparison.means.seconds.toFixed(0),
    "SAVES/H": ({ comparison }) => comparison.means.savesPerHour.toFixed(1),
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.toolCalls.verdict],
  },
  empty: "No other value is within the bounds.",
  notes: ({ variants }) => [
    variants.length > 0 &&
      variants.every(({ comparison }) => comparison.toolCalls.verdict === "equivalent") &&
      "\nNone of these values makes a difference that matters here.",
  ],
});
