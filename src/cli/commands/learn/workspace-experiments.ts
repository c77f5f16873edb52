import type { WorkspaceTrial, WorkspaceTrials } from "../../../contract/workspace-trials.ts";
import { lowersSafety, refusalOfStep, type Refusal } from "../../../experiments/parameters.ts";
import type { WorkspaceParameter } from "../../../experiments/queue/workspace-parameters.ts";
import { runningTrial, type TrialCandidate } from "../../../experiments/workspace/trial.ts";
import { ok } from "../../../shared/result.ts";
import { failed, wrongUsage, type CliResult, type FailedResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import {
  allowTrials,
  endOneTrial,
  findTrial,
  logTrial,
  onTrials,
  stepLines,
  stopAllTrials,
  trialState,
  type TrialDecision,
} from "./workspace-decisions.ts";
import { startValue } from "./workspace-steps.ts";

async function withLink<T>(cli: Cli, body: (decision: TrialDecision) => Promise<CliResult<T>>): Promise<CliResult<T>> {
  const opened = await cli.workspace();
  if (!opened.ok) return opened;
  const link = opened.value;
  try {
    const done = await body({ runtime: await cli.runtime(), link, by: "command line" });
    return done.ok ? done : explained(done);
  } finally {
    link.close();
  }
}

function explained(refused: FailedResult): FailedResult {
  const { code, message } = refused.error;
  if (code !== "edge_unreachable") return refused;
  const advice =
    "What is in force in the workspace stays so. Repeat the command once the coordinator answers, here or on another machine of the workspace.";
  return failed(code, `${message.replace(/\.?$/, ".")} ${advice}`);
}

export interface TrialsOfWorkspace extends WorkspaceTrials {
  /** Absent (null) where they were read. */
  readonly problem: string | null;
}

export async function listTrials(cli: Cli): Promise<TrialsOfWorkspace> {
  const found = await withLink(cli, ({ link }) => onTrials(link, async ({ all }) => ok(all)));
  return found.ok ? { ...found.value, problem: null } : { offSince: null, trials: [], problem: found.error.message };
}

export async function showTrial(cli: Cli, prefix: string): Promise<CommandResult> {
  const found = await withLink(cli, ({ link }) => onTrials(link, async ({ all }) => findTrial(all, prefix)));
  if (!found.ok) return found;
  const { id, key, from, to, reason, steps } = found.value;
  const lines = [
    `${id}: ${key} of the workspace from ${from} to ${to}, ${trialState(found.value)}\nWhy: ${reason}\n`,
    ...stepLines(steps),
  ];
  return ok({ data: { experiment: found.value }, text: lines.map((line) => cli.verbatim(line)).join("") });
}

export async function endTrialByHand(cli: Cli, prefix: string, isRevert: boolean): Promise<CommandResult> {
  const ended = await withLink(cli, (decision) => endOneTrial(decision, prefix, isRevert));
  return ended.ok ? answerOf(cli, ended.value) : ended;
}

export interface StoppedTrials {
  readonly stopped: readonly WorkspaceTrial[];
  readonly problem: string | null;
}

export async function stopTrialsByHand(cli: Cli): Promise<StoppedTrials> {
  const done = await withLink(cli, stopAllTrials);
  return done.ok ? { stopped: done.value, problem: null } : { stopped: [], problem: done.error.message };
}

/** @returns a problem; null: done, or there was nothing to do */
export async function allowTrialsByHand(cli: Cli): Promise<string | null> {
  const done = await withLink(cli, allowTrials);
  return done.ok ? null : done.error.message;
}

export interface StartTrial {
  readonly parameter: WorkspaceParameter;
  readonly to: number;
  readonly reason: string;
  readonly isSure: boolean;
}

/** [EX93] A person may set what no simulation has found better; it is watched all the same. */
export async function startTrial(cli: Cli, { parameter, to, reason, isSure }: StartTrial): Promise<CommandResult> {
  const { key } = parameter;
  const present = await withLink(cli, async ({ link }) => link.call("settings.get", {}));
  if (!present.ok) return present;
  const from = Number(present.value.settings[key]);
  const refused = refusalText(parameter, from, to);
  if (refused !== null) return wrongUsage(refused);
  if (lowersSafety(parameter, from, to)) {
    const question = `With ${key} = ${to} a dead chat may be noticed later than now.`;
    const answer = await cli.confirm(`${question} Set it?`, isSure);
    if (answer === "unasked") return wrongUsage(`${question} Add --yes.`);
    if (answer === "no") return failed("not_confirmed", "nothing was started.");
  }
  const candidate = { key, from, to, reason: reason.slice(0, 300) };
  const started = await withLink(cli, (decision) => startByHand(decision, candidate));
  return started.ok ? answerOf(cli, started.value) : started;
}

async function startByHand(decision: TrialDecision, candidate: TrialCandidate): Promise<CliResult<WorkspaceTrial>> {
  const { runtime, link } = decision;
  const started = await onTrials(link, async (stored) => {
    const running = runningTrial(stored.all);
    if (running) return failed("busy", `${running.id} runs in the workspace. Stop it first.`);
    if (stored.all.offSince !== null)
      return failed(
        "switched_off",
        "experiments are switched off. `shim learn experiments allow` lets them start again.",
      );
    return startValue({ runtime, link, stored }, candidate);
  });
  if (started.ok) logTrial(decision, "experiment.started", started.value);
  return started;
}

function answerOf(cli: Cli, trial: WorkspaceTrial): CommandResult {
  const text = `${trial.id}: ${trialState(trial)}. ${trial.steps.at(-1)?.note ?? ""}\n`;
  return ok({ data: { experiment: trial }, text: cli.verbatim(text) });
}

function refusalText(parameter: WorkspaceParameter, from: number, to: number): string | null {
  const { key, min, max, maxFactor } = parameter;
  const reasons: Record<Refusal, string> = {
    not_a_parameter: "",
    out_of_range: `${key} stays between ${min} and ${max} in experiments.`,
    step_too_large: `${key} is ${from}: an experiment changes it by a factor of ${maxFactor} at most.`,
    not_whole: `${key} is a whole number.`,
    no_change: `${key} is ${from} already.`,
  };
  const refusal = refusalOfStep(parameter, from, to);
  return refusal === null ? null : reasons[refusal];
}
