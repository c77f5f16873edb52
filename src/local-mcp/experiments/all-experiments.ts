import type { ExperimentView } from "../../contract/machine/experiments.ts";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import type { WorkspaceTrial, WorkspaceTrials } from "../../contract/workspace-trials.ts";
import type { Experiment } from "../../experiments/engine/experiment.ts";
import { viewOfExperiment, viewOfTrial } from "../../experiments/kaizen/experiment-view.ts";
import { findParameter, lowersSafety, refusalText } from "../../experiments/parameters.ts";
import { findWorkspaceParameter, type WorkspaceParameter } from "../../experiments/queue/workspace-parameters.ts";
import { isRunning, runningTrial } from "../../experiments/workspace/trial.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostError, HostResult } from "../../shared/host-result.ts";
import { err, ok } from "../../shared/result.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { record } from "../audit/machine-audit.ts";
import { decideAllow, decideEnd, decideStart, decideStopAll } from "./decisions.ts";
import * as rows from "./experiment-rows.ts";
import { countsOfLastRun } from "./last-opportunities.ts";
import { switchedOff } from "./experiments.ts";
import type { TrialLink } from "./workspace-history.ts";
import { startValue } from "./workspace-steps.ts";
import { endTrial, onTrials, saveTrials } from "./workspace-trials.ts";

/** Experiments of the machine and of its workspace, for a person. */
export interface Deciding {
  readonly runtime: Runtime;
  readonly by: "command line" | "live page";
  /** Open as long as `body` runs. */
  readonly inWorkspace: <T>(body: (link: TrialLink) => Promise<HostResult<T>>) => Promise<HostResult<T>>;
}

/** [EX95] */
async function decideInWorkspace<T>(
  deciding: Deciding,
  body: (link: TrialLink) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  const done = await deciding.inWorkspace(body);
  if (done.ok || done.error.code !== "edge_unreachable") return done;
  const advice =
    "What is in force in the workspace stays so. Repeat the command once the coordinator answers, here or on another machine of the workspace.";
  return err({ ...done.error, message: `${done.error.message.replace(/\.?$/, ".")} ${advice}` });
}

interface TrialsRead extends Pick<WorkspaceTrials, "offSince" | "trials"> {
  /** Why they are not known; null: they are. */
  readonly problem: string | null;
}

export async function readAllTrials(deciding: Deciding): Promise<TrialsRead> {
  const read = await decideInWorkspace(deciding, (link) => onTrials(link, async ({ all }) => ok(all)));
  return read.ok ? { ...read.value, problem: null } : { offSince: null, trials: [], problem: read.error.message };
}

/** [EX95] Where the coordinator does not answer: those of the machine. Oldest first. */
export async function listExperiments(deciding: Deciding): Promise<MachineOutput<"experiments.list">> {
  const { store, now } = deciding.runtime;
  const own = listOwn(deciding.runtime).map(viewOfExperiment);
  const { trials, offSince, problem } = await readAllTrials(deciding);
  return {
    experiments: [...own, ...trials.map(viewOfTrial)].toSorted((one, other) => startOf(one) - startOf(other)),
    offSince: store.read(rows.offSince, null) ?? offSince,
    opportunities: store.read((sql) => countsOfLastRun(sql, now()), []),
    workspaceProblem: problem,
    readAt: now(),
  };
}

function startOf({ steps }: ExperimentView): number {
  return steps[0]?.at ?? 0;
}

function listOwn({ store }: Runtime): Experiment[] {
  return store.read((sql) => rows.list(sql), []).map(({ experiment }) => experiment);
}

function isTrialId(id: string): boolean {
  return id.startsWith("ws_");
}

function findOne<T extends { readonly id: string }>(all: readonly T[], prefix: string): HostResult<T> {
  const matching = all.filter(({ id }) => id.startsWith(prefix) || id === `exp_${prefix}`);
  const [first] = matching;
  if (!first)
    return err({
      code: "not_found",
      message: `there is no experiment ${prefix.slice(0, 60)}. \`shim learn experiments\` lists them.`,
    });
  if (matching.length === 1) return ok(first);
  const candidates = matching.map(({ id }) => id);
  return err({ code: "ambiguous", message: `${prefix} fits several experiments.`, candidates });
}

/** @param prefix beginning of its id */
export async function findExperiment(deciding: Deciding, prefix: string): Promise<HostResult<ExperimentView>> {
  if (!isTrialId(prefix)) {
    const found = findOne(listOwn(deciding.runtime), prefix);
    return found.ok ? ok(viewOfExperiment(found.value)) : found;
  }
  return decideInWorkspace(deciding, (link) =>
    onTrials(link, async ({ all }) => {
      const found = findOne(all.trials, prefix);
      return found.ok ? ok(viewOfTrial(found.value)) : found;
    }),
  );
}

export async function endExperiment(
  deciding: Deciding,
  prefix: string,
  isRevert: boolean,
): Promise<HostResult<ExperimentView>> {
  if (isTrialId(prefix)) return endOneTrial(deciding, prefix, isRevert);
  const found = findOne(listOwn(deciding.runtime), prefix);
  if (!found.ok) return found;
  const ended = decideEnd(deciding.runtime, deciding.by, found.value.id, isRevert);
  return ended ? ok(viewOfExperiment(ended)) : err(hasEnded(viewOfExperiment(found.value)));
}

function hasEnded({ id, state }: ExperimentView): HostError {
  return { code: "ended", message: `${id} has ended: ${state}.` };
}

