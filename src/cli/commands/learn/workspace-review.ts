import type { KaizenSetting } from "../../../contract/config.ts";
import type { WorkspaceTrial } from "../../../contract/workspace-trials.ts";
import type { Finding } from "../../../experiments/opportunities/finding.ts";
import { nextCandidate, runningTrial, type TrialCandidate } from "../../../experiments/workspace/trial.ts";
import { record as recordAction } from "../../../local-mcp/audit/machine-audit.ts";
import * as rows from "../../../local-mcp/experiments/experiment-rows.ts";
import { announceStops } from "../../../local-mcp/experiments/workspace-stops.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { failed, type CliResult } from "../../answer.ts";
import { proposeValue, simulateValue, watchValue, type Compare, type Position } from "./workspace-steps.ts";
import { readTrials, type TrialLink } from "./workspace-trials.ts";

export interface WorkspaceReviewOptions {
  readonly mode: KaizenSetting;
  readonly findings: readonly Finding[];
  readonly isDryRun: boolean;
  readonly compare: Compare;
}

export interface WorkspaceReview {
  readonly candidate: TrialCandidate | null;
  /** The one that runs, or that this review has moved. */
  readonly trial: WorkspaceTrial | null;
  /** Sentence: what was done or would be. */
  readonly note: string;
}

/** Key of the state that one machine of the workspace gets for the day. */
const claimKey = "shim/kaizen/review";
/** A review that died is repeated after this time. */
const claimMs = 900_000;
/** Less than a day: the machine that did it comes again a day later. */
const doneMs = 82_800_000;

/** [EX90] The part of the daily review that one machine does for the workspace. */
export async function reviewWorkspace(
  runtime: Runtime,
  link: TrialLink,
  options: WorkspaceReviewOptions,
): Promise<CliResult<WorkspaceReview>> {
  const { isDryRun, findings, compare } = options;
  const read = await readPosition(runtime, link);
  if (!read.ok) return read;
  const at = read.value;
  if (!isDryRun) announceStops(runtime, link.machine, at.stored.all.trials);
  const plan = planReview(at, findings);
  if (typeof plan === "string") return ok({ candidate: null, trial: null, note: plan });
  const obstacle = await findObstacle(link, options);
  if (!obstacle.ok) return obstacle;
  if (obstacle.value !== null) return ok({ ...plan, note: `${planText(plan)} ${obstacle.value}` });
  if (isDryRun) return ok({ ...plan, note: planText(plan) });
  const done = await claimed(link, () => step(at, plan, compare));
  if (!done.ok) return done;
  return ok(done.value ?? { ...plan, note: "The review of today is done, or under way." });
}

async function readPosition(runtime: Runtime, link: TrialLink): Promise<CliResult<Position>> {
  const stored = await readTrials(link);
  if (!stored.ok) return stored;
  const found = await link.call("settings.get", {});
  return found.ok ? ok({ runtime, link, stored: stored.value, settings: found.value.settings }) : found;
}

type Plan = Pick<WorkspaceReview, "candidate" | "trial">;

/** @returns why there is none */
function planReview({ runtime, stored, settings }: Position, findings: readonly Finding[]): Plan | string {
  const { all } = stored;
  const trial = runningTrial(all);
  const isOff = all.offSince !== null || runtime.store.read(rows.offSince, null) !== null;
  if (isOff && trial?.state !== "deployed") return "Trials are switched off.";
  if (trial) return { trial, candidate: null };
  const candidate = nextCandidate(findings, settings, all, runtime.now());
  return candidate ? { trial: null, candidate } : "Nothing to try.";
}

/** Why this machine changes nothing; null: it may. */
async function findObstacle(link: TrialLink, { mode }: WorkspaceReviewOptions): Promise<CliResult<string | null>> {
  if (mode !== "apply") return ok("`shim config set kaizen apply` does it.");
  const audit = await link.call("audit.list", { limit: 1 });
  if (audit.ok) return ok(null);
  if (audit.error.code !== "forbidden") return audit;
  return ok("Changing settings needs the admin token; this machine has none.");
}

function planText({ candidate, trial }: Plan): string {
  if (trial?.state === "deployed") return `Would watch ${trial.key} = ${trial.to} (${trial.id}).`;
  const next = trial ?? candidate;
  return next ? `Would simulate ${next.key} = ${next.to}, and set it if it is better.` : "";
}

/**
 * A claim only spares the others the work: the conditions of each write keep the trial whole, also
 * where the state has no room for a claim.
 *
 * @returns null where another machine has the day
 */
async function claimed<T>(link: TrialLink, work: () => Promise<CliResult<T>>): Promise<CliResult<T | null>> {
  const value = { machine: link.machine };
  const claim = await link.call("state.set", { key: claimKey, value, ifVersion: 0, ttlMs: claimMs });
  if (!claim.ok && claim.error.code === "version_mismatch") return ok(null);
  if (!claim.ok && claim.error.code !== "quota_exceeded") return claim;
  const done = await work();
  if (done.ok && claim.ok)
    await link.call("state.set", { key: claimKey, value, ifVersion: claim.value.version, ttlMs: doneMs });
  return done;
}

/** One move of the trial that runs, or of a new one. */
async function step(at: Position, { candidate, trial }: Plan, compare: Compare): Promise<CliResult<WorkspaceReview>> {
  const { runtime, link } = at;
  const moved = await moveOn(at, { candidate, trial }, compare);
  if (!moved.ok) return moved;
  const { id, state, key, to, steps } = moved.value;
  if (state !== trial?.state)
    recordAction(runtime, { kind: "experiment.moved", session: null, experiment: id, by: "kaizen", result: state });
  announceStops(runtime, link.machine, [moved.value]);
  const last = steps.at(-1);
  const note = `${id}: ${key} = ${to}, ${last?.state.replace("_", " ") ?? ""} (${last?.note ?? ""}).`;
  return ok({ candidate, trial: moved.value, note });
}

async function moveOn(at: Position, { candidate, trial }: Plan, compare: Compare): Promise<CliResult<WorkspaceTrial>> {
  if (trial) return trial.state === "deployed" ? watchValue(at, trial) : simulateValue(at, trial, compare);
  if (!candidate) return failed("nothing_to_try", "there is nothing to try.");
  const proposed = await proposeValue(at, candidate);
  return proposed.ok
    ? simulateValue({ ...at, stored: proposed.value.stored }, proposed.value.trial, compare)
    : proposed;
}
