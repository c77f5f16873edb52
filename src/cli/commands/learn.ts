import type { Command } from "commander";
import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { age, pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { exitCodes } from "../answer.ts";
import type { Cli } from "../cli.ts";
import { defineOperation } from "../operation-command.ts";
import { durationOption } from "../task-input.ts";
import { tableView, type Columns, type Lines, type Shown, type View } from "../views.ts";

export function addCommand(program: Command, cli: Cli): void {
  const learn = program
    .command("learn")
    .description("what the records of sessions and tasks say, and trials of settings");
  addReview(learn, cli);
  addExperiments(learn, cli);
  addReplay(learn, cli);
}

const maxUnjudged = 25;

function addReview(learn: Command, cli: Cli): void {
  defineOperation(cli, learn, "run", {
    operation: "review.run",
    // The process that has started the review may have ended since.
    before: async (_input, _cli, { timeLimit }) => {
      if (typeof timeLimit === "number") setTimeout(() => process.exit(exitCodes.failed), timeLimit).unref();
      return ok(null);
    },
    view: ({ findings, moved, started, notes, report }) => [
      `${pluralize(findings.length, "finding")}.`,
      ...findings.map(({ title, text, advice }) => `- ${title}. ${text} ${advice}`),
      ...moved.map(({ id, state }) => `${id}: ${state}.`),
      started && `${started.id}: ${started.key} = ${started.to}, ${started.state}.`,
      ...notes,
      report !== null && `Report: ${report}`,
    ],
  }).option("--time-limit <duration>", "give up after this time (5m)", durationOption);
  defineOperation(cli, learn, "report", { operation: "report.get", view: ({ report }) => report, isVerbatim: true });
  defineOperation(cli, learn, "opportunities", { operation: "opportunities.list", view: opportunitiesView });
}

type Opportunities = MachineOutput<"opportunities.list">;

function opportunitiesView(output: Opportunities, cli: Cli): Shown {
  const { findings, unjudged, sessions, since, until, teamProblem, hasDepartures } = output;
  const scope = `${pluralize(sessions, "session")} of the last ${age(until - since)}`;
  return [
    findings.length === 0 ? `Nothing found in ${scope}.` : `Found in ${scope}:`,
    ...findings.map(({ title, text, advice }) => `\n${cli.paint("bold", title)}\n${text} ${advice}`),
    unjudged.length > 0 && `\nNot judged, for want of cases:\n${unjudgedTable(output, cli, null)}`,
    teamProblem !== null && `\nThe team was not examined: ${teamProblem}`,
    teamProblem === null &&
      !hasDepartures &&
      "\nChats that came back were not examined: the audit log needs an admin token.",
  ];
}

const unjudgedTable = tableView<Opportunities, Opportunities["unjudged"][number]>({
  rows: ({ unjudged }) => unjudged.slice(0, maxUnjudged),
  columns: { PATTERN: "pattern", SUBJECT: "subject", CASES: "n", NEEDED: "minimum" },
  empty: "",
  notes: ({ unjudged }) => [
    unjudged.length > maxUnjudged && `and ${unjudged.length - maxUnjudged} more (--json has all)`,
  ],
});

function addExperiments(learn: Command, cli: Cli): void {
  const command = defineOperation(cli, learn, "experiments", { operation: "experiments.list", view: listView });
  const args = ["experiment"] as const;
  const view = lastLine;
  defineOperation(cli, command, "show", { operation: "experiments.show", args, view: allLines });
  defineOperation(cli, command, "start", { operation: "experiments.start", args: ["key", "value"], view });
  defineOperation(cli, command, "stop", {
    operation: "experiments.stop",
    args,
    view: ({ stopped, workspaceProblem }, _cli, { all }) => [
      ...stopped.flatMap(lastLine),
      all === true &&
        `${pluralize(stopped.length, "experiment")} stopped; none starts until \`shim learn experiments allow\`.`,
      problemLine("Nothing was stopped in the workspace", workspaceProblem),
    ],
  });
  defineOperation(cli, command, "revert", { operation: "experiments.revert", args, view });
  defineOperation(cli, command, "allow", {
    operation: "experiments.allow",
    view: ({ workspaceProblem }) => [
      "Experiments may start again.",
      problemLine("Not in the workspace", workspaceProblem),
    ],
  });
}

const listView = tableView<MachineOutput<"experiments.list">, ExperimentView>({
  rows: ({ experiments }) => experiments,
  columns: (_output, cli) => ({
    ID: "id",
    SETTING: settingText,
    STATE: "state",
    SESSIONS: ({ scope, sessions }) => (scope === "workspace" ? "all" : sessions && sessions.without + sessions.with),
    SINCE: ({ steps }) => cli.ago(steps.at(-1)?.at ?? 0),
  }),
  empty: "No experiment yet. `shim learn opportunities` says what to try.",
  notes: ({ offSince, workspaceProblem }, cli) => [
    offSince !== null && `Switched off ${cli.ago(offSince)}. \`shim learn experiments allow\` lets them start again.`,
    problemLine("Trials of the workspace are not listed", workspaceProblem),
  ],
});

function problemLine(what: string, problem: string | null): string | null {
  return problem === null ? null : `${what}: ${problem}`;
}

/** State, and why it has it. */
function lastLine({ id, state, steps }: ExperimentView): string[] {
  return [`${id}: ${state}. ${steps.at(-1)?.note ?? ""}`];
}

function allLines({ id, scope, key, from, to, state, reason, plan, sessions, steps }: ExperimentView): Shown {
  return [
    `${id}: ${key}${scope === "workspace" ? " of the workspace" : ""} from ${from} to ${to}, ${state}`,
    `Why: ${reason}`,
    plan &&
      `Plan, fixed before the start: ${Math.round(plan.share * 100)} % of new sessions, half of them with the new value; at most ${pluralize(plan.sessions, "session")} and ${plan.maxDays} days; decided by ${plan.decidedBy}; guardrails: ${plan.guardrails.join(", ")}.`,
    sessions && `Sessions: ${sessions.with} with the new value, ${sessions.without} without.`,
    ...steps.map((step) => `  ${new Date(step.at).toISOString().slice(0, 16)}  ${step.state}: ${step.note}`),
  ];
}

function addReplay(learn: Command, cli: Cli): void {
  const command = defineOperation(cli, learn, "replay", {
    operation: "replay.run",
    view: (report, ...more) =>
      report.sessions === 0
        ? "No recorded session has its events. Sessions keep them for seven days.\n"
        : [...sessionLines(report), variantsView(report, ...more)],
  });
  defineOperation(cli, command, "workspace", { operation: "replay.workspace", view: workspaceView });
  defineOperation(cli, command, "export", {
    operation: "replay.export",
    args: ["file"],
    view: ({ sessions, file }) => [`Exported ${pluralize(sessions, "session")} to ${file}.`],
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

function settingText({
  key,
  from,
  to,
}: {
  readonly key: string;
  readonly from: unknown;
  readonly to: unknown;
}): string {
  return `${key}: ${String(from)} -> ${String(to)}`;
}

const setting: Columns<Pick<Report["variants"][number], "key" | "from" | "value">> = {
  SETTING: ({ key, from, value }) => settingText({ key, from, to: value }),
};

function noneMatters(verdicts: readonly Verdict[]): string | false {
  const isNone = verdicts.length > 0 && verdicts.every((verdict) => verdict === "equivalent");
  return isNone && "\nNone of these values makes a difference that matters here.";
}

function sessionLines({ sessions, incomplete, activeHours, made, remade, means, saveMs, deaths }: Report): Lines {
  const { count, unsavedCalls, warned, medianLeadSeconds } = deaths;
  const left = incomplete > 0 ? ` ${pluralize(incomplete, "older session")} without their events left out.` : "";
  const remadeShare = Math.round((100 * remade) / made);
  const ofDeaths = count > 0 ? ` (${pluralize(unsavedCalls, "tool call")} in the deaths here)` : "";
  const saveTime = saveMs === null ? "" : ` of ${saveMs.toFixed(1)} ms each`;
  const lead = medianLeadSeconds === null ? "" : `, half of these at least ${medianLeadSeconds.toFixed(0)} s before`;
  return [
    `${pluralize(sessions, "session")}, ${activeHours.toFixed(1)} active hours, ${pluralize(count, "death")}.${left}`,
    made > 0 && `The replay makes ${remadeShare} % of the ${made} checkpoints that were made.`,
    `\nOn this machine a death loses no recorded event: the journal keeps what checkpoints lack${ofDeaths}.`,
    `A chat that continues on another machine has checkpoints only. A death at any active moment would lose there, on average, ${means.toolCalls.toFixed(2)} tool calls, ${means.edits.toFixed(2)} edits and the last ${means.seconds.toFixed(0)} s, for ${means.savesPerHour.toFixed(1)} checkpoints an hour${saveTime}.`,
    count > 0 &&
      `The risk was at danger or higher before ${warned} of ${pluralize(count, "death")}${lead}; it rises ${means.alarmsPerHour.toFixed(2)} times an hour.`,
    "",
  ];
}

const variantsView = tableView<Report, Report["variants"][number]>({
  rows: ({ variants }) => variants,
  columns: {
    ...setting,
    "CALLS LOST": ({ comparison }) => comparison.means.toolCalls.toFixed(2),
    "SECONDS LOST": ({ comparison }) => comparison.means.seconds.toFixed(0),
    "SAVES/H": ({ comparison }) => comparison.means.savesPerHour.toFixed(1),
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.toolCalls.verdict],
  },
  empty: "No other value is within the bounds.",
  notes: ({ variants }) => [noneMatters(variants.map(({ comparison }) => comparison.toolCalls.verdict))],
});

const workspaceView: View<WorkspaceReport> = (report, ...more) => {
  const { tasks, chats, windowMs } = report;
  if (tasks === 0) return "No ended task of the workspace is kept, so there is nothing to compare.\n";
  const scope = `${pluralize(tasks, "task")} and ${pluralize(chats, "chat")} of ${age(windowMs)}`;
  return [`${scope}, run again by the shipped engine.`, "", workspaceVariants(report, ...more)];
};

const workspaceVariants = tableView<WorkspaceReport, WorkspaceReport["variants"][number]>({
  rows: ({ variants }) => variants,
  columns: {
    ...setting,
    "WAIT NOW": ({ comparison: { outcomes } }) => seconds(outcomes.from.meanWaitMs),
    "WAIT THEN": ({ comparison: { outcomes } }) => seconds(outcomes.to.meanWaitMs),
    DEAD: ({ comparison: { outcomes } }) => `${outcomes.from.deadTasks} -> ${outcomes.to.deadTasks}`,
    "FALSELY OFFLINE": ({ comparison: { outcomes } }) =>
      `${outcomes.from.falseDepartures} -> ${outcomes.to.falseDepartures}`,
    REQUESTS: ({ comparison: { outcomes } }) => `${outcomes.from.operations} -> ${outcomes.to.operations}`,
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.verdict],
  },
  empty: "No other value is within the bounds.",
  notes: ({ variants }) => [
    noneMatters(variants.map(({ comparison }) => comparison.verdict)),
    variants.some(({ key, from, value }) => key === "chatTtlMs" && value < from) &&
      "\nSilences shorter than the present chatTtlMs are not recorded: a shorter one looks better than it is.",
  ],
});

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
