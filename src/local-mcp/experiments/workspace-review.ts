import type { KaizenSetting } from "../../contract/config.ts";
import type { Finding } from "../../contract/machine/learning.ts";
import type { CheckedMachineInput } from "../../contract/machine/operations.ts";
import type { WorkspaceTrial } from "../../contract/trials.ts";
import { guardrailWords } from "../../experiments/guardrails.ts";
import { findParameter } from "../../experiments/parameters.ts";
import { candidates, isRunning, wordsOf } from "../../experiments/trials.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { ok } from "../../shared/result.ts";
import * as meta from "../../store/meta.ts";
import * as totals from "../../store/metric-totals.ts";
import * as notices from "../../store/notices.ts";
import { record } from "../audit/machine-audit.ts";
import { offSince } from "./machine-trials.ts";
import { newTrial, readTrials, simulateValue, watchValue, type Compare, type Position } from "./workspace-trials.ts";
import type { TrialLink } from "./workspace-history.ts";

export interface WorkspaceReviewOptions {
  readonly mode: KaizenSetting;
  readonly findings: readonly Finding[];
  readonly isDryRun: boolean;
  readonly compare: Compare;
  /** Does {@link noteReview} where the store is written. */
  readonly note: (done: ReviewNote) => unknown;
}

/** In the workspace. */
export type ReviewNote = NonNullable<CheckedMachineInput<"review.store">["workspace"]>;

export function noteReview(runtime: Runtime, { machine, trials, moved }: ReviewNote): void {
  if (moved)
    record(runtime, {
      kind: "experiment.moved",
      session: null,
      experiment: moved.id,
      by: "kaizen",
      result: moved.state,
    });
  const stopped = trials.filter((one) => one.violation?.machine === machine && reasonOf(one) !== null);
  if (stopped.length > 0) announceStops(runtime, stopped);
}

const stopsKey = "workspace_stops";
const maxIds = 100;

/**
 * [EX94] Trials of the workspace that this machine's review has taken back: each is counted and
 * shown once, also where the process that did it died before.
 */
function announceStops(runtime: Runtime, stopped: readonly WorkspaceTrial[]): void {
  runtime.store.write((sql) => {
    const known = (meta.read(sql, stopsKey) ?? "").split(" ");
    const fresh = stopped.filter(({ id }) => !known.includes(id));
    for (const one of fresh) {
      const { id, key, from, to } = one;
      totals.add(sql, "shim_experiment_stops_total", { labels: ["deployed"] });
      totals.add(sql, "shim_experiment_rollbacks_total");
      const text = `experiment ${id} of the workspace was stopped (${reasonOf(one) ?? ""}): ${key} is ${from} again, not ${to}.`;
      notices.add(sql, runtime.now(), "experiment", text);
    }
    if (fresh.length > 0) meta.write(sql, stopsKey, [...known, ...fresh.map(({ id }) => id)].slice(-maxIds).join(" "));
  });
}

/** Chats read it: no text of the state, where other machines write. */
function reasonOf({ key, violation }: WorkspaceTrial): string | null {
  const words = Object.entries(guardrailWords).find(([name]) => name === violation?.guardrail);
  return findParameter(key) && words ? words[1] : null;
}

/** Key of the state that one machine of the workspace gets for the day. */
const claimKey = "shim/kaizen/review";
/** A review that died is repeated after this time. */
const claimMs = 900_000;
/** Less than a day: the machine that did it comes again a day later. */
const doneMs = 82_800_000;

/**
 * [EX90] The part of the daily review that one machine does for the workspace.
 *
 * @returns a sentence: what was done or would be
 */
export async function reviewWorkspace(
  runtime: Runtime,
  link: TrialLink,
  { isDryRun, findings, mode, compare, note }: WorkspaceReviewOptions,
): Promise<HostResult<string>> {
  const read = await readPosition(runtime, link);
  if (!read.ok) return read;
  const position = read.value;
  const { machine } = link;
  if (!isDryRun) await note({ machine, trials: [...position.stored.all.trials], moved: null });
  const plan = planReview(position, findings);
  if (typeof plan === "string") return ok(plan);
  const obstacle = await findObstacle(link, mode);
  if (!obstacle.ok) return obstacle;
  if (obstacle.value !== null) return ok(`${planText(plan)} ${obstacle.value}`);
  if (isDryRun) return ok(planText(plan));
  const done = await claimed(link, () => step(position, plan, { compare, note }));
  return done.ok ? ok(done.value ?? "The review of today is done, or under way.") : done;
}

async function readPosition(runtime: Runtime, link: TrialLink): Promise<HostResult<Position>> {
  const stored = await readTrials(link);
  if (!stored.ok) return stored;
  const found = await link.call("settings.get", {});
  return found.ok ? ok({ runtime, stored: stored.value, settings: found.value.settings }) : found;
}

/** The trial that runs, or the next one, which is not stored yet; a text: why there is none. */
function planReview({ runtime, stored }: Position, findings: readonly Finding[]): WorkspaceTrial | string {
  const { all } = stored;
  const trial = all.trials.find(isRunning);
  const isOff = all.offSince !== null || runtime.store.read(offSince, null) !== null;
  if (isOff && trial?.state !== "deployed") return "Trials are switched off.";
  if (trial) return trial;
  const [next] = candidates(findings, all.trials, "workspace", runtime.now());
  return next ? newTrial(runtime, { ...next, key: next.parameter.key }) : "Nothing to try.";
}

/** Why this machine changes nothing; null: it may. */
async function findObstacle(link: TrialLink, mode: KaizenSetting): Promise<HostResult<string | null>> {
  if (mode !== "apply") return ok("`shim config set kaizen apply` does it.");
  const audit = await link.call("audit.list", { limit: 1 });
  if (audit.ok) return ok(null);
  if (audit.error.code !== "forbidden") return audit;
  return ok("Changing settings needs the admin token; this machine has none.");
}

function planText({ id, state, key, to }: WorkspaceTrial): string {
  if (state === "deployed") return `Would watch ${key} = ${to} (${id}).`;
  return `Would simulate ${key} = ${to}, and set it if it is better.`;
}

/**
 * A claim only spares the others the work: the conditions of each write keep the trial whole, also
 * where the state has no room for a claim.
 *
 * @returns null where another machine has the day
 */
async function claimed<T>(link: TrialLink, work: () => Promise<HostResult<T>>): Promise<HostResult<T | null>> {
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
async function step(
  position: Position,
  trial: WorkspaceTrial,
  { compare, note }: Pick<WorkspaceReviewOptions, "compare" | "note">,
): Promise<HostResult<string>> {
  const moved = await (trial.state === "deployed"
    ? watchValue(position, trial)
    : simulateValue(position, trial, compare));
  if (!moved.ok) return moved;
  const { id, state, key, to, steps } = moved.value;
  const { link, all } = position.stored;
  const isMoved = state !== all.trials.find((one) => one.id === id)?.state;
  await note({ machine: link.machine, trials: [moved.value], moved: isMoved ? { id, state } : null });
  const last = steps.at(-1);
  return ok(`${id}: ${key} = ${to}, ${wordsOf(last?.state ?? "")} (${last?.note ?? ""}).`);
}
