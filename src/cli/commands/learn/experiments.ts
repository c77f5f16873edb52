import { pluralize } from "../../../shared/format.ts";
import type { Command } from "commander";
import type { Experiment } from "../../../experiments/engine/experiment.ts";
import { findParameter, lowersSafety, parameters, type Refusal } from "../../../experiments/parameters.ts";
import * as rows from "../../../local-mcp/experiments/experiment-rows.ts";
import { decideAllow, decideEnd, decideStart, decideStopAll } from "../../../local-mcp/experiments/decisions.ts";
import type { StartError } from "../../../local-mcp/experiments/experiments.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { settingAt } from "../../../shared/setting-keys.ts";
import { ambiguous, failed, notFound, wrongUsage, type CliResult, type FailedResult } from "../../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";
import { findWorkspaceParameter } from "../../../experiments/queue/workspace-parameters.ts";
import { isTrialId, stepLines, trialState } from "./workspace-decisions.ts";
import {
  allowTrialsByHand,
  endTrialByHand,
  listTrials,
  showTrial,
  startTrial,
  stopTrialsByHand,
} from "./workspace-experiments.ts";

interface StopOptions extends CommonOptions {
  readonly all?: boolean;
}

interface StartOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly reason: string;
}

export function addExperiments(program: Command, cli: Cli): void {
  const command = program.command("experiments").description("trials of settings; show, start, stop, revert, allow");
  cli.define(command, () => list(cli));
  const show = command.command("show <id>").description("plan, figures and steps of one");
  cli.define(show, (_options: CommonOptions, id: string) =>
    isTrialId(id) ? showTrial(cli, id) : withExperiment(cli, id, (found) => ok(shown(cli, found))),
  );
  const begin = command
    .command("start <key> <value>")
    .description("try a value with a share of the sessions that begin from now on; one of the workspace with all chats")
    .option("--reason <text>", "why, for the report", "started by hand")
    .option("--yes", "do not ask where more may be lost at a death, or one is noticed later");
  cli.define(begin, (options: StartOptions, key: string, value: string) => startOne(cli, options, key, value));
  const end = command
    .command("stop [id]")
    .description("end a trial; its value before is in force at once")
    .option("--all", "every trial, and none starts until `shim learn experiments allow`");
  cli.define(end, (options: StopOptions, id?: string) => stop(cli, options, id));
  const back = command.command("revert <id>").description("take back a value that was deployed and kept");
  cli.define(back, (_options: CommonOptions, id: string) => endOne(cli, id, true));
  const permit = command.command("allow").description("let experiments start again after `stop --all`");
  cli.define(permit, () => allowAll(cli));
}

async function list(cli: Cli): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const { experiments, off } = runtime.store.read(
    (sql) => ({ experiments: rows.list(sql).map(({ experiment }) => experiment), off: rows.offSince(sql) }),
    { experiments: [], off: null },
  );
  const workspace = await listTrials(cli);
  const lines = [
    ...experiments.map((one) => ({ ...one, sessions: sessionsText(one), text: stateText(one) })),
    ...workspace.trials.map((one) => ({ ...one, sessions: "all", text: trialState(one) })),
  ];
  const table = cli.table(
    lines.toSorted((one, other) => (other.steps[0]?.at ?? 0) - (one.steps[0]?.at ?? 0)),
    {
      ID: ({ id }) => id,
      SETTING: ({ key, from, to }) => `${key}: ${from} -> ${to}`,
      STATE: ({ text }) => text,
      SESSIONS: ({ sessions }) => sessions,
      SINCE: ({ steps }) => cli.ago(steps.at(-1)?.at ?? 0),
    },
    "No experiment yet. `shim learn opportunities` says what to try.\n",
  );
  const since = off ?? workspace.offSince;
  const note =
    since === null ? "" : `Switched off ${cli.ago(since)}. \`shim learn experiments allow\` lets them start again.\n`;
  return ok({
    data: { experiments, offSince: off, workspace },
    text: `${table}${note}${problemText("Trials of the workspace are not listed", workspace.problem)}`,
  });
}

function problemText(what: string, problem: string | null): string {
  return problem === null ? "" : `${what}: ${problem}\n`;
}

function sessionsText({ canary }: Experiment): string {
  return canary ? String(canary.counts[0] + canary.counts[1]) : "-";
}

function stateText({ state, verdict }: Experiment): string {
  return state === "decided" && verdict !== null ? `decided: ${verdict}` : state.replace("_", " ");
}

function shown(cli: Cli, experiment: Experiment) {
  const { id, key, from, to, reason, plan, canary, steps } = experiment;
  const parts = [
    `${id}: ${key} from ${from} to ${to}, ${stateText(experiment)}\nWhy: ${reason}\n`,
    plan
      ? `Plan, fixed before the start: ${Math.round(plan.share * 100)} % of new sessions, half of them with the new value; at most ${pluralize(plan.units, "session")} and ${plan.maxDays} days; decided by ${plan.primary?.measure ?? "replay"}; guardrails: ${plan.guardrails.map(({ measure }) => measure).join(", ")}.\n`
      : "",
    canary ? `Sessions: ${canary.counts[1]} with the new value, ${canary.counts[0]} without.\n` : "",
    ...stepLines(steps),
  ];
  return { data: { experiment }, text: parts.map((part) => cli.verbatim(part)).join("") };
}

async function withExperiment(
  cli: Cli,
  prefix: string,
  body: (found: Experiment, runtime: Runtime) => CommandResult,
): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const found = findOne(runtime, prefix);
  return found.ok ? body(found.value, runtime) : found;
}

