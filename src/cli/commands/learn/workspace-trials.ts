import type { Json } from "../../../contract/json.ts";
import { trialsKey, WorkspaceTrials, type WorkspaceTrial } from "../../../contract/workspace-trials.ts";
import type { Settings } from "../../../contract/workspaces.ts";
import { isWithinBounds, moveTrial, withTrial } from "../../../experiments/workspace/trial.ts";
import { ok } from "../../../shared/result.ts";
import { failed, type CliResult } from "../../answer.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

export type TrialLink = Pick<Workspace, "call" | "machine">;

export interface StoredTrials {
  /** 0: none is stored. */
  readonly version: number;
  /** Time since the last change, by the coordinator's clock. */
  readonly ageMs: number;
  readonly all: WorkspaceTrials;
}

export async function readTrials(link: TrialLink): Promise<CliResult<StoredTrials>> {
  const found = await link.call("state.get", { key: trialsKey });
  if (!found.ok) return found;
  const { entry } = found.value;
  if (entry === null) return ok({ version: 0, ageMs: 0, all: { offSince: null, trials: [] } });
  const { version, ageMs } = entry;
  const parsed = WorkspaceTrials.safeParse(entry.value);
  if (parsed.success) return ok({ version, ageMs, all: parsed.data });
  return failed(
    "trials_unreadable",
    `the key ${trialsKey} of the state does not hold trials. \`shim team state delete ${trialsKey}\` removes it.`,
  );
}

/** Refused with `version_mismatch` where another machine was first: nothing was written. */
export async function saveTrials(
  link: TrialLink,
  { version: ifVersion }: StoredTrials,
  all: WorkspaceTrials,
): Promise<CliResult<{ readonly version: number }>> {
  return link.call("state.set", { key: trialsKey, value: all as Json, ifVersion });
}

export async function saveTrial(
  link: TrialLink,
  stored: StoredTrials,
  trial: WorkspaceTrial,
): Promise<CliResult<WorkspaceTrial>> {
  const saved = await saveTrials(link, stored, withTrial(stored.all, trial));
  return saved.ok ? ok(trial) : saved;
}

interface Moving {
  readonly at: number;
  readonly note: string;
  readonly violation?: NonNullable<WorkspaceTrial["violation"]>;
}

/** [EX92] Where the value is `from` no longer, the trial ends without it. */
export async function deploy(
  link: TrialLink,
  stored: StoredTrials,
  trial: WorkspaceTrial,
  { at, note }: Moving,
): Promise<CliResult<WorkspaceTrial>> {
  const { from, to } = trial;
  const done = await setValue(link, stored, moveTrial(trial, "deployed", at, note), { value: to, expected: from });
  return isMismatch(done) ? leaveValue(link, stored, trial, { expected: from, at }) : done;
}

/** [EX92] [EX93] Ends it from any state; a value in force is taken back by the same call. */
export async function endTrial(
  link: TrialLink,
  stored: StoredTrials,
  trial: WorkspaceTrial,
  { at, note, violation }: Moving,
): Promise<CliResult<WorkspaceTrial>> {
  const { state, from, to, id } = trial;
  if (state === "proposed") return saveTrial(link, stored, moveTrial(trial, "stopped", at, note));
  if (!isWithinBounds(trial)) return failed("out_of_range", `${id} is no trial that SHIM makes: its value stays.`);
  const back = { ...moveTrial(trial, "rolled_back", at, note), violation: violation ?? null };
  const done = await setValue(link, stored, back, { value: from, expected: to });
  return isMismatch(done) ? leaveValue(link, stored, trial, { expected: to, at }) : done;
}

function isMismatch(done: CliResult<unknown>): boolean {
  return !done.ok && done.error.code === "version_mismatch";
}

interface NewValue {
  readonly value: number;
  readonly expected: number;
}

/** One transaction of the coordinator has the value and the trial. */
async function setValue(
  link: TrialLink,
  stored: StoredTrials,
  trial: WorkspaceTrial,
  { value, expected }: NewValue,
): Promise<CliResult<WorkspaceTrial>> {
  const { id, key, steps, state } = trial;
  const change = {
    settings: { [key]: value },
    ifSettings: { [key]: expected },
    reason: `experiment ${id}, ${state}: ${steps.at(-1)?.note ?? ""}`.slice(0, 500),
  };
  const all = withTrial(stored.all, trial);
  const write = { op: "set", key: trialsKey, value: all as Json, ifVersion: stored.version } as const;
  const done = await link.call("settings.set", { ...change, writes: [write] });
  if (done.ok) return ok(trial);
  if (done.error.code === "bad_input")
    return failed("coordinator_older", "the coordinator is older than this SHIM. Update it first: `npm run deploy`.");
  if (done.error.code !== "quota_exceeded" || state !== "rolled_back") return done;
  // Without room for the trial the value comes back alone; a later review finds it changed.
  const unchanged = { op: "check", key: trialsKey, ifVersion: stored.version } as const;
  const alone = await link.call("settings.set", { ...change, writes: [unchanged] });
  return alone.ok ? ok(trial) : alone;
}

/** A value that a person has set meanwhile stays. */
async function leaveValue(
  link: TrialLink,
  stored: StoredTrials,
  trial: WorkspaceTrial,
  { expected, at }: { readonly expected: number; readonly at: number },
): Promise<CliResult<WorkspaceTrial>> {
  const found = await link.call("settings.get", {});
  if (!found.ok) return found;
  const present = presentValue(found.value.settings, trial);
  if (present === expected) return failed("version_mismatch", "another machine has just moved this trial.");
  return saveTrial(link, stored, stopChanged(trial, present, at));
}

export function presentValue(settings: Settings, { key }: Pick<WorkspaceTrial, "key">): number {
  return Number(settings[key as keyof Settings]);
}

export function stopChanged(trial: WorkspaceTrial, present: number, at: number): WorkspaceTrial {
  return moveTrial(trial, "stopped", at, `${trial.key} is ${present} meanwhile, and stays`);
}
