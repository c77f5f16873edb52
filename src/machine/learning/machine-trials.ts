import type { BetterValue, ExperimentView } from "../../contract/machine/learning.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import type { MachineTrial, NewTrial, TrialState } from "../../contract/learning.ts";
import {
  canary,
  guardrails,
  judgeCanary,
  nextReading,
  addStep,
  isRunning,
  move,
  refusalOf,
  viewOf,
  wasTried,
} from "../../learning/experiments/trials.ts";
import { findParameter, nextLower, parameters } from "../../learning/experiments/parameters.ts";
import { judgeVariants } from "../../learning/experiments/replay/replay.ts";
import { editConfig } from "../../installer/file-edits.ts";
import { readConfig } from "../../platform/config-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import * as totals from "../../store/metric-totals.ts";
import * as notices from "../../store/notices.ts";
import { experiments } from "../../store/session-tables.ts";
import * as audit from "../sessions/machine-audit.ts";
import { toUnit } from "../sessions/session-settings.ts";
import { runService, type SentUnit } from "./assignment-service.ts";
import { canaryUnits } from "./trial-units.ts";

const dayMs = 86_400_000;
const stored = experiments.pick("body");

/** Newest first. */
export function list(sql: Sql, limit = 200): MachineTrial[] {
  return stored.select(sql, "ORDER BY at DESC, id LIMIT ?", limit).map(({ body }) => body);
}

export function get(sql: Sql, id: string): MachineTrial | null {
  return stored.find(sql, { id })?.body ?? null;
}

/** Part of the caller's transaction. */
export function save(sql: Sql, trial: MachineTrial): void {
  const { id, state, steps } = trial;
  experiments.put(sql, { id, state, at: steps[0]?.at ?? 0, body: trial });
}

export function countByState(sql: Sql): ReadonlyMap<TrialState, number> {
  const rows = sql.all<{ state: TrialState; n: number }>("SELECT state, count(*) AS n FROM experiments GROUP BY state");
  return new Map(rows.map(({ state, n }) => [state, n]));
}

export function viewTrial({ store }: Pick<Runtime, "store">, trial: MachineTrial): ExperimentView {
  return viewOf(
    trial,
    store.read((sql) => sessionsOf(sql, trial), null),
  );
}

/** Sessions of a trial that had a canary, by arm. */
function sessionsOf(sql: Sql, { id, steps }: MachineTrial): ExperimentView["sessions"] {
  if (!steps.some(({ state }) => state === "canary")) return null;
  const [row] = sql.all<NonNullable<ExperimentView["sessions"]>>(
    `SELECT count(*) FILTER (WHERE arm = 'control') AS without, count(*) FILTER (WHERE arm = 'treatment') AS "with"
     FROM exposures WHERE experiment = ?`,
    id,
  );
  return row ?? null;
}

const switchKey = "experiments_off_since";

/** Epoch ms of the kill switch; null: it is not on. */
export function offSince(sql: Sql): number | null {
  const value = meta.read(sql, switchKey);
  return value === null || value === "" ? null : Number(value);
}

/** @param since null: trials may start again */
export function setOff(runtime: Runtime, since: number | null, by: By): void {
  runtime.store.write((sql) => {
    if (since !== null || offSince(sql) !== null)
      audit.append(sql, runtime.now(), {
        kind: since === null ? "experiments.allowed" : "experiments.off",
        session: null,
        by,
        result: "done",
      });
    meta.write(sql, switchKey, since === null ? "" : String(since));
  });
}

/** Source of a decision. */
export type By = audit.MachineAction["by"];

/** One transaction: stored with its first value in force, or refused. */
export function start(runtime: Runtime, given: NewTrial, by: By): Result<MachineTrial> {
  const { key, to, lessSafe } = given;
  const config = readConfig(runtime.paths.config);
  if (!config.ok) return fail("config_invalid", `${config.error}\nCorrect the file first.`);
  const parameter = findParameter(key);
  if (!parameter) return fail("bad_input", unknownText(key));
  const from = Number(settingAt(config.value, key));
  const { provider } = config.value.experiments;
  const service = provider === "local" ? {} : { provider };
  const started = runtime.store.write<Result<MachineTrial>>((sql) => {
    const refusal = refusalOf(parameter, { from, to, lessSafe }, { offSince: offSince(sql), trials: list(sql) });
    if (refusal !== null) return err(refusal);
    const trial = { ...begin(runtime, given, from), ...service };
    const shortage = shortageOf(sql, runtime.now());
    if (shortage !== null) return fail("cannot_end", endlessText(shortage, key, to));
    save(sql, trial);
    log(sql, runtime.now(), by, "experiment.started", trial);
    return ok(trial);
  });
  return started;
}

function unknownText(key: string): string {
  return `"${key.slice(0, 60)}" is never changed by experiments. These are:\n${parameters.map((one) => `  ${one.key}`).join("\n")}`;
}

function endlessText(shortage: string, key: string, to: number): string {
  return `it could not end here, so nothing was started: ${shortage}.\n\`shim config set ${key} ${to}\` sets it without a trial.`;
}