function findOne(runtime: Runtime, prefix: string): CliResult<Experiment> {
  const all = runtime.store.read((sql) => rows.list(sql), []);
  const matching = all.filter(({ experiment: { id } }) => id.startsWith(prefix) || id === `exp_${prefix}`);
  const [first] = matching;
  if (!first) return notFound(`there is no experiment ${prefix.slice(0, 60)}. \`shim learn experiments\` lists them.`);
  if (matching.length > 1)
    return ambiguous(
      `${prefix} fits several experiments.`,
      matching.map(({ experiment }) => experiment.id),
    );
  return ok(first.experiment);
}

async function startOne(cli: Cli, { yes, reason }: StartOptions, key: string, text: string): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const to = Number(text);
  const ofWorkspace = findWorkspaceParameter(key);
  if (ofWorkspace) return startTrial(cli, { parameter: ofWorkspace, to, reason, isSure: yes === true });
  const parameter = findParameter(key);
  const from = Number(settingAt(runtime.config, key));
  if (parameter && lowersSafety(parameter, from, to)) {
    const answer = await cli.confirm(`With ${key} = ${to} a death may lose more than now. Try it?`, yes === true);
    if (answer === "unasked") return wrongUsage(`with ${key} = ${to} a death may lose more than now: add --yes.`);
    if (answer === "no") return failed("not_confirmed", "nothing was started.");
  }
  const started = decideStart(runtime, "command line", { key, to, reason: reason.slice(0, 500), replay: null });
  if (!started.ok) return refused(started.error, { key, from, to });
  return ok({ data: { experiment: started.value }, text: startText(started.value) });
}

function startText({ id, key, to, plan }: Experiment): string {
  const share = Math.round((plan?.share ?? 1) * 100);
  return `${id}: ${share} % of the sessions that begin from now on take part, half of them with ${key} = ${to}.\n`;
}

type Step = Pick<Experiment, "key" | "from" | "to">;

function refused(error: StartError, step: Step): FailedResult {
  const { key, from } = step;
  if (error.code === "switched_off")
    return failed(error.code, "experiments are switched off. `shim learn experiments allow` lets them start again.");
  if (error.code === "by_person")
    return failed(error.code, `no trial can judge ${key}: change it with \`shim config set ${key} <value>\`.`);
  if (error.code === "busy")
    return failed(error.code, `${error.id} runs on a setting of the same group. Stop it first.`);
  if (error.code === "cannot_end") return failed(error.code, endlessText(error.reason, step));
  if (error.code === "config_invalid") return failed(error.code, `${error.reason}\nCorrect the file first.`);
  return wrongUsage(refusalText(error.code, key, from));
}

/** [EX291] */
function endlessText(reason: string, { key, to }: Step): string {
  const replayed = findParameter(key)?.method === "replay";
  const instead = replayed ? `\`shim learn replay --set ${key}=${to}\` compares it on the recorded sessions; ` : "";
  return `it could not end here, so nothing was started: ${reason}.\n${instead}\`shim config set ${key} ${to}\` sets it without a trial.`;
}

function refusalText(refusal: Refusal, key: string, from: number): string {
  const parameter = findParameter(key);
  if (!parameter)
    return `"${key.slice(0, 60)}" is never changed by experiments. These are:\n${parameters.map((one) => `  ${one.key}`).join("\n")}`;
  const { min, max, maxFactor } = parameter;
  const reasons: Record<Exclude<Refusal, "not_a_parameter">, string> = {
    out_of_range: `${key} stays between ${min} and ${max} in experiments.`,
    step_too_large: `${key} is ${from}: an experiment changes it by a factor of ${maxFactor} at most.`,
    not_whole: `${key} is a whole number.`,
    no_change: `${key} is ${from} already.`,
  };
  return refusal === "not_a_parameter" ? "" : reasons[refusal];
}

async function stop(cli: Cli, { all }: StopOptions, id: string | undefined): Promise<CommandResult> {
  if ((all === true) === (id !== undefined)) return wrongUsage("name an experiment, or --all.");
  if (id !== undefined) return endOne(cli, id, false);
  const runtime = await cli.runtime();
  const stopped = decideStopAll(runtime, "command line");
  const workspace = await stopTrialsByHand(cli);
  const count = stopped.length + workspace.stopped.length;
  const text = `${pluralize(count, "experiment")} stopped; none starts until \`shim learn experiments allow\`.\n`;
  return ok({
    data: { stopped, workspace },
    text: `${text}${problemText("Nothing was stopped in the workspace", workspace.problem)}`,
  });
}

async function endOne(cli: Cli, id: string, isRevert: boolean): Promise<CommandResult> {
  if (isTrialId(id)) return endTrialByHand(cli, id, isRevert);
  return withExperiment(cli, id, (found, runtime) => {
    const after = decideEnd(runtime, "command line", found.id, isRevert);
    if (!after) return failed("ended", `${found.id} has ended: ${stateText(found)}.`);
    return ok({
      data: { experiment: after },
      text: `${after.id}: ${stateText(after)}. ${after.steps.at(-1)?.note ?? ""}\n`,
    });
  });
}

async function allowAll(cli: Cli): Promise<CommandResult> {
  const runtime = await cli.runtime();
  decideAllow(runtime, "command line");
  const problem = await allowTrialsByHand(cli);
  return ok({
    data: { offSince: null, workspaceProblem: problem },
    text: `Experiments may start again.\n${problemText("Not in the workspace", problem)}`,
  });
}
