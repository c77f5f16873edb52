import type { Command } from "commander";
import type { ExperimentView } from "../../contract/machine/experiments.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { age, pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { exitCodes } from "../answer.ts";
import type { Cli, Columns } from "../cli.ts";
import { defineOperation } from "../operation-command.ts";
import { durationOption } from "../task-input.ts";
import { linesView, tableView } from "../views.ts";

const maxUnjudged = 25;

export function addCommand(program: Command, cli: Cli): void {
  const learn = program
    .command("learn")
    .description("what the records of sessions and tasks say, and trials of settings");
  addReview(learn, cli);
  addExperiments(learn, cli);
  addReplay(learn, cli);
}

function addReview(learn: Command, cli: Cli): void {
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
      findingsView(output, ...more) + unjudgedView(output, ...more) + opportunityNotes(output, ...more),
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

const opportunityNotes = linesView<Opportunities>(({ teamProblem, hasDepartures }) => {
  if (teamProblem !== null) return [`\nThe team was not examined: ${teamProblem}`];
  return hasDepartures ? [] : ["\nChats that came back were not examined: the audit log needs an admin token."];
});

function addExperiments(learn: Command, cli: Cli): void {
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

function addReplay(learn: Command, cli: Cli): void {
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
