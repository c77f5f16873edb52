import type { Json } from "../../contract/json.ts";
import type { SettingsComparison } from "../../contract/machine/learning.ts";
import { trialsKey, WorkspaceTrials, type Baseline, type WorkspaceTrial } from "../../contract/trials.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { compareSettings } from "../../experiments/queue/compare-settings.ts";
import type { QueueRecord } from "../../experiments/queue/run-queue.ts";
import { findViolation, type Silence } from "../../experiments/guardrails.ts";
import { findParameter, lowersSafety, refusalOfStep } from "../../experiments/parameters.ts";
import { silenceOf } from "../../experiments/queue/presence-log.ts";
import { addStep, end, isInForce, move } from "../../experiments/trials.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { err, ok } from "../../shared/result.ts";
import { inMemory, type Connection } from "../../store/driver.ts";
import { readCounts, readPresenceLog, readQueueRecord, type TrialLink } from "./workspace-history.ts";

/** Trials as they were read: each write has their version as its condition. */
export interface StoredTrials {
  readonly link: TrialLink;
  /** 0: none is stored. */
  readonly version: number;
  /** Time since the last change, by the coordinator's clock. */
  readonly ageMs: number;
  readonly all: WorkspaceTrials;
}

type Moved = Promise<HostResult<WorkspaceTrial>>;

/** One trial a day at most: more than the pause between two trials of a value needs. */
const maxTrials = 40;
const maxRounds = 5;
const weekMs = 604_800_000;

export async function readTrials(link: TrialLink): Promise<HostResult<StoredTrials>> {
  const found = await link.call("state.get", { key: trialsKey });
  if (!found.ok) return found;
  const { entry } = found.value;
  if (entry === null) return ok({ link, version: 0, ageMs: 0, all: { offSince: null, trials: [] } });
  const { version, ageMs } = entry;
  const parsed = WorkspaceTrials.safeParse(entry.value);
  if (parsed.success) return ok({ link, version, ageMs, all: parsed.data });
  return err({
    code: "trials_unreadable",
    message: `the key ${trialsKey} of the state does not hold trials. \`shim team state delete ${trialsKey}\` removes it.`,
  });
}

/** [EX95] Repeats where another machine has changed the trials meanwhile. */
export async function onTrials<T>(
  link: TrialLink,
  body: (stored: StoredTrials) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  for (let round = 1; ; round += 1) {
    const stored = await readTrials(link);
    const done = stored.ok ? await body(stored.value) : stored;
    const isMismatch = !done.ok && done.error.code === "version_mismatch";
    if (!isMismatch || round === maxRounds) return done;
  }
}

/** Refused with `version_mismatch` where another machine was first: nothing was written. */
export async function saveTrials(
  { link, version }: StoredTrials,
  all: WorkspaceTrials,
): Promise<HostResult<StoredTrials>> {
  const saved = await link.call("state.set", { key: trialsKey, value: all as Json, ifVersion: version });
  return saved.ok ? ok({ link, version: saved.value.version, ageMs: 0, all }) : saved;
}

async function saveTrial(stored: StoredTrials, trial: WorkspaceTrial): Moved {
  const saved = await saveTrials(stored, withTrial(stored.all, trial));
  return saved.ok ? ok(trial) : saved;
}

/** With this one in it, new or changed; the oldest are dropped. */
function withTrial(all: WorkspaceTrials, trial: WorkspaceTrial): WorkspaceTrials {
  const isKnown = all.trials.some(({ id }) => id === trial.id);
  const trials = isKnown ? all.trials.map((one) => (one.id === trial.id ? trial : one)) : [trial, ...all.trials];
  return { ...all, trials: trials.slice(0, maxTrials) };
}

/** Facts that a review has read. */
export interface Position {
  readonly runtime: Runtime;
  readonly stored: StoredTrials;
  readonly settings: Settings;
}

type Step = Pick<WorkspaceTrial, "key" | "from" | "to" | "reason">;

/** A trial that is not stored yet. */
export function newTrial(runtime: Runtime, step: Step): WorkspaceTrial {
  const id = `ws_${Buffer.from(runtime.random(4)).toString("hex")}`;
  const { key, from, to, reason } = step;
  const begun = { id, key, from, to, reason, verdict: null, baseline: null, violation: null, steps: [] };
  return addStep<WorkspaceTrial>({ ...begun, state: "proposed" }, "proposed", runtime.now(), reason);
}

/** [EX93] A person's decision: without a simulation. */
export async function startValue(runtime: Runtime, stored: StoredTrials, step: Step): Moved {
  const baseline = await readBaseline(stored.link);
  if (!baseline.ok) return baseline;
  if (baseline.value === null)
    return err({ code: "budget_spent", message: "the budget of the day is used up: try it tomorrow." });
  return deploy(stored, { ...newTrial(runtime, step), baseline: baseline.value }, runtime.now());
}

