import { pageInputs, type ExperimentLine, type PageOutputs } from "../../../contract/live-page.ts";
import type { WorkspaceTrial } from "../../../contract/workspace-trials.ts";
import { isRunning, type Experiment } from "../../../experiments/engine/experiment.ts";
import { isRunning as isTrialRunning } from "../../../experiments/workspace/trial.ts";
import { decideAllow, decideEnd, decideStopAll } from "../../../local-mcp/experiments/decisions.ts";
import * as rows from "../../../local-mcp/experiments/experiment-rows.ts";
import { countsOfLastRun } from "../../../local-mcp/experiments/last-opportunities.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { messageOf } from "../../../shared/error.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import {
  allowTrials,
  endOneTrial,
  findTrial,
  isTrialId,
  onTrials,
  stopAllTrials,
  trialState,
} from "../learn/workspace-decisions.ts";
import { readTrials } from "../learn/workspace-trials.ts";
import type { HostResult } from "../../../local-mcp/host/host.ts";
import type { Cli } from "../../cli.ts";

const by = "live page";

export type ExperimentCallName = "page.experiments" | "page.end-experiment" | "page.switch-experiments";

interface ExperimentDeps {
  readonly runtime: Runtime;
  /** A text: why there is no link. */
  readonly link: () => Promise<Workspace | string>;
}

type Answer<Name extends ExperimentCallName> = Promise<
  Result<PageOutputs[Name], { readonly code: string; readonly message: string }>
>;

export function isExperimentCall(name: string): name is ExperimentCallName {
  return name === "page.experiments" || name === "page.end-experiment" || name === "page.switch-experiments";
}

export async function answerExperiments(
  cli: Cli,
  openWorkspace: () => Promise<HostResult<Workspace>>,
  name: ExperimentCallName,
  given: unknown,
): Answer<ExperimentCallName> {
  const input = pageInputs[name].safeParse(given);
  if (!input.success) return err({ code: "bad_input", message: messageOf(input.error) });
  const link = async (): Promise<Workspace | string> => {
    const opened = await openWorkspace();
    return opened.ok ? opened.value : opened.error.message;
  };
  return answerChecked({ runtime: await cli.runtime(), link }, name, input.data);
}

/** @param input as checked before */
async function answerChecked(
  deps: ExperimentDeps,
  name: ExperimentCallName,
  input: unknown,
): Answer<ExperimentCallName> {
  if (name === "page.experiments") return ok(await readExperiments(deps));
  if (name === "page.switch-experiments") return switchAll(deps, pageInputs[name].parse(input).isOff);
  const { experiment, isRevert } = pageInputs[name].parse(input);
  return isTrialId(experiment) ? endTrialOf(deps, experiment, isRevert) : endOne(deps.runtime, experiment, isRevert);
}

/** [WP22] Where the coordinator cannot be asked: those of the machine, and the reason. */
async function readExperiments({ runtime, link }: ExperimentDeps): Promise<PageOutputs["page.experiments"]> {
  const own = readOwn(runtime);
  const found = await link();
  if (typeof found === "string") return { ...own, trouble: found };
  const stored = await readTrials(found);
  if (!stored.ok) return { ...own, trouble: stored.error.message };
  const { trials, offSince } = stored.value.all;
  const now = runtime.now();
  const workspaceOffAgeMs = offSince === null ? null : Math.max(0, now - offSince);
  return {
    ...own,
    experiments: [...trials.map((trial) => toTrialLine(trial, now)), ...own.experiments],
    offAgeMs: own.offAgeMs ?? workspaceOffAgeMs,
  };
}

function toTrialLine(trial: WorkspaceTrial, now: number): ExperimentLine {
  const { id, key, from, to, reason, state, steps } = trial;
  const last = steps.at(-1);
  const isOver = !isTrialRunning(trial) && state !== "kept";
  const effect = `${key} of the workspace is ${from} again at once, unless it was changed since.`;
  return {
    id,
    change: `${key} of the workspace: ${from} -> ${to}`,
    state: trialState(trial),
    isRunning: isTrialRunning(trial),
    sessions: null,
    stepAgeMs: Math.max(0, now - (last?.at ?? now)),
    note: last?.note ?? "",
    reason,
    ending: isOver ? null : { isRevert: state !== "proposed", effect },
  };
}

