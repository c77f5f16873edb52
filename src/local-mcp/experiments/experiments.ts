import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import type { Trial, WorkspaceTrial } from "../../contract/trials.ts";
import { findParameter } from "../../experiments/parameters.ts";
import { canEnd, isRunning, refusalOf, viewOf, type Trials } from "../../experiments/trials.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostError, HostResult } from "../../shared/host-result.ts";
import { err, ok } from "../../shared/result.ts";
import { record } from "../audit/machine-audit.ts";
import { countsOfLastRun } from "./review-schedule.ts";
import * as machine from "./machine-trials.ts";
import type { TrialLink } from "./workspace-history.ts";
import { endTrial, onTrials, saveTrials, startValue, type StoredTrials } from "./workspace-trials.ts";

/** Decisions of a person about trials, of the machine and of its workspace. */
export interface Deciding {
  readonly runtime: Runtime;
  readonly by: "command line" | "live page";
  /** Open as long as `body` runs. */
  readonly inWorkspace: <T>(body: (link: TrialLink) => Promise<HostResult<T>>) => Promise<HostResult<T>>;
}

type StartGiven = CheckedMachineInput<"experiments.start">;

/** Where trials of the machine, or of the workspace, are stored, and their values take effect. */
interface Scope {
  read(): Promise<HostResult<Trials>>;
  start(given: StartGiven): Promise<HostResult<Trial>>;
  /** The value before is in force with it. @param id of a trial that can end */
  end(id: string, isRevert: boolean, note: string): Promise<HostResult<Trial>>;
  /** @param since null: trials may start again */
  setOff(since: number | null): Promise<HostResult<unknown>>;
}

function machineScope({ runtime, by }: Deciding): Scope {
  const { store } = runtime;
  const empty: Trials = { offSince: null, trials: [] };
  return {
    read: async () => ok(store.read((sql) => ({ offSince: machine.offSince(sql), trials: machine.list(sql) }), empty)),
    start: async ({ key, value: to, reason, lessSafe }) =>
      machine.start(runtime, { key, to, reason: reason.slice(0, 300), lessSafe, replay: null }, by),
    end: async (id, isRevert, note) => machine.endTrial(runtime, id, isRevert, note, by) ?? err(hasEnded(id, "over")),
    setOff: async (since) => ok(machine.setOff(runtime, since, by)),
  };
}

function workspaceScope(deciding: Deciding): Scope {
  const { runtime, by } = deciding;
  const change = async <T>(body: (stored: StoredTrials) => Promise<HostResult<T>>): Promise<HostResult<T>> => {
    const done = await deciding.inWorkspace((link) => onTrials(link, body));
    if (done.ok || done.error.code !== "edge_unreachable") return done;
    const advice =
      "What is in force in the workspace stays so. Repeat the command once the coordinator answers, here or on another machine of the workspace.";
    return err({ ...done.error, message: `${done.error.message.replace(/\.?$/, ".")} ${advice}` });
  };
  type Kind = "experiment.started" | "experiment.stopped" | "experiment.reverted";
  const logged = (kind: Kind, done: HostResult<WorkspaceTrial>): HostResult<WorkspaceTrial> => {
    if (done.ok) record(runtime, { kind, session: null, experiment: done.value.id, by, result: "done" });
    return done;
  };
  return {
    read: () => change(async ({ all }) => ok(all)),
    start: async (given) =>
      logged("experiment.started", await change((stored) => startInWorkspace(runtime, stored, given))),
    end: async (id, isRevert, note) =>
      logged(
        isRevert ? "experiment.reverted" : "experiment.stopped",
        await change(async (stored) => {
          const trial = stored.all.trials.find((one) => one.id === id);
          if (!trial || !canEnd(trial, isRevert)) return err(hasEnded(id, "over"));
          return endTrial(stored, trial, runtime.now(), note);
        }),
      ),
    setOff: (since) =>
      change<unknown>(async (stored) => {
        // The machine's own switch is enough for its own coordinator.
        const isAlready = since === null ? stored.all.offSince === null : !stored.link.isEdge && stored.version === 0;
        return isAlready ? ok(null) : saveTrials(stored, { ...stored.all, offSince: since });
      }),
  };
}

/** [EX93] A person may set what no simulation has found better; it is watched all the same. */
async function startInWorkspace(
  runtime: Runtime,
  stored: StoredTrials,
  { key, value: to, reason, lessSafe }: StartGiven,
): Promise<HostResult<WorkspaceTrial>> {
  const parameter = findParameter(key);
  const present = await stored.link.call("settings.get", {});
  if (!present.ok) return present;
  const from = Number(present.value.settings[key as keyof typeof present.value.settings]);
  const refusal = parameter && refusalOf(parameter, { from, to, lessSafe }, stored.all);
  return refusal ? err(refusal) : startValue(runtime, stored, { key, from, to, reason: reason.slice(0, 300) });
}

function hasEnded(id: string, state: string): HostError {
  return { code: "ended", message: `${id} has ended: ${state}.` };
}