function begin(runtime: Runtime, given: NewTrial, from: number): MachineTrial {
  const at = runtime.now();
  const hex = (bytes: number): string => Buffer.from(runtime.random(bytes)).toString("hex");
  const { key, to, reason, better } = given;
  const { share, sessions, maxDays } = canary;
  const verdict = better === null ? null : ("better" as const);
  const common = { id: `exp_${hex(4)}`, key, from, to, reason, salt: hex(8), share, read: 0, verdict };
  const proposed = addStep({ ...common, state: "proposed", steps: [] }, "proposed", at, reason);
  const replayed = better === null ? proposed : addStep(proposed, "replayed", at, better);
  const names = ["sampleRatio", ...Object.keys(guardrails)].join(", ");
  const plan = `${Math.round(share * 100)} % of new sessions, half of them with the new value; at most ${sessions} of them and ${maxDays} days; guardrails: ${names}`;
  return move(replayed, "canary", at, plan);
}

/** Why its canary could not have its units in its days on this machine; null: it could. */
function shortageOf(sql: Sql, now: number): string | null {
  const { sessions, share, maxDays } = canary;
  const query = "SELECT count(*) AS n FROM sessions WHERE startedAt >= ?";
  const had = sql.all<{ n: number }>(query, now - maxDays * dayMs)[0]?.n ?? 0;
  const needed = Math.ceil(sessions / share);
  if (had >= needed) return null;
  return `its trial needs ${needed} new chats in ${maxDays} days, and this machine had ${had} in the last ${maxDays}`;
}

/** Moves each running trial one step on. @returns those that changed their state */
export function advanceAll(runtime: Runtime): MachineTrial[] {
  const running = runtime.store.read((sql) => list(sql), []).filter(isRunning);
  const moved = running.flatMap(({ id }) => {
    const done = change(runtime, id, "kaizen", "experiment.moved", (sql, before) =>
      advance(sql, runtime.now(), before),
    );
    if (done?.ok === false) runtime.log("error", "an experiment was not moved", { id, reason: done.error.message });
    return done?.ok === true && done.value.after.state !== done.value.before.state ? [done.value.after] : [];
  });
  return moved;
}

/** @returns null where nothing is left to end: unknown, or over */
export function endTrial(runtime: Runtime, id: string, note: string, by: By): MachineTrial | null {
  const done = change(runtime, id, by, "experiment.stopped", (_sql, before) =>
    isRunning(before) ? move(before, "stopped", runtime.now(), note) : before,
  );
  return done?.ok === true && done.value.after !== done.value.before ? done.value.after : null;
}

interface Change {
  readonly before: MachineTrial;
  readonly after: MachineTrial;
}

/**
 * One transaction. A value that was found better is written to the file before it is committed:
 * a process that dies in between leaves a step that is made again.
 */
function change(
  runtime: Runtime,
  id: string,
  by: By,
  kind: audit.MachineAction["kind"],
  next: (sql: Sql, before: MachineTrial) => MachineTrial,
): Result<Change> | null {
  return runtime.store.write<Result<Change> | null>((sql) => {
    const before = get(sql, id);
    if (!before) return null;
    let after = next(sql, before);
    if (after.state === "deployed" && before.state !== "deployed") {
      const written = writeValue(runtime, after);
      if (!written.ok) return written;
      after = withNote(after, written.value);
    }
    if (after !== before) save(sql, after);
    if (after.state !== before.state) log(sql, runtime.now(), by, kind, after);
    if (after.violated !== before.violated) announce(sql, runtime.now(), after);
    return ok({ before, after });
  });
}

function withNote(trial: MachineTrial, more: string): MachineTrial {
  const steps = trial.steps.map((step, index) =>
    index === trial.steps.length - 1 ? { ...step, note: `${step.note}; ${more}` } : step,
  );
  return { ...trial, steps };
}

/** A value that a person has set meanwhile stays. */
function writeValue({ paths: { config: path } }: Runtime, { key, from, to }: MachineTrial): Result<string> {
  const failed = (reason: string): Result<string> =>
    fail("config_invalid", `${reason}\nCorrect the file: until then ${key} stays as it is.`);
  const read = readConfig(path);
  if (!read.ok) return failed(read.error);
  const present = settingAt(read.value, key);
  if (present !== from) return ok(`${key} is ${String(present)} in config.json and stays`);
  const edited = editConfig(path, key, to);
  return edited.ok ? ok(`${key} is ${to} in config.json`) : failed(edited.error);
}

/** Part of the transaction of what it is about. */
function log(sql: Sql, at: number, by: By, kind: audit.MachineAction["kind"], trial: MachineTrial): void {
  const result = kind === "experiment.moved" ? trial.state : "done";
  audit.append(sql, at, { kind, session: null, by, result, experiment: trial.id });
}