function readOwn(runtime: Runtime): PageOutputs["page.experiments"] {
  const now = runtime.now();
  return runtime.store.read(
    (sql) => {
      const off = rows.offSince(sql);
      return {
        experiments: rows.list(sql).map(({ experiment }) => toLine(experiment, now)),
        offAgeMs: off === null ? null : Math.max(0, now - off),
        opportunities: countsOfLastRun(sql, now),
        trouble: null,
      };
    },
    { experiments: [], offAgeMs: null, opportunities: [], trouble: null },
  );
}

function toLine(experiment: Experiment, now: number): ExperimentLine {
  const { id, key, from, to, reason, state, verdict, canary, steps } = experiment;
  const last = steps.at(-1);
  return {
    id,
    change: `${key}: ${from} -> ${to}`,
    state: state === "decided" && verdict !== null ? `decided: ${verdict}` : state.replace("_", " "),
    isRunning: isRunning(experiment),
    sessions: canary && { without: canary.counts[0], with: canary.counts[1] },
    stepAgeMs: Math.max(0, now - (last?.at ?? now)),
    note: last?.note ?? "",
    reason,
    ending: endingOf(experiment),
  };
}

function endingOf(experiment: Experiment): ExperimentLine["ending"] {
  const { key, from, state } = experiment;
  const isInFile = state === "deploying" || state === "deployed" || state === "kept";
  if (!isRunning(experiment) && state !== "kept") return null;
  const effect = isInFile
    ? `config.json gets ${key} = ${from} again at once, unless you have changed it since.`
    : `Every chat has ${key} = ${from} again at once. What was counted until now is kept.`;
  return { isRevert: isInFile, effect };
}

/** [WP23] Leaves an experiment that is over as it is. */
async function endOne(runtime: Runtime, id: string, isRevert: boolean): Answer<"page.end-experiment"> {
  decideEnd(runtime, by, id, isRevert);
  const stored = runtime.store.read((sql) => rows.get(sql, id), null);
  return stored
    ? ok({ state: stored.experiment.state })
    : err({ code: "unknown_key", message: "there is no such experiment" });
}

/** [WP23] */
async function endTrialOf(deps: ExperimentDeps, id: string, isRevert: boolean): Answer<"page.end-experiment"> {
  const link = await deps.link();
  if (typeof link === "string") return err({ code: "edge_unusable", message: link });
  const ended = await endOneTrial({ runtime: deps.runtime, link, by }, id, isRevert);
  const isOver = !ended.ok && ended.error.code === "ended";
  const trial = isOver ? await onTrials(link, async ({ all }) => findTrial(all, id)) : ended;
  return trial.ok ? ok({ state: trial.value.state }) : trial;
}

/** [WP23] Where the coordinator cannot be asked, an error after the machine's own are stopped. */
async function switchAll({ runtime, link }: ExperimentDeps, isOff: boolean): Answer<"page.switch-experiments"> {
  const own = isOff ? decideStopAll(runtime, by).map(({ id }) => id) : [];
  if (!isOff) decideAllow(runtime, by);
  const found = await link();
  if (typeof found === "string") return err({ code: "edge_unusable", message: halfDone(found) });
  const decision = { runtime, link: found, by } as const;
  const done = isOff ? await stopAllTrials(decision) : await allowTrials(decision);
  if (!done.ok) return err({ code: done.error.code, message: halfDone(done.error.message) });
  return ok({ stopped: [...own, ...done.value.map(({ id }) => id)] });
}

function halfDone(reason: string): string {
  return `this was done for the settings of this machine, not for those of the workspace: ${reason}`;
}
