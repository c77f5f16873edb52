import type { ExperimentProvider } from "../../contract/config.ts";
import { pastOf, planCanary, startCanaryState, type CanaryPlan, type Past } from "../../experiments/engine/canary.ts";
import {
  isRunning,
  move,
  propose,
  revert,
  startCanary,
  stop,
  withReplay,
  type Experiment,
  type ReplayEvidence,
} from "../../experiments/engine/experiment.ts";
import { findParameter, parameters, refusalText, type Parameter } from "../../experiments/parameters.ts";
import { workspaceParameters } from "../../experiments/queue/workspace-parameters.ts";
import { editConfig, isConfigured } from "../../installer/edit-config.ts";
import { readConfig } from "../../platform/config-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";
import * as audit from "../audit/machine-audit.ts";
import { advance, startWatch } from "./advance.ts";
import * as rows from "./experiment-rows.ts";
import { untreatedBefore } from "./units.ts";

export interface NewExperiment {
  readonly key: string;
  readonly to: number;
  readonly reason: string;
  /** Absent (null) where live sessions decide, or a person tries it. */
  readonly replay: { readonly evidence: ReplayEvidence; readonly note: string } | null;
}

/** Shares, and numbers of sessions and days, of a canary. */
const canary = { share: 0.5, watchUnits: 200, maxDays: 28 };

/** Source of a decision; absent: it is no decision of its own, and the audit log has no entry. */
export type By = audit.MachineAction["by"];

/** [EX58] Part of the transaction of what it is about. */
function log(sql: Sql, at: number, by: By | undefined, kind: audit.MachineAction["kind"], after?: Experiment): void {
  if (by === undefined) return;
  const isLeft = after?.state === "rolling_back";
  const result = after && (isLeft || kind === "experiment.moved") ? after.state : "done";
  audit.enqueue(sql, at, { kind, session: null, by, result, ...(after ? { experiment: after.id } : {}) });
}

/** [EX54] [EX291] One transaction: stored with its first value in force, or refused. */
export function start(runtime: Runtime, given: NewExperiment, by?: By): HostResult<Experiment> {
  const { key, to } = given;
  const config = readConfig(runtime.paths.config);
  if (!config.ok) return err({ code: "config_invalid", message: `${config.error}\nCorrect the file first.` });
  const parameter = findParameter(key);
  if (!parameter) return err({ code: "bad_input", message: unknownText(key) });
  const from = Number(settingAt(config.value, key));
  const refusal = refusalText(parameter, from, to);
  if (refusal !== null) return err({ code: "bad_input", message: refusal });
  if (parameter.method === "person")
    return err({
      code: "by_person",
      message: `no trial can judge ${key}: change it with \`shim config set ${key} <value>\`.`,
    });
  return runtime.store.write((sql) => {
    if (rows.offSince(sql) !== null) return err(switchedOff);
    const busy = rows.list(sql).find(({ experiment }) => isBusyWith(experiment, parameter));
    if (busy)
      return err({
        code: "busy",
        message: `${busy.experiment.id} runs on a setting of the same group. Stop it first.`,
      });
    const experiment = begin(sql, runtime, parameter, { ...given, from, provider: config.value.experiments.provider });
    const reason = isRunning(experiment) ? shortageOf(sql, runtime.now(), parameter) : null;
    if (reason !== null) return err({ code: "cannot_end", message: endlessText(reason, parameter, to) });
    rows.save(sql, experiment, null);
    log(sql, runtime.now(), by, "experiment.started", experiment);
    return ok(experiment);
  });
}

export const switchedOff = {
  code: "switched_off",
  message: "experiments are switched off. `shim learn experiments allow` lets them start again.",
} as const;

function unknownText(key: string): string {
  const known = [...parameters, ...workspaceParameters].map((one) => `  ${one.key}`).join("\n");
  return `"${key.slice(0, 60)}" is never changed by experiments. These are:\n${known}`;
}

