import type { Json } from "../../contract/json.ts";
import { trialsKey, WorkspaceTrials, type WorkspaceTrial } from "../../contract/workspace-trials.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { isWithinBounds, moveTrial, withTrial } from "../../experiments/workspace/trial.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { err, ok } from "../../shared/result.ts";
import type { TrialLink } from "./workspace-history.ts";

/** Trials as they were read: each write has their version as its condition. */
export interface StoredTrials {
  readonly link: TrialLink;
  /** 0: none is stored. */
  readonly version: number;
  /** Time since the last change, by the coordinator's clock. */
  readonly ageMs: number;
  readonly all: WorkspaceTrials;
}

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

const maxRounds = 5;

/** [EX95] Repeats where another machine has changed the trials meanwhile. */
export async function onTrials<T>(
  link: TrialLink,
  body: (stored: StoredTrials) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  for (let round = 1; ; round += 1) {
    const stored = await readTrials(link);
    const done = stored.ok ? await body(stored.value) : stored;
    if (!isMismatch(done) || round === maxRounds) return done;
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

export async function saveTrial(stored: StoredTrials, trial: WorkspaceTrial): Promise<HostResult<WorkspaceTrial>> {
  const saved = await saveTrials(stored, withTrial(stored.all, trial));
  return saved.ok ? ok(trial) : saved;
}

interface Reason {
  readonly at: number;
  readonly note: string;
  readonly violation?: NonNullable<WorkspaceTrial["violation"]>;
}

/** [EX92] Where the value is `from` no longer, the trial ends without it. */
export async function deploy(
  stored: StoredTrials,
  trial: WorkspaceTrial,
  { at, note }: Reason,
): Promise<HostResult<WorkspaceTrial>> {
  return setValue(stored, trial, moveTrial(trial, "deployed", at, note), at);
}

/** [EX92] [EX93] Ends it from any state; a value in force is taken back by the same call. */
export async function endTrial(
  stored: StoredTrials,
  trial: WorkspaceTrial,
  { at, note, violation }: Reason,
): Promise<HostResult<WorkspaceTrial>> {
  if (trial.state === "proposed") return saveTrial(stored, moveTrial(trial, "stopped", at, note));
  if (!isWithinBounds(trial))
    return err({ code: "out_of_range", message: `${trial.id} is no trial that SHIM makes: its value stays.` });
  return setValue(stored, trial, { ...moveTrial(trial, "rolled_back", at, note), violation: violation ?? null }, at);
}

function isMismatch(done: HostResult<unknown>): boolean {
  return !done.ok && done.error.code === "version_mismatch";
}

/** One transaction of the coordinator has the value and the trial. */
async function setValue(
  stored: StoredTrials,
  before: WorkspaceTrial,
  after: WorkspaceTrial,
  at: number,
): Promise<HostResult<WorkspaceTrial>> {
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
  if (done.error.code === "bad_input")
    return err({
      code: "coordinator_older",
      message: "the coordinator is older than this SHIM. Update it first: `npm run deploy`.",
    });
  if (done.error.code !== "quota_exceeded" || !isBack) return done;
  // Without room for the trial the value comes back alone; a later review finds it changed.
  const unchanged = { op: "check", key: trialsKey, ifVersion } as const;
  const alone = await link.call("settings.set", { ...change, writes: [unchanged] });
  return alone.ok ? ok(after) : alone;
}

/** A value that a person has set meanwhile stays. */
async function leaveValue(
  stored: StoredTrials,
  trial: WorkspaceTrial,
  expected: number,
  at: number,
): Promise<HostResult<WorkspaceTrial>> {
  const found = await stored.link.call("settings.get", {});
  if (!found.ok) return found;
  const stopped = stoppedByOther(found.value.settings, trial, { expected, at });
  if (stopped) return saveTrial(stored, stopped);
  return err({ code: "version_mismatch", message: "another machine has just moved this trial." });
}

/** The trial's end where its setting has another value than expected; null: it has not. */
export function stoppedByOther(
  settings: Settings,
  trial: WorkspaceTrial,
  { expected, at }: { readonly expected: number; readonly at: number },
): WorkspaceTrial | null {
  const present = Number(settings[trial.key as keyof Settings]);
  if (present === expected) return null;
  return moveTrial(trial, "stopped", at, `${trial.key} is ${present} meanwhile, and stays`);
}