/** One step of a running trial by the sessions that have ended since; the same one without any. */
function advance(sql: Sql, now: number, trial: MachineTrial): MachineTrial {
  if (trial.state !== "canary") return trial;
  const since = trial.steps.findLast(({ state }) => state === "canary")?.at ?? now;
  const days = Math.max(0, now - since) / dayMs;
  const units = canaryUnits(sql, now, trial.id);
  const isOver = days >= canary.maxDays || units.length >= canary.sessions;
  if (!isOver && units.length < nextReading(trial.read)) return trial;
  const verdict = judgeCanary(units, days);
  const read = { ...trial, read: units.length };
  const treated = units.filter(({ isTreated }) => isTreated).length;
  const sessions = `${units.length} sessions, ${treated} of them with the new value`;
  if (verdict === "running") return read;
  if (typeof verdict === "object") {
    const { violated } = verdict;
    return move({ ...read, violated }, "stopped", now, `${violated} after ${sessions}`);
  }
  if (verdict === "undecided") return move({ ...read, verdict }, "decided", now, `too few: ${sessions}`);
  if (trial.verdict === "better") return move(read, "deployed", now, `better in replay, and no harm in ${sessions}`);
  const note = `no harm in ${sessions}; no benefit was measured, so config.json stays as it is`;
  return move({ ...read, verdict: "undecided" }, "decided", now, note);
}

/** Reported and counted with the step that takes the value from all chats. */
function announce(sql: Sql, now: number, { id, key, from, to, steps }: MachineTrial): void {
  totals.add(sql, "shim_experiment_stops_total");
  const reason = steps.at(-1)?.note ?? "";
  notices.add(sql, now, "experiment", `experiment ${id} was stopped (${reason}): ${key} is ${from} again, not ${to}.`);
}

const maxReplayed = 500;

/**
 * The next step of each setting with which less may be lost, where replay finds it better than the
 * present value and no trial had it in the last 30 days. The largest gain first.
 *
 * @param recorded oldest first
 */
export function betterValues({ config, store, now }: Runtime, recorded: readonly ReplaySession[]): BetterValue[] {
  const trials = store.read((sql) => list(sql), []);
  const variants = parameters.flatMap((parameter) => {
    const { key } = parameter;
    const from = Number(settingAt(config, key));
    const value = nextLower(parameter, from);
    return value === null || wasTried({ key, to: value }, trials, now()) ? [] : [{ key, from, value }];
  });
  const better = judgeVariants(recorded.slice(-maxReplayed), config, variants).flatMap((one) => {
    const { key, from, value: to, verdict, difference, n } = one;
    if (verdict !== "better" || difference === null) return [];
    const note = `better in ${n} sessions: ${difference.toFixed(2)} tool calls lost elsewhere`;
    return [{ difference, value: { key, from, to, note } }];
  });
  return better.toSorted((a, b) => a.difference - b.difference).map(({ value }) => value);
}

/** A trial of the best of them, or why this machine cannot decide one; null: there is none. */
export function nextTrial({ store, now }: Runtime, [best]: readonly BetterValue[]): Result<NewTrial, string> | null {
  if (!best) return null;
  const { key, to, note } = best;
  const shortage = store.read((sql) => shortageOf(sql, now()), null);
  if (shortage !== null) return err(`\`${key}\` = ${to} is not tried yet: ${shortage}.`);
  return ok({ key, to, reason: "replay finds it better", better: note });
}

const sendMs = 20_000;

interface Due {
  readonly trial: MachineTrial;
  readonly units: readonly SentUnit[];
  /** Counted sessions, with those that are forgotten. */
  readonly until: number;
}

/**
 * Sends the configured service the sessions that its trials have counted since, with their
 * outcomes. Those of a sending with a problem are sent again by the next review.
 *
 * @param mark does {@link markSent} where the store is written
 */
export async function sendCounted(runtime: Runtime, mark: (trial: string, sent: number) => unknown): Promise<void> {
  const { provider } = runtime.config.experiments;
  if (provider === "local") return;
  for (const { trial, units, until } of runtime.store.read((sql) => listDue(sql, runtime.now(), provider), [])) {
    const work = { kind: "send", name: trial.key, units } as const;
    const problems = units.length === 0 ? [] : runService(runtime, work, sendMs).problems;
    if (problems.length === 0) await mark(trial.id, until);
    else
      runtime.log("warn", "sessions of an experiment were not sent", {
        provider,
        id: trial.id,
        problems: problems.slice(0, 3),
      });
  }
}

/** None while experiments are switched off, and none that a person has stopped. */
function listDue(sql: Sql, now: number, provider: string): Due[] {
  if (offSince(sql) !== null) return [];
  return list(sql).flatMap((trial) => {
    const isStoppedByHand = trial.state === "stopped" && trial.violated === undefined;
    if (trial.provider !== provider || isStoppedByHand) return [];
    const counted = canaryUnits(sql, now, trial.id);
    const units = counted
      .slice(trial.sent ?? 0)
      .flatMap(({ session, measured }) => (session === null ? [] : [{ unit: toUnit(trial.salt, session), measured }]));
    return counted.length > (trial.sent ?? 0) ? [{ trial, units, until: counted.length }] : [];
  });
}

export function markSent({ store }: Runtime, id: string, sent: number): void {
  store.write((sql) => {
    const trial = get(sql, id);
    if (trial) save(sql, { ...trial, sent });
  });
}