export function viewTrial({ store }: Pick<Runtime, "store">, trial: Trial): ExperimentView {
  const sessions = "salt" in trial ? store.read((sql) => machine.sessionsOf(sql, trial.id, trial.steps), null) : null;
  return viewOf(trial, sessions);
}

interface TrialsRead extends Trials {
  /** Why they are not known; null: they are. */
  readonly problem: string | null;
}

export async function readWorkspaceTrials(deciding: Deciding): Promise<TrialsRead> {
  const read = await workspaceScope(deciding).read();
  return read.ok ? { ...read.value, problem: null } : { offSince: null, trials: [], problem: read.error.message };
}

/** [EX95] Where the coordinator does not answer: those of the machine. Oldest first. */
export async function listExperiments(deciding: Deciding): Promise<HostResult<MachineOutput<"experiments.list">>> {
  const { store, now } = deciding.runtime;
  const own = await machineScope(deciding).read();
  if (!own.ok) return own;
  const { trials, offSince, problem } = await readWorkspaceTrials(deciding);
  const all = [...own.value.trials, ...trials].toSorted((one, other) => startOf(one) - startOf(other));
  return ok({
    experiments: all.map((one) => viewTrial(deciding.runtime, one)),
    offSince: own.value.offSince ?? offSince,
    opportunities: store.read((sql) => countsOfLastRun(sql, now()), []),
    workspaceProblem: problem,
    readAt: now(),
  });
}

function startOf({ steps }: Trial): number {
  return steps[0]?.at ?? 0;
}

/** @param prefix beginning of its id */
async function find(deciding: Deciding, prefix: string): Promise<HostResult<{ scope: Scope; trial: Trial }>> {
  const scope = prefix.startsWith("ws_") ? workspaceScope(deciding) : machineScope(deciding);
  const read = await scope.read();
  if (!read.ok) return read;
  const matching = read.value.trials.filter(({ id }) => id.startsWith(prefix) || id === `exp_${prefix}`);
  const [trial] = matching;
  if (!trial)
    return err({
      code: "not_found",
      message: `there is no experiment ${prefix.slice(0, 60)}. \`shim learn experiments\` lists them.`,
    });
  if (matching.length === 1) return ok({ scope, trial });
  const candidates = matching.map(({ id }) => id);
  return err({ code: "ambiguous", message: `${prefix} fits several experiments.`, candidates });
}

export async function findExperiment(deciding: Deciding, prefix: string): Promise<HostResult<ExperimentView>> {
  const found = await find(deciding, prefix);
  return found.ok ? ok(viewTrial(deciding.runtime, found.value.trial)) : found;
}

/** [EX54] [EX93] */
export async function endExperiment(
  deciding: Deciding,
  prefix: string,
  isRevert: boolean,
): Promise<HostResult<ExperimentView>> {
  const found = await find(deciding, prefix);
  if (!found.ok) return found;
  const { scope, trial } = found.value;
  if (!canEnd(trial, isRevert)) return err(hasEnded(trial.id, viewTrial(deciding.runtime, trial).state));
  const ended = await scope.end(trial.id, isRevert, isRevert ? "reverted by hand" : "stopped by hand");
  return ended.ok ? ok(viewTrial(deciding.runtime, ended.value)) : ended;
}

/** [EX56] [EX95] The machine's own are stopped in any case. @returns those that were running */
export async function stopAllExperiments(deciding: Deciding): Promise<HostResult<MachineOutput<"experiments.stop">>> {
  const own = await stopScope(deciding, machineScope(deciding));
  const others = await stopScope(deciding, workspaceScope(deciding));
  if (own.problem !== null) return err(own.problem);
  return ok({ stopped: [...own.stopped, ...others.stopped], workspaceProblem: others.problem?.message ?? null });
}

/** First none starts any more, and then those that run are ended. */
async function stopScope(
  deciding: Deciding,
  scope: Scope,
): Promise<{ stopped: ExperimentView[]; problem: HostError | null }> {
  const stopped: ExperimentView[] = [];
  let problem: HostError | null = null;
  const off = await scope.setOff(deciding.runtime.now());
  const read = await scope.read();
  if (!off.ok) problem = off.error;
  if (!read.ok) problem = read.error;
  for (const { id } of read.ok ? read.value.trials.filter(isRunning) : []) {
    const ended = await scope.end(id, false, "stopped by hand, with all");
    if (ended.ok) stopped.push(viewTrial(deciding.runtime, ended.value));
    else problem = ended.error;
  }
  return { stopped, problem };
}

/** @returns why those of the workspace are not allowed; null: they are */
export async function allowExperiments(deciding: Deciding): Promise<string | null> {
  await machineScope(deciding).setOff(null);
  const done = await workspaceScope(deciding).setOff(null);
  return done.ok ? null : done.error.message;
}

export async function startExperiment(deciding: Deciding, given: StartGiven): Promise<HostResult<ExperimentView>> {
  const isOfWorkspace = findParameter(given.key)?.scope === "workspace";
  const started = await (isOfWorkspace ? workspaceScope(deciding) : machineScope(deciding)).start(given);
  return started.ok ? ok(viewTrial(deciding.runtime, started.value)) : started;
}