/** [EX291] */
function endlessText(reason: string, { key, method }: Parameter, to: number): string {
  const replayed = `\`shim learn replay --set ${key}=${to}\` compares it on the recorded sessions; `;
  const instead = method === "replay" ? replayed : "";
  return `it could not end here, so nothing was started: ${reason}.\n${instead}\`shim config set ${key} ${to}\` sets it without a trial.`;
}

/** [EX51] At most one experiment of a group: two would change each other's outcomes. */
function isBusyWith(experiment: Experiment, { group }: Parameter): boolean {
  return isRunning(experiment) && findParameter(experiment.key)?.group === group;
}

interface Beginning extends NewExperiment {
  readonly from: number;
  readonly provider: ExperimentProvider;
}

function begin(sql: Sql, runtime: Runtime, parameter: Parameter, given: Beginning): Experiment {
  const at = runtime.now();
  const hex = (bytes: number): string => Buffer.from(runtime.random(bytes)).toString("hex");
  const { key, from, to, reason, replay } = given;
  const isSet = isConfigured(runtime.paths.config, key);
  const service = given.provider === "local" ? {} : { provider: given.provider };
  const proposed = propose({ at, id: `exp_${hex(4)}`, key, from, to, isSet, reason, salt: hex(8), ...service });
  const replayed = replay ? withReplay(proposed, at, replay.evidence, replay.note) : proposed;
  if (!isRunning(replayed)) return replayed;
  const past = pastOf(untreatedBefore(sql, at, replayed.id));
  const plan = planFor(parameter, past);
  return startCanary(replayed, at, plan, startCanaryState(plan));
}

function planFor({ method }: Parameter, past: Past): CanaryPlan {
  const isLive = method === "live";
  return planCanary({ ...canary, isLive, past, share: isLive ? 1 : canary.share });
}

/** [EX174] Why its canary could not have its units in its days on this machine; null: it could. */
export function whyNoEnd({ store, now }: Runtime, parameter: Parameter): string | null {
  return store.read((sql) => shortageOf(sql, now(), parameter), null);
}

function shortageOf(sql: Sql, now: number, parameter: Parameter): string | null {
  const { units, share, primary, maxDays } = planFor(parameter, {});
  const counted = primary === null ? chatsSql : briefsSql;
  const had = sql.all<{ n: number }>(counted, now - maxDays * 86_400_000)[0]?.n ?? 0;
  const needed = Math.ceil(units / share);
  const unit = primary === null ? "new chats" : "new chats that are given a brief";
  if (had >= needed) return null;
  return `its trial needs ${needed} ${unit} in ${maxDays} days, and this machine had ${had} in the last ${maxDays}`;
}

const chatsSql = "SELECT count(*) AS n FROM sessions WHERE startedAt >= ?";
const briefsSql = `SELECT count(DISTINCT r.bySession) AS n FROM recoveries r JOIN sessions s ON s.id = r.bySession
  WHERE s.startedAt >= ? AND r.action = 'offered' AND json_extract(r.detail, '$.rediscovery') IS NOT NULL`;

/** [EX58] Moves each running experiment one step on. @returns those that changed their state */
export function advanceAll(runtime: Runtime): Experiment[] {
  const running = runtime.store.read((sql) => rows.list(sql), []).filter(({ experiment }) => isRunning(experiment));
  const changed = running.flatMap(({ experiment: { id } }) => {
    const moved = change(runtime, id, (sql, before) => {
      const after = advance(sql, runtime.now(), before);
      if (after.state !== before.state) log(sql, runtime.now(), "kaizen", "experiment.moved", after);
      return after;
    });
    const settled = moved && settle(runtime, moved.after, "kaizen");
    return settled && settled.state !== moved.before.state ? [settled] : [];
  });
  audit.flush(runtime);
  return changed;
}

interface Change {
  readonly before: Experiment;
  readonly after: Experiment;
}

