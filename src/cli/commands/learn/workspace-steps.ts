import type { Baseline, WorkspaceTrial } from "../../../contract/workspace-trials.ts";
import type { Settings } from "../../../contract/workspaces.ts";
import { lowersSafety } from "../../../experiments/parameters.ts";
import type { SettingsComparison } from "../../../experiments/queue/compare-settings.ts";
import type { QueueRecord } from "../../../experiments/queue/queue-record.ts";
import { findWorkspaceParameter } from "../../../experiments/queue/workspace-parameters.ts";
import { findViolation } from "../../../experiments/workspace/guardrails.ts";
import {
  addStep,
  isWithinBounds,
  moveTrial,
  proposeTrial,
  withTrial,
  type TrialCandidate,
} from "../../../experiments/workspace/trial.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { failed, type CliResult } from "../../answer.ts";
import { readQueueRecord } from "./queue-history.ts";
import { readCounts, readSilence } from "./workspace-counts.ts";
import {
  deploy,
  endTrial,
  presentValue,
  saveTrial,
  saveTrials,
  stopChanged,
  type StoredTrials,
  type TrialLink,
} from "./workspace-trials.ts";

/** A repeat with the same seed has the same result. */
export type Compare = (
  record: QueueRecord,
  from: Settings,
  to: Settings,
  seed: number,
) => SettingsComparison | Promise<SettingsComparison>;

/** Facts that a review has read. */
export interface Position {
  readonly runtime: Runtime;
  readonly link: TrialLink;
  readonly stored: StoredTrials;
  readonly settings: Settings;
}

const weekMs = 604_800_000;

interface Proposed {
  readonly stored: StoredTrials;
  readonly trial: WorkspaceTrial;
}

/** Stored before the simulation: the next review, of any machine, continues one that dies in it. */
export async function proposeValue(
  { runtime, link, stored }: Pick<Position, "runtime" | "link" | "stored">,
  candidate: TrialCandidate,
): Promise<CliResult<Proposed>> {
  const trial = newTrial(runtime, candidate);
  const all = withTrial(stored.all, trial);
  const saved = await saveTrials(link, stored, all);
  return saved.ok ? ok({ stored: { version: saved.value.version, ageMs: 0, all }, trial }) : saved;
}

function newTrial(runtime: Runtime, candidate: TrialCandidate): WorkspaceTrial {
  const hex = (): string => Buffer.from(runtime.random(4)).toString("hex");
  return proposeTrial({ ...candidate, id: `ws_${hex()}`, seed: Number.parseInt(hex(), 16), at: runtime.now() });
}

/** [EX93] A person's decision: without a simulation. */
export async function startValue(
  { runtime, link, stored }: Pick<Position, "runtime" | "link" | "stored">,
  candidate: TrialCandidate,
): Promise<CliResult<WorkspaceTrial>> {
  const baseline = await readBaseline(link);
  if (!baseline.ok) return baseline;
  if (baseline.value === null) return failed("budget_spent", "the budget of the day is used up: try it tomorrow.");
  const trial = { ...newTrial(runtime, candidate), baseline: baseline.value };
  return deploy(link, stored, trial, { at: runtime.now(), note: deployedText(trial) });
}

function deployedText({ key, to }: TrialCandidate | WorkspaceTrial): string {
  return `${key} is ${to} for all, and watched for a week`;
}

/** @returns null while the budget of the day is used up, which would be a violation already */
async function readBaseline(link: TrialLink): Promise<CliResult<Baseline | null>> {
  const counts = await readCounts(link);
  if (!counts.ok) return counts;
  const silence = await readSilence(link, weekMs);
  if (!silence.ok) return silence;
  const { isDaySpent, ...totals } = counts.value;
  return ok(isDaySpent ? null : { ...totals, ...silence.value });
}

/** [EX91] Only a value that the simulation of the workspace's own record finds better is set. */
export async function simulateValue(
  { runtime, link, stored, settings }: Position,
  trial: WorkspaceTrial,
  compare: Compare,
): Promise<CliResult<WorkspaceTrial>> {
  const { key, from, to, seed } = trial;
  const at = runtime.now();
  if (!isByShim(trial))
    return saveTrial(link, stored, moveTrial(trial, "stopped", at, "only a person takes this step"));
  const present = presentValue(settings, trial);
  if (present !== from) return saveTrial(link, stored, stopChanged(trial, present, at));
  const baseline = await readBaseline(link);
  if (!baseline.ok) return baseline;
  if (baseline.value === null) return ok(trial);
  const record = await readQueueRecord(link, settings.chatTtlMs);
  if (!record.ok) return record;
  const compared = await compare(record.value, settings, { ...settings, [key]: to }, seed);
  const { verdict } = compared;
  const known = { ...trial, verdict, baseline: baseline.value };
  const simulated = addStep(known, "simulated", at, comparisonText(compared));
  if (verdict !== "better") return saveTrial(link, stored, moveTrial(simulated, "decided", at, verdict));
  return deploy(link, stored, simulated, { at, note: deployedText(trial) });
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
export async function watchValue(
  { runtime, link, stored, settings }: Position,
  trial: WorkspaceTrial,
): Promise<CliResult<WorkspaceTrial>> {
  const at = runtime.now();
  const present = presentValue(settings, trial);
  if (present !== trial.to) return saveTrial(link, stored, stopChanged(trial, present, at));
  const counts = await readCounts(link);
  if (!counts.ok) return counts;
  const silence = await readSilence(link, stored.ageMs);
  if (!silence.ok) return silence;
  const found = trial.baseline && findViolation(trial.baseline, counts.value, silence.value);
  if (found) {
    const { guardrail, note } = found;
    const violation = { guardrail, machine: link.machine };
    return endTrial(link, stored, trial, { at, note: `${guardrail}: ${note}`, violation });
  }
  if (stored.ageMs < weekMs) return ok(trial);
  return saveTrial(link, stored, moveTrial(trial, "kept", at, "a week without a violation"));
}
