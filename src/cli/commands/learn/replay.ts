import type { Command } from "commander";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import { age, pluralize } from "../../../shared/format.ts";
import type { Cli, Columns } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView, tableView } from "../../views.ts";

export function addCommand(learn: Command, cli: Cli): void {
  const command = defineOperation(cli, learn, "replay", {
    operation: "replay.run",
    view: (report, ...more) =>
      report.sessions === 0
        ? "No recorded session has its events. Sessions keep them for seven days.\n"
        : sessionsView(report, ...more) + variantsView(report, ...more),
  });
  defineOperation(cli, command, "workspace", {
    operation: "replay.workspace",
    view: (report, ...more) =>
      report.tasks === 0
        ? "No ended task of the workspace is kept, so there is nothing to compare.\n"
        : `${scopeOf(report)}, run again by the shipped engine.\n\n${workspaceView(report, ...more)}`,
  });
  defineOperation(cli, command, "export", {
    operation: "replay.export",
    args: ["file"],
    view: linesView(({ sessions, file }) => [`Exported ${pluralize(sessions, "session")} to ${file}.`]),
  });
}

type Report = MachineOutput<"replay.run">;
type WorkspaceReport = MachineOutput<"replay.workspace">;
type Verdict = WorkspaceReport["variants"][number]["comparison"]["verdict"];

const verdictWords: Readonly<Record<Verdict, string>> = {
  better: "better",
  worse: "worse",
  equivalent: "does not matter",
  undecided: "too few to say",
};

const setting: Columns<Pick<Report["variants"][number], "key" | "from" | "value">> = {
  SETTING: ({ key, from, value }) => `${key}: ${from} -> ${value}`,
};

function noneMatters(verdicts: readonly Verdict[]): string[] {
  return verdicts.length > 0 && verdicts.every((verdict) => verdict === "equivalent")
    ? ["\nNone of these values makes a difference that matters here."]
    : [];
}

const sessionsView = linesView<Report>(({ sessions, incomplete, activeHours, made, remade, means, saveMs, deaths }) => {
  const { count, unsavedCalls, warned, medianLeadSeconds } = deaths;
  const left = incomplete > 0 ? ` ${pluralize(incomplete, "older session")} without their events left out.` : "";
  const remadeShare = Math.round((100 * remade) / made);
  const ofDeaths = count > 0 ? ` (${pluralize(unsavedCalls, "tool call")} in the deaths here)` : "";
  const saveTime = saveMs === null ? "" : ` of ${saveMs.toFixed(1)} ms each`;
  const lead = medianLeadSeconds === null ? "" : `, half of these at least ${medianLeadSeconds.toFixed(0)} s before`;
  return [
    `${pluralize(sessions, "session")}, ${activeHours.toFixed(1)} active hours, ${pluralize(count, "death")}.${left}`,
    ...(made > 0 ? [`The replay makes ${remadeShare} % of the ${made} checkpoints that were made.`] : []),
    `\nOn this machine a death loses no recorded event: the journal keeps what checkpoints lack${ofDeaths}.`,
    `A chat that continues on another machine has checkpoints only. A death at any active moment would lose there, on average, ${means.toolCalls.toFixed(2)} tool calls, ${means.edits.toFixed(2)} edits and the last ${means.seconds.toFixed(0)} s, for ${means.savesPerHour.toFixed(1)} checkpoints an hour${saveTime}.`,
    ...(count > 0
      ? [
          `The risk was at danger or higher before ${warned} of ${pluralize(count, "death")}${lead}; it rises ${means.alarmsPerHour.toFixed(2)} times an hour.`,
        ]
      : []),
    "",
  ];
});

const variantsView = tableView<Report, Report["variants"][number]>({
  rows: ({ variants }) => variants,
  columns: () => ({
    ...setting,
    "CALLS LOST": ({ comparison }) => comparison.means.toolCalls.toFixed(2),
    "SECONDS LOST": ({ comparison }) => comparison.means.seconds.toFixed(0),
    "SAVES/H": ({ comparison }) => comparison.means.savesPerHour.toFixed(1),
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.toolCalls.verdict],
  }),
  empty: "No other value is within the bounds.",
  notes: ({ variants }) => noneMatters(variants.map(({ comparison }) => comparison.toolCalls.verdict)),
});

function scopeOf({ tasks, chats, windowMs }: WorkspaceReport): string {
  return `${pluralize(tasks, "task")} and ${pluralize(chats, "chat")} of ${age(windowMs)}`;
}

const workspaceView = tableView<WorkspaceReport, WorkspaceReport["variants"][number]>({
  rows: ({ variants }) => variants,
  columns: () => ({
    ...setting,
    "WAIT NOW": ({ comparison: { outcomes } }) => seconds(outcomes.from.meanWaitMs),
    "WAIT THEN": ({ comparison: { outcomes } }) => seconds(outcomes.to.meanWaitMs),
    DEAD: ({ comparison: { outcomes } }) => `${outcomes.from.deadTasks} -> ${outcomes.to.deadTasks}`,
    "FALSELY OFFLINE": ({ comparison: { outcomes } }) =>
      `${outcomes.from.falseDepartures} -> ${outcomes.to.falseDepartures}`,
    REQUESTS: ({ comparison: { outcomes } }) => `${outcomes.from.operations} -> ${outcomes.to.operations}`,
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.verdict],
  }),
  empty: "No other value is within the bounds.",
  notes: ({ variants }) => [
    ...noneMatters(variants.map(({ comparison }) => comparison.verdict)),
    ...(variants.some(({ key, from, value }) => key === "chatTtlMs" && value < from)
      ? ["\nSilences shorter than the present chatTtlMs are not recorded: a shorter one looks better than it is."]
      : []),
  ],
});

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
