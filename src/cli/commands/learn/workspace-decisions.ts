import type { WorkspaceTrial, WorkspaceTrials } from "../../../contract/workspace-trials.ts";
import { isRunning, runningTrial } from "../../../experiments/workspace/trial.ts";
import { record } from "../../../local-mcp/audit/machine-audit.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { failed, notFound, type CliResult } from "../../answer.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { endTrial, readTrials, saveTrials, type StoredTrials } from "./workspace-trials.ts";

const attempts = 5;

/** A person's, on the command line or the live page. */
export interface TrialDecision {
  readonly runtime: Runtime;
  readonly link: Pick<Workspace, "call" | "machine" | "isEdge">;
  readonly by: "command line" | "live page";
}

/** [EX95] Repeats where another machine has changed the trials meanwhile. */
export async function onTrials<T>(
  link: TrialDecision["link"],
  body: (stored: StoredTrials) => Promise<CliResult<T>>,
): Promise<CliResult<T>> {
  for (let attempt = 1; ; attempt += 1) {
    const stored = await readTrials(link);
    const done = stored.ok ? await body(stored.value) : stored;
    const isRepeated = !done.ok && done.error.code === "version_mismatch" && attempt < attempts;
    if (!isRepeated) return done;
  }
}

export function isTrialId(id: string): boolean {
  return id.startsWith("ws_");
}

export function findTrial({ trials }: WorkspaceTrials, prefix: string): CliResult<WorkspaceTrial> {
  const [first, second] = trials.filter(({ id }) => id.startsWith(prefix));
  if (first && !second) return ok(first);
  return notFound(
    `there is no one experiment ${prefix.slice(0, 60)} in the workspace. \`shim learn experiments\` lists them.`,
  );
}

export function trialState({ state, verdict }: WorkspaceTrial): string {
  return state === "decided" && verdict !== null ? `decided: ${verdict}` : state.replace("_", " ");
}

/** Steps of a trial, or of an experiment on this machine. */
export function stepLines(
  steps: readonly { readonly at: number; readonly state: string; readonly note: string }[],
): string[] {
  return steps.map(
    ({ at, state, note }) => `  ${new Date(at).toISOString().slice(0, 16)}  ${state.replace("_", " ")}: ${note}\n`,
  );
}

export async function endOneTrial(
  decision: TrialDecision,
  prefix: string,
  isRevert: boolean,
): Promise<CliResult<WorkspaceTrial>> {
  const { runtime, link } = decision;
  const note = isRevert ? "reverted by hand" : "stopped by hand";
  const ended = await onTrials(link, async (stored) => {
    const found = findTrial(stored.all, prefix);
    if (!found.ok) return found;
    const trial = found.value;
    const canEnd = isRunning(trial) || (isRevert && trial.state === "kept");
    if (!canEnd) return failed("ended", `${trial.id} has ended: ${trialState(trial)}.`);
    return endTrial(link, stored, trial, { at: runtime.now(), note });
  });
  if (ended.ok) logTrial(decision, isRevert ? "experiment.reverted" : "experiment.stopped", ended.value);
  return ended;
}

export function logTrial(
  { runtime, by }: Pick<TrialDecision, "runtime" | "by">,
  kind: "experiment.started" | "experiment.stopped" | "experiment.reverted",
  { id }: WorkspaceTrial,
): void {
  record(runtime, { kind, session: null, experiment: id, by, result: "done" });
}

/** [EX95] The switch of the workspace: no machine starts a trial until it is allowed. */
export async function stopAllTrials(decision: TrialDecision): Promise<CliResult<readonly WorkspaceTrial[]>> {
  const { runtime, link } = decision;
  const at = runtime.now();
  const done = await onTrials<readonly WorkspaceTrial[]>(link, async (stored) => {
    // The machine's own switch is enough for its own coordinator.
    if (!link.isEdge && stored.version === 0) return ok([]);
    const all = { ...stored.all, offSince: stored.all.offSince ?? at };
    const running = runningTrial(all);
    if (!running) return switched(await saveTrials(link, stored, all));
    const ended = await endTrial(link, { ...stored, all }, running, { at, note: "stopped by hand, with all" });
    if (ended.ok) return ok([ended.value]);
    // Without the right to change settings the switch is on all the same.
    if (ended.error.code === "forbidden") await saveTrials(link, stored, all);
    return ended;
  });
  if (done.ok) for (const one of done.value) logTrial(decision, "experiment.stopped", one);
  return done;
}

function switched(saved: CliResult<unknown>): CliResult<readonly WorkspaceTrial[]> {
  return saved.ok ? ok([]) : saved;
}

export async function allowTrials({ link }: TrialDecision): Promise<CliResult<readonly WorkspaceTrial[]>> {
  return onTrials(link, async (stored) => {
    if (stored.all.offSince === null) return ok([]);
    return switched(await saveTrials(link, stored, { ...stored.all, offSince: null }));
  });
}