function deploy(stored: StoredTrials, trial: WorkspaceTrial, at: number): Moved {
  const { key, to } = trial;
  return setValue(stored, trial, move(trial, "deployed", at, `${key} is ${to} for all, and watched for a week`), at);
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

/** A repeat has the same result. */
export type Compare = (record: QueueRecord, from: Settings, to: Settings) => SettingsComparison;

/** With the shipped engine, in databases in memory. */
export function compareQueue({ store }: Runtime): Compare {
  return (record, from, to) => {
    const opened: Connection[] = [];
    const openSql = (): Connection => {
      const sql = store.context.driver({ path: inMemory, readOnly: false, busyMs: 0 });
      opened.push(sql);
      return sql;
    };
    try {
      return compareSettings(openSql, record, from, to);
    } finally {
      for (const sql of opened) sql.close();
    }
  };
}

/**
 * [EX91] Only a value that the simulation of the workspace's own record finds better is set. A new
 * trial is stored first: the next review, of any machine, continues one that dies in it.
 */
export async function simulateValue(position: Position, trial: WorkspaceTrial, compare: Compare): Moved {
  const { runtime, settings } = position;
  const { all } = position.stored;
  const isKnown = all.trials.some(({ id }) => id === trial.id);
  const kept = isKnown ? ok(position.stored) : await saveTrials(position.stored, withTrial(all, trial));
  if (!kept.ok) return kept;
  const stored = kept.value;
  const { key, from, to } = trial;
  const { link } = stored;
  const at = runtime.now();
  // The state may have it from any token that writes there.
  const parameter = findParameter(key);
  if (!parameter || !isWithinBounds(trial) || lowersSafety(parameter, from, to))
    return saveTrial(stored, move(trial, "stopped", at, "only a person takes this step"));
  const stopped = stoppedByOther(settings, trial, { expected: from, at });
  if (stopped) return saveTrial(stored, stopped);
  const baseline = await readBaseline(link);
  if (!baseline.ok) return baseline;
  if (baseline.value === null) return ok(trial);
  const record = await readQueueRecord(link, settings.chatTtlMs);
  if (!record.ok) return record;
  const { verdict, blocks, effect, interval } = compare(record.value, settings, { ...settings, [key]: to });
  const figures = `${effect?.toFixed(0) ?? "?"}, ${interval.low.toFixed(0)} to ${interval.high.toFixed(0)}`;
  const note = `${verdict} in ${blocks} simulated stretches of the record: loss of a task in ms ${figures}`;
  const simulated = addStep({ ...trial, verdict, baseline: baseline.value }, "simulated", at, note);
  if (verdict !== "better") return saveTrial(stored, move(simulated, "decided", at, verdict));
  return deploy(stored, simulated, at);
}

/** Any token that writes the state can store a trial: only such a value is set or brought back. */
function isWithinBounds({ key, from, to }: WorkspaceTrial): boolean {
  const parameter = findParameter(key);
  return parameter?.scope === "workspace" && refusalOfStep(parameter, from, to) === null;
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
    return endTrial(stored, { ...trial, violation }, at, `${guardrail}: ${note}`);
  }
  if (ageMs < weekMs) return ok(trial);
  return saveTrial(stored, move(trial, "kept", at, "a week without a violation"));
}

/** [EX92] [EX93] Ends it from any state; a value in force is taken back by the same call. */
export async function endTrial(stored: StoredTrials, trial: WorkspaceTrial, at: number, note: string): Moved {
  const ended = end(trial, at, note);
  if (!isInForce(trial)) return saveTrial(stored, ended);
  if (isWithinBounds(trial)) return setValue(stored, trial, ended, at);
  return err({ code: "out_of_range", message: `${trial.id} is no trial that SHIM makes: its value stays.` });
}

/** [EX92] One transaction of the coordinator has the value and the trial. */
async function setValue(stored: StoredTrials, before: WorkspaceTrial, after: WorkspaceTrial, at: number): Moved {
  const { link, version: ifVersion, all } = stored;
  const { id, key, steps, state } = after;
  const isBack = state === "rolled_back";
  const [value, expected] = isBack ? [after.from, after.to] : [after.to, after.from];
  const change = {
    settings: { [key]: value },
    ifSettings: { [key]: expected },
    reason: `experiment ${id}, ${state}: ${steps.at(-1)?.note ?? ""}`.slice(0, 500),
  };
  const written = { op: "set", key: trialsKey, value: withTrial(all, after) as Json, ifVersion } as const;
  const done = await link.call("settings.set", { ...change, writes: [written] });
  if (done.ok) return ok(after);
  if (done.error.code === "version_mismatch") return leaveValue(stored, before, expected, at);
  if (done.error.code !== "quota_exceeded" || !isBack) return done;
  // Without room for the trial the value comes back alone; a later review finds it changed.
  const unchanged = { op: "check", key: trialsKey, ifVersion } as const;
  const alone = await link.call("settings.set", { ...change, writes: [unchanged] });
  return alone.ok ? ok(after) : alone;
}

/** A value that a person has set meanwhile stays. */
async function leaveValue(stored: StoredTrials, trial: WorkspaceTrial, expected: number, at: number): Moved {
  const found = await stored.link.call("settings.get", {});
  if (!found.ok) return found;
  const stopped = stoppedByOther(found.value.settings, { ...trial, violation: null }, { expected, at });
  if (stopped) return saveTrial(stored, stopped);
  return err({ code: "version_mismatch", message: "another machine has just moved this trial." });
}

/** The trial's end where its setting has another value than expected; null: it has not. */
function stoppedByOther(
  settings: Settings,
  trial: WorkspaceTrial,
  { expected, at }: { readonly expected: number; readonly at: number },
): WorkspaceTrial | null {
  const present = Number(settings[trial.key as keyof Settings]);
  if (present === expected) return null;
  return move(trial, "stopped", at, `${trial.key} is ${present} meanwhile, and stays`);
}