function endOneTrial(deciding: Deciding, prefix: string, isRevert: boolean): Promise<HostResult<ExperimentView>> {
  const { runtime } = deciding;
  return decideInWorkspace(deciding, async (link) => {
    const ended = await onTrials(link, async (stored) => {
      const found = findOne(stored.all.trials, prefix);
      if (!found.ok) return found;
      const trial = found.value;
      const canEnd = isRunning(trial) || (isRevert && trial.state === "kept");
      if (!canEnd) return err(hasEnded(viewOfTrial(trial)));
      const note = isRevert ? "reverted by hand" : "stopped by hand";
      return endTrial(stored, trial, { at: runtime.now(), note });
    });
    return ended.ok
      ? ok(logged(deciding, isRevert ? "experiment.reverted" : "experiment.stopped", ended.value))
      : ended;
  });
}

function logged(
  { runtime, by }: Deciding,
  kind: "experiment.started" | "experiment.stopped" | "experiment.reverted",
  trial: WorkspaceTrial,
): ExperimentView {
  record(runtime, { kind, session: null, experiment: trial.id, by, result: "done" });
  return viewOfTrial(trial);
}

/** [EX95] The machine's own are stopped in any case. @returns those that were running */
export async function stopAllExperiments(deciding: Deciding): Promise<MachineOutput<"experiments.stop">> {
  const own = decideStopAll(deciding.runtime, deciding.by).map(viewOfExperiment);
  const done = await decideInWorkspace(deciding, (link) => stopTrials(deciding, link));
  return done.ok
    ? { stopped: [...own, ...done.value], workspaceProblem: null }
    : { stopped: own, workspaceProblem: done.error.message };
}

/** [EX95] The switch of the workspace: no machine starts a trial until it is allowed. */
async function stopTrials(deciding: Deciding, link: TrialLink): Promise<HostResult<ExperimentView[]>> {
  const at = deciding.runtime.now();
  const done = await onTrials<WorkspaceTrial | null>(link, async (stored) => {
    // The machine's own switch is enough for its own coordinator.
    if (!link.isEdge && stored.version === 0) return ok(null);
    const all = { ...stored.all, offSince: stored.all.offSince ?? at };
    const running = runningTrial(all);
    if (!running) {
      const saved = await saveTrials(stored, all);
      return saved.ok ? ok(null) : saved;
    }
    const ended = await endTrial({ ...stored, all }, running, { at, note: "stopped by hand, with all" });
    // Without the right to change settings the switch is on all the same.
    if (!ended.ok && ended.error.code === "forbidden") await saveTrials(stored, all);
    return ended;
  });
  if (!done.ok) return done;
  return ok(done.value === null ? [] : [logged(deciding, "experiment.stopped", done.value)]);
}

/** @returns why those of the workspace are not allowed; null: they are */
export async function allowExperiments(deciding: Deciding): Promise<string | null> {
  decideAllow(deciding.runtime, deciding.by);
  const done = await decideInWorkspace<unknown>(deciding, (link) =>
    onTrials<unknown>(link, async (stored) =>
      stored.all.offSince === null ? ok(null) : saveTrials(stored, { ...stored.all, offSince: null }),
    ),
  );
  return done.ok ? null : done.error.message;
}

type StartGiven = CheckedMachineInput<"experiments.start">;

export async function startExperiment(deciding: Deciding, given: StartGiven): Promise<HostResult<ExperimentView>> {
  const { key, value: to, lessSafe } = given;
  const ofWorkspace = findWorkspaceParameter(key);
  if (ofWorkspace) return startTrial(deciding, ofWorkspace, given);
  const { runtime, by } = deciding;
  const parameter = findParameter(key);
  if (parameter && lessSafe !== true && lowersSafety(parameter, Number(settingAt(runtime.config, key)), to))
    return err({
      code: "less_safe",
      message: `with ${key} = ${to} a death may lose more than now: add --less-safe to try it.`,
    });
  const started = decideStart(runtime, by, { key, to, reason: given.reason.slice(0, 500), replay: null });
  return started.ok ? ok(viewOfExperiment(started.value)) : started;
}

/** [EX93] A person may set what no simulation has found better; it is watched all the same. */
function startTrial(
  deciding: Deciding,
  parameter: WorkspaceParameter,
  { value: to, reason, lessSafe }: StartGiven,
): Promise<HostResult<ExperimentView>> {
  const { key } = parameter;
  return decideInWorkspace(deciding, async (link) => {
    const present = await link.call("settings.get", {});
    if (!present.ok) return present;
    const from = Number(present.value.settings[key]);
    const refusal = refusalText(parameter, from, to);
    if (refusal !== null) return err({ code: "bad_input", message: refusal });
    if (lessSafe !== true && lowersSafety(parameter, from, to))
      return err({
        code: "less_safe",
        message: `with ${key} = ${to} a dead chat may be noticed later than now: add --less-safe to set it.`,
      });
    const started = await onTrials(link, async (stored) => {
      const running = runningTrial(stored.all);
      if (running) return err({ code: "busy", message: `${running.id} runs in the workspace. Stop it first.` });
      if (stored.all.offSince !== null) return err(switchedOff);
      return startValue(deciding.runtime, stored, { key, from, to, reason: reason.slice(0, 300) });
    });
    return started.ok ? ok(logged(deciding, "experiment.started", started.value)) : started;
  });
}
