import type { BetterValue, ExperimentView } from "../../contract/machine/learning.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import type { MachineTrial, NewTrial, TrialState } from "../../contract/learning.ts";
import {
  canary,
  firstStep,
  judgeCanary,
  nextReading,
  addStep,
  isRunning,
  move,
  refusalOf,
  replayText,
  unansweredBy,
  viewOf,
  wasTried,
} from "../../learning/experiments/trials.ts";
import {
  findParameter,
  nextLower,
  parameters,
  type Parameter,
  type Variant,
} from "../../learning/experiments/parameters.ts";
import { judgeVariants } from "./replay.ts";
import { editConfig } from "../../installer/file-edits.ts";
import { readConfig } from "../../platform/config-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";
import * as notices from "../../store/notices.ts";
import { experiments } from "../../store/session-tables.ts";
import * as audit from "../sessions/machine-audit.ts";
import { canaryUnits } from "./trial-units.ts";

const dayMs = 86_400_000;
const stored = experiments.pick("body");

/** Newest first. */
export function list(sql: Sql): MachineTrial[] {
  return stored.select(sql, "ORDER BY at DESC, id LIMIT 200").map(({ body }) => body);
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

/** Source of a decision. */
export type By = audit.MachineAction["by"];

/** One transaction: stored with its first step, or refused. */
export function start(runtime: Runtime, given: NewTrial, by: By): Result<MachineTrial> {
  const { key, to, replayed } = given;
  const read = variantOf(runtime, key, to);
  if (!read.ok) return read;
  const { from, provider } = read.value;
  return runtime.store.write<Result<MachineTrial>>((sql) => {
    const now = runtime.now();
    const refusal =
      refusalOf(read.value.parameter, { from, to }, list(sql)) ??
      unansweredBy(replayed, { key, to }, paceOf(sql, now), keptOf(sql, now, runtime.config));
    if (refusal !== null) return err(refusal);
    const begun = begin(runtime, given, { from, ...(provider === "local" ? {} : { provider }) });
    const first = deploy(runtime, begun, firstStep(begun, replayed, paceOf(sql, now), now));
    if (!first.ok) return first;
    save(sql, first.value);
    log(sql, now, by, "experiment.started", first.value);
    return first;
  });
}

/** A value of a setting that trials may change, beside the one in the file. */
export function variantOf(
  { paths }: Pick<Runtime, "paths">,
  key: string,
  to: number,
): Result<Variant & { readonly parameter: Parameter; readonly provider: string }> {
  const config = readConfig(paths.config);
  if (!config.ok) return fail("config_invalid", `${config.error}\nCorrect the file first.`);
  const parameter = findParameter(key);
  if (!parameter) return fail("bad_input", unknownText(key));
  const from = Number(settingAt(config.value, key));
  return ok({ key, from, value: to, parameter, provider: config.value.experiments.provider });
}

function unknownText(key: string): string {
  return `"${key.slice(0, 60)}" is never changed by experiments. These are:\n${parameters.map((one) => `  ${one.key}`).join("\n")}`;
}

function begin(
  runtime: Runtime,
  { key, to, reason, replayed }: NewTrial,
  more: Pick<MachineTrial, "from" | "provider">,
): MachineTrial {
  const at = runtime.now();
  const hex = (bytes: number): string => Buffer.from(runtime.random(bytes)).toString("hex");
  const common = { id: `exp_${hex(4)}`, key, to, reason, salt: hex(8), share: canary.share, read: 0, ...more };
  const proposed = { ...common, verdict: replayed.verdict, state: "proposed" as const, steps: [] };
  return addStep(addStep(proposed, "proposed", at, reason), "replayed", at, replayText(replayed));
}

/** Chats that began on this machine in the days of a canary. */
function paceOf(sql: Sql, now: number): number {
  const query = "SELECT count(*) AS n FROM sessions WHERE startedAt >= ?";
  return sql.all<{ n: number }>(query, now - canary.maxDays * dayMs)[0]?.n ?? 0;
}

/** Chats that retention leaves here; null: all of them are younger than it. */
function keptOf(sql: Sql, now: number, { retention }: Runtime["config"]): number | null {
  const query = "SELECT count(*) AS n, min(lastSeenAt) AS oldest FROM sessions";
  const [row] = sql.all<{ n: number; oldest: number | null }>(query);
  return row && row.oldest !== null && row.oldest <= now - retention.maxAgeMs + dayMs ? row.n : null;
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

/** Ends each trial, and keeps reviews from starting another: `kaizen` is `report` then. */
export function endAll(runtime: Runtime, by: By): Result<MachineTrial[]> {
  const { config, paths, store } = runtime;
  const edited = config.kaizen === "apply" ? editConfig(paths.config, "kaizen", "report") : ok(null);
  if (!edited.ok) return fail("config_invalid", edited.error);
  const running = store.read((sql) => list(sql), []).filter(isRunning);
  return ok(running.flatMap(({ id }) => endTrial(runtime, id, "stopped by hand, with all", by) ?? []));
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
    const deployed = deploy(runtime, before, next(sql, before));
    if (!deployed.ok) return deployed;
    const after = deployed.value;
    if (after !== before) save(sql, after);
    if (after.state !== before.state) log(sql, runtime.now(), by, kind, after);
    if (after.violated !== before.violated) announce(sql, runtime.now(), after);
    return ok({ before, after });
  });
}

/** Writes the value of a trial that becomes deployed, and notes it. */
function deploy(runtime: Runtime, before: MachineTrial, after: MachineTrial): Result<MachineTrial> {
  if (after.state !== "deployed" || before.state === "deployed") return ok(after);
  const written = writeValue(runtime, after);
  if (!written.ok) return written;
  const last = after.steps.length - 1;
  const steps = after.steps.map((step, at) =>
    at === last ? { ...step, note: `${step.note}; ${written.value}` } : step,
  );
  return ok({ ...after, steps });
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
  if (verdict === "undecided" || trial.verdict !== "better")
    return move(
      { ...read, verdict: "undecided" },
      "decided",
      now,
      `${verdict === "undecided" ? "too few" : "no benefit was measured"}: ${sessions}`,
    );
  return move(read, "deployed", now, `better in replay, and no harm in ${sessions}`);
}

/** Reported and counted with the step that takes the value from all chats. */
function announce(sql: Sql, now: number, { id, key, from, to, steps }: MachineTrial): void {
  totals.add(sql, "shim_experiment_stops_total");
  const reason = steps.at(-1)?.note ?? "";
  notices.add(sql, now, "experiment", `experiment ${id} was stopped (${reason}): ${key} is ${from} again, not ${to}.`);
}

/**
 * The next step of each setting with which less may be lost, where replay finds it better than the
 * present value and no trial had it in the last 30 days. The largest gain first.
 */
export function betterValues({ config, store, now }: Runtime, recorded: readonly ReplaySession[]): BetterValue[] {
  const trials = store.read((sql) => list(sql), []);
  const variants = parameters.flatMap((parameter) => {
    const { key } = parameter;
    const from = Number(settingAt(config, key));
    const value = nextLower(parameter, from);
    return value === null || wasTried({ key, to: value }, trials, now()) ? [] : [{ key, from, value }];
  });
  return judgeVariants(recorded, config, variants)
    .filter(({ replayed }) => replayed.verdict === "better")
    .toSorted((a, b) => (a.replayed.difference ?? 0) - (b.replayed.difference ?? 0))
    .map(({ key, from, value: to, replayed }) => ({ key, from, to, replayed, note: replayText(replayed) }));
}