function change(runtime: Runtime, id: string, next: (sql: Sql, before: Experiment) => Experiment): Change | null {
  return runtime.store.write((sql) => {
    const stored = rows.get(sql, id);
    if (!stored) return null;
    const after = next(sql, stored.experiment);
    if (after !== stored.experiment) rows.save(sql, after, stored.revision);
    return { before: stored.experiment, after };
  });
}

/**
 * [EX57] Writes the file that a state waits for, then leaves that state. A process that dies in
 * between leaves it to the next; meanwhile the stored experiment puts its value in force.
 */
function settle(runtime: Runtime, experiment: Experiment, by?: By): Experiment {
  const { id, key, from, to, isSet, state } = experiment;
  if (state !== "deploying" && state !== "rolling_back") return experiment;
  const isBack = state === "rolling_back";
  const written = isBack
    ? writeValue(runtime, key, { value: isSet ? from : undefined, expected: to })
    : writeValue(runtime, key, { value: to, expected: from });
  if (!written.ok) {
    runtime.log("error", "the value of an experiment could not be written", { id, key, reason: written.error });
    return experiment;
  }
  const settled = change(runtime, id, (sql, before) => {
    if (before.state !== state) return before;
    const at = runtime.now();
    if (isBack) totals.add(sql, "shim_experiment_rollbacks_total");
    const after = isBack ? move(before, "rolled_back", at, written.value) : startWatch(sql, before, at, written.value);
    // One entry for a decision whose file is written at once.
    if (!audit.complete(sql, id, state, after.state)) log(sql, at, by, "experiment.moved", after);
    return after;
  });
  return settled?.after ?? experiment;
}

interface NewValue {
  /** Undefined: back to the default. */
  readonly value: number | undefined;
  readonly expected: number;
}

/** A value that a person has set meanwhile stays. */
function writeValue(runtime: Runtime, key: string, { value, expected }: NewValue): Result<string, string> {
  const { config: path } = runtime.paths;
  const read = readConfig(path);
  if (!read.ok) return read;
  const present = settingAt(read.value, key);
  if (present !== expected) return ok(`${key} is ${String(present)} in config.json and stays`);
  const edited = editConfig(path, key, value);
  return edited.ok ? ok(`${key} is ${String(settingAt(edited.value, key))} in config.json`) : edited;
}

/** [EX54] @returns null for an unknown experiment */
export function stopOne(runtime: Runtime, id: string, note: string, isRevert = false, by?: By): Experiment | null {
  const stopped = change(runtime, id, (sql, before) => {
    const after = (isRevert ? revert : stop)(before, runtime.now(), note);
    if (after !== before) log(sql, runtime.now(), by, isRevert ? "experiment.reverted" : "experiment.stopped", after);
    return after;
  });
  return stopped && settle(runtime, stopped.after, by);
}

/** [EX56] Stops all, and lets none start until `allow`. */
export function stopAll(runtime: Runtime, note: string, by?: By): Experiment[] {
  const now = runtime.now();
  const stopped = runtime.store.write((sql) => {
    rows.setOff(sql, now);
    const ended = rows.list(sql).flatMap(({ experiment, revision }) => {
      const after = stop(experiment, now, note);
      if (after !== experiment) rows.save(sql, after, revision);
      return isRunning(experiment) ? [after] : [];
    });
    for (const one of ended) log(sql, now, by, "experiment.stopped", one);
    log(sql, now, by, "experiments.off");
    return ended;
  });
  return stopped.map((experiment) => settle(runtime, experiment, by));
}

/** @returns false where they were allowed already */
export function allow(runtime: Runtime, by?: By): boolean {
  return runtime.store.write((sql) => {
    const isOff = rows.offSince(sql) !== null;
    if (isOff) log(sql, runtime.now(), by, "experiments.allowed");
    rows.setOff(sql, null);
    return isOff;
  });
}
