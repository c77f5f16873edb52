import type { SettingsComparison } from "../../contract/machine/replay.ts";
import type { Baseline, WorkspaceTrial } from "../../contract/workspace-trials.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { lowersSafety } from "../../experiments/parameters.ts";
import { silenceOf } from "../../experiments/workspace/presence-log.ts";
import { findWorkspaceParameter } from "../../experiments/queue/workspace-parameters.ts";
import { findViolation, type Silence } from "../../experiments/workspace/guardrails.ts";
import {
  addStep,
  isWithinBounds,
  moveTrial,
  proposeTrial,
  withTrial,
  type TrialCandidate,
} from "../../experiments/workspace/trial.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { err, ok } from "../../shared/result.ts";
import type { Compare } from "./compare-queue.ts";
import { readCounts, readPresenceLog, readQueueRecord, type TrialLink } from "./workspace-history.ts";
import { deploy, endTrial, saveTrial, saveTrials, stoppedByOther, type StoredTrials } from "./workspace-trials.ts";

/** Facts that a review has read. */
export interface Position {
  readonly runtime: Runtime;
  readonly stored: StoredTrials;
  readonly settings: Settings;
}

type Moved = Promise<HostResult<WorkspaceTrial>>;

const weekMs = 604_800_000;

/** Stored before the simulation: the next review, of any machine, continues one that dies in it. */
export async function proposeValue(position: Position, candidate: TrialCandidate, compare: Compare): Moved {
  const trial = newTrial(position.runtime, candidate);
  const saved = await saveTrials(position.stored, withTrial(position.stored.all, trial));
  return saved.ok ? simulateValue({ ...position, stored: saved.value }, trial, compare) : saved;
}

function newTrial(runtime: Runtime, candidate: TrialCandidate): WorkspaceTrial {
  const hex = (): string => Buffer.from(runtime.random(4)).toString("hex");
  return proposeTrial({ ...candidate, id: `ws_${hex()}`, seed: Number.parseInt(hex(), 16), at: runtime.now() });
}

/** [EX93] A person's decision: without a simulation. */
export async function startValue(runtime: Runtime, stored: StoredTrials, candidate: TrialCandidate): Moved {
  const baseline = await readBaseline(stored.link);
  if (!baseline.ok) return baseline;
  if (baseline.value === null)
    return err({ code: "budget_spent", message: "the budget of the day is used up: try it tomorrow." });
  const trial = { ...newTrial(runtime, candidate), baseline: baseline.value };
  return deploy(stored, trial, { at: runtime.now(), note: deployedText(trial) });
}

function deployedText({ key, to }: WorkspaceTrial): string {
  return `${key} is ${to} for all, and watched for a week`;
}

/** @returns null while the budget of the day is used up, which would be a violation already */
async function readBaseline(link: TrialLink): Promise<HostResult<Baseline | null>> {
  const counts = await readCounts(link);
  if (!counts.ok) return counts;
  const silence = await readSilence(link, weekMs);
  if (!silence.ok) return silence;
  const { isDaySpent, ...totals } = counts.value;
  return ok(isDaySpent ? null : { ...totals, ...silence.value });
}

async function readSilence(link: TrialLink, windowMs: number): Promise<HostResult<Silence>> {
  const log = await readPresenceLog(link);
  return log.ok ? ok(silenceOf(log.value, windowMs)) : log;
}

/** [EX91] Only a value that the simulation of the workspace's own record finds better is set. */
export async function simulateValue(
  { runtime, stored, settings }: Position,
  trial: WorkspaceTrial,
  compare: Compare,
): Moved {
  const { key, from, to, seed } = trial;
  const { link } = stored;
  const at = runtime.now();
  if (!isByShim(trial)) return saveTrial(stored, moveTrial(trial, "stopped", at, "only a person takes this step"));
  const stopped = stoppedByOther(settings, trial, { expected: from, at });
  if (stopped) return saveTrial(stored, stopped);
  const baseline = await readBaseline(link);
  if (!baseline.ok) return baseline;
  if (baseline.value === null) return ok(trial);
  const record = await readQueueRecord(link, settings.chatTtlMs);
  if (!record.ok) return record;
  const compared = compare(record.value, settings, { ...settings, [key]: to }, seed);
  const { verdict } = compared;
  const known = { ...trial, verdict, baseline: baseline.value };
  const simulated = addStep(known, "simulated", at, comparisonText(compared));
  if (verdict !== "better") return saveTrial(stored, moveTrial(simulated, "decided", at, verdict));
  return deploy(stored, simulated, { at, note: deployedText(trial) });
}

/** The state may have it from any token that writes there. */
function isByShim(trial: WorkspaceTrial): boolean {
  const parameter = findWorkspaceParameter(trial.key);
  return parameter !== null && isWithinBounds(trial) && !lowersSafety(parameter, trial.from, trial.to);
}

function comparisonText({ verdict, blocks, effect, interval }: SettingsComparison): string {
  const figures = `${effect?.toFixed(0) ?? "?"}, ${interval.low.toFixed(0)} to ${interval.high.toFixed(0)}`;
  return `${verdict} in ${blocks} simulated stretches of the record: loss of a task in ms ${figures}`;
}

/** [EX94] The trial was last changed when its value was set: its age is the time since then. */
export async function watchValue({ runtime, stored, settings }: Position, trial: WorkspaceTrial): Moved {
  const { link, ageMs } = stored;
  const at = runtime.now();
  const stopped = stoppedByOther(settings, trial, { expected: trial.to, at });
  if (stopped) return saveTrial(stored, stopped);
  const counts = await readCounts(link);
  if (!counts.ok) return counts;
  const silence = await readSilence(link, ageMs);
  if (!silence.ok) return silence;
  const found = trial.baseline && findViolation(trial.baseline, counts.value, silence.value);
  if (found) {
    const { guardrail, note } = found;
    const violation = { guardrail, machine: link.machine };
    return endTrial(stored, trial, { at, note: `${guardrail}: ${note}`, violation });
  }
  if (ageMs < weekMs) return ok(trial);
  return saveTrial(stored, moveTrial(trial, "kept", at, "a week without a violation"));
}
