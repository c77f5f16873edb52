import { defaults } from "#src/contract/config.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import type {
  History,
  PastOffer,
  PastSession,
  TaskTypeHistory,
  TeamHistory,
} from "#src/learning/experiments/opportunities/history.ts";
import type { MachineTrial, NewTrial } from "#src/contract/learning.ts";
import { isRunning, move } from "#src/learning/experiments/trials.ts";
import { endTrial, get, list, save, setOff, start } from "#src/machine/learning/machine-trials.ts";
import { storeRun } from "#src/machine/learning/review-schedule.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import type { ServiceRequest } from "#src/machine/learning/assignment-service.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

type Random = () => number;

export function aSession(overrides: Partial<ReplaySession> = {}): ReplaySession {
  const events = overrides.events ?? [];
  return {
    changed: {},
    events,
    samples: [],
    saves: [],
    isComplete: true,
    end: { at: events.at(-1)?.at ?? 0, kind: "ended", cause: null },
    ...overrides,
  };
}

const now = 1_700_000_000_000;
const dayMs = 86_400_000;
const windowMs = 30 * dayMs;
const causes = ["killed", "closed", "context_full", "out_of_memory", "usage_limit", "unknown"];

/** Shares that are still usual, by the detector's own bounds; `busiest`: tasks of the first chat, in units of its fair share. */
const usual = {
  /** Deaths before which checkpoints failed for a while. */
  failedSaves: 0,
  unseen: 0.1,
  dismissed: 0.3,
  open: 0.5,
  timedOut: 0.1,
  stalled: 0.1,
  rejectedChange: 0.3,
  busiest: 2,
};

type Rates = typeof usual;

export interface Plant {
  readonly rates?: Partial<Rates>;
  readonly sessions?: number;
  readonly events?: number;
  /** Deaths for each event. */
  readonly hazard?: number;
  readonly cause?: string;
  readonly storeShare?: number;
  /** Tasks of each of two types, and as many offers and tasks by chat. */
  readonly rows?: number;
  readonly dismissedAgeMs?: number;
  readonly models?: TeamHistory["models"];
}

/** Half of the rates at the bound, where a false finding is likeliest. */
function usualRates(random: Random): Rates {
  const rates = Object.entries(usual).map(([name, bound]) => [name, random() < 0.5 ? bound : bound * random()]);
  const all = Object.fromEntries(rates) as Rates;
  return { ...all, busiest: Math.max(1, all.busiest), open: Math.min(all.open, 1 - all.dismissed) };
}

function heavy(random: Random, scale: number, most: number): number {
  return Math.min(most, Math.floor(scale * ((1 - random()) ** (-1 / 1.3) - 1)));
}

function timeInWindow(random: Random): number {
  return now - Math.floor(random() * (windowMs - 1));
}

function many<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

export function aHistory(random: Random, plant: Plant = {}): History {
  const rates = { ...usualRates(random), ...plant.rates };
  const rows = (): number => plant.rows ?? heavy(random, 25, 300);
  const kind = { hazard: random() ** 2 * 0.02, events: 10 + random() * 100, ...plant };
  const sessions = many(plant.sessions ?? heavy(random, 30, 150), () => pastSession(random, rates, kind));
  return {
    now,
    windowMs,
    config: defaults,
    sessions: sessions.toSorted((a, b) => a.at - b.at),
    offers: many(rows(), () => anOffer(random, rates, plant)),
    storeBytes: (plant.storeShare ?? 0.79 * random()) * defaults.retention.maxBytes,
    team: plant.rows === undefined && random() < 0.3 ? null : aTeam(random, rates, plant, rows),
    changes: many(rows(), () => ({
      at: timeInWindow(random),
      rule: "oxlint no-var",
      isRejected: random() < rates.rejectedChange,
    })),
  };
}

/** Sessions of working days, of which some die. */
export function workingSessions(sessions: number, seed: number): ReplaySession[] {
  const history = aHistory(seededRandom(seed), { sessions, events: 60, hazard: 0.002 });
  return history.sessions.map(({ session }) => session);
}

function anOffer(random: Random, rates: Rates, { dismissedAgeMs }: Plant): PastOffer {
  const draw = random();
  const ageMs = heavy(random, 3_600_000, 7 * dayMs);
  // Those of the last day may still be taken.
  const at = timeInWindow(random) - dayMs;
  if (draw < rates.dismissed) return { at, ageMs: dismissedAgeMs ?? ageMs, resolution: "dismissed" };
  return { at, ageMs, resolution: draw < rates.dismissed + rates.open ? "open" : "continued" };
}

function aTeam(random: Random, rates: Rates, { models, rows: planted }: Plant, rows: () => number): TeamHistory {
  const types = planted === undefined ? heavy(random, 2, 8) : 2;
  const capacities = many(3 + Math.floor(random() * 6), () => 1 + Math.floor(random() * 4));
  // A chat that has most of the capacity cannot have twice its fair share.
  if (rates.busiest > usual.busiest) capacities[0] = 1;
  const [first = 1, ...rest] = capacities;
  const total = capacities.reduce((sum, one) => sum + one, 0);
  const share = Math.min(1, (rates.busiest * first) / total);
  const tasks = capacities.map(() => 0);
  for (let task = rows(); task > 0; task--) {
    let left = random() * (total - first);
    const at = random() < share ? 0 : 1 + rest.findIndex((one) => (left -= one) < 0);
    tasks[at] = (tasks[at] ?? 0) + 1;
  }
  return {
    taskTypes: Array.from({ length: types }, (_, at) => aTaskType(`type-${at}`, random, rates, rows)),
    chats: capacities.map((capacity, at) => ({ capacity, tasks: tasks[at] ?? 0 })),
    models: models === undefined ? worseModels(random) : models,
  };
}

function aTaskType(type: string, random: Random, rates: Rates, rows: () => number): TaskTypeHistory {
  const tasks = many(rows(), () => ({
    at: timeInWindow(random),
    timeouts: random() < rates.timedOut ? 1 + heavy(random, 1, 5) : 0,
    stalls: random() < rates.stalled ? 1 + heavy(random, 1, 3) : 0,
  }));
  return { type, tasks, runP95Ms: random() < 0.5 ? null : 1_000 + heavy(random, 60_000, dayMs) };
}

/** The cheaper model is worse by as much as matters. */
function worseModels(random: Random): TeamHistory["models"] {
  if (random() < 0.5) return null;
  const share = 0.3 + 0.7 * random();
  const outcomes = (model: string, costMicros: number, accepted: number) => {
    const tasks = heavy(random, 100, 2_000);
    const hits = many(tasks, () => random() < accepted).filter(Boolean).length;
    return { type: "type-0", model, tasks, accepted: hits, costMicros };
  };
  return [outcomes("large", 50_000, share), outcomes("small", 5_000, share - 0.1)];
}

/** A session whose death has nothing to do with its readings, unless that is planted. */
function pastSession(random: Random, rates: Rates, kind: Plant & { hazard: number; events: number }): PastSession {
  const all = someEvents(random, 5 + heavy(random, kind.events, 400));
  const died = all.findIndex(() => random() < kind.hazard);
  const events = died < 0 ? all : all.slice(0, died + 1);
  const at = (events.at(-1)?.at ?? 0) + heavy(random, 2_000, 60_000);
  const cause = kind.cause ?? causes[Math.floor(random() * causes.length)] ?? "killed";
  const end: ReplaySession["end"] =
    died < 0 ? { at, kind: random() < 0.9 ? "ended" : "open", cause: null } : { at, kind: "died", cause };
  const samples = [...someSamples(random, events), ...lastSample(random, rates, end)];
  const saves = someSaves(random, rates, { events, end });
  return { at: timeInWindow(random), session: aSession({ events, samples, saves, end }) };
}

function someEvents(random: Random, length: number): ReplayEvent[] {
  const same = random() * 0.3;
  const errors = random() < 0.3 ? 0.5 : random() * 0.2;
  let at = 0;
  return Array.from({ length }, (_, index): ReplayEvent => {
    at += 1 + heavy(random, 8_000, 600_000);
    if (index % 40 === 0) return { at, kind: "prompt" };
    const kind = random() < errors ? "tool_error" : "tool_end";
    const isSame = random() < same ? { isSame: true as const } : {};
    return { at, kind, tool: `tool-${Math.floor(random() * 4)}`, durationMs: heavy(random, 500, 100_000), ...isSame };
  });
}

function someSamples(random: Random, events: readonly ReplayEvent[]): ReplaySample[] {
  const step = 0.02 * random();
  const memory = random();
  return events.flatMap(({ at }, index) => {
    if (random() < 0.7) return [];
    const contextFill = { value: Math.min(1, index * step * random()), at };
    const hostMemory = { value: Math.min(1, memory * (0.7 + 0.5 * random())), at };
    const rateLimit = { value: random() < 0.1 ? 0.95 : random() * 0.9, at };
    return [{ at, readings: { contextFill, hostMemory, rateLimit } }];
  });
}

/** The reading that a death of a cause implies, or does not. */
function lastSample(random: Random, rates: Rates, { at, kind, cause }: ReplaySession["end"]): ReplaySample[] {
  if (kind !== "died" || (cause !== "context_full" && cause !== "out_of_memory")) return [];
  const value = random() < rates.unseen ? 0.55 + 0.2 * random() : 0.85 + 0.15 * random();
  return [{ at, readings: { [cause === "context_full" ? "contextFill" : "hostMemory"]: { value, at } } }];
}

/** When they are due, and some seconds late. */
type Played = Pick<ReplaySession, "events" | "end">;

function someSaves(random: Random, rates: Rates, { events, end }: Played): ReplaySession["saves"] {
  const { everyMs, everyToolCalls } = defaults.checkpoint;
  const isFailing = end.kind === "died" && random() < rates.failedSaves;
  const failsFrom = isFailing ? end.at - everyMs * (1 + 2 * random()) : Infinity;
  let [calls, savedAt] = [0, -everyMs];
  return events.flatMap(({ at, kind }, index) => {
    calls += kind === "prompt" ? 0 : 1;
    const isFull = calls >= everyToolCalls;
    const dueAt = isFull ? at : Math.max(at, savedAt + everyMs) + Math.floor(random() * 15_000);
    if (!isFull && dueAt >= (events[index + 1]?.at ?? end.at)) return [];
    [calls, savedAt] = [0, dueAt];
    return dueAt < failsFrom ? [{ at: dueAt, trigger: isFull ? "tools" : "time" }] : [];
  });
}

export function startTrial(runtime: Runtime, key: string, to: number, replay: NewTrial["replay"] = null): MachineTrial {
  const started = start(runtime, { key, to, reason: "to see", replay }, "kaizen");
  if (!started.ok) throw new Error(started.error.message);
  return started.value;
}

/** As a person does. @returns null where nothing is left to end */
export function endByHand(runtime: Runtime, id: string, isRevert = false): MachineTrial | null {
  const ended = endTrial(runtime, id, isRevert, "by hand", "command line");
  if (ended?.ok === false) throw new Error(ended.error.message);
  return ended?.value ?? null;
}

export function stopAll(runtime: Runtime): void {
  setOff(runtime, runtime.now(), "command line");
  for (const { id } of runtime.store.read((sql) => list(sql), []).filter(isRunning)) endByHand(runtime, id);
}

export function reload(runtime: Runtime, { id }: Pick<MachineTrial, "id">): MachineTrial {
  const stored = runtime.store.read((sql) => get(sql, id), null);
  if (!stored) throw new Error(`no trial ${id}`);
  return stored;
}

/** As many chats as a trial needs, that began and ended ten days ago: no list of today has them. */
export function pastChats({ store, now }: Pick<Runtime, "store" | "now">): void {
  const [at, count] = [now() - 10 * 86_400_000, 400];
  store.write((sql) => {
    for (let chat = 0; chat < count; chat++) {
      const id = `chat-${at}-${count}-${chat}`;
      sessions.recordSighting(sql, at, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
      sessions.end(sql, at, id, "other");
    }
  });
}

export function seedExperiments(runtime: Runtime): { running: string; kept: string } {
  pastChats(runtime);
  const kept = startTrial(runtime, "checkpoint.everyToolCalls", 8);
  runtime.store.write((sql) => save(sql, move(kept, "kept", runtime.now(), "after 40 sessions")));
  const running = startTrial(runtime, "checkpoint.everyMs", 250_000);
  runtime.store.write((sql) => storeRun(sql, runtime.now() + 86_400_000, ["task_stalls", "task_stalls"]));
  return { running: running.id, kept: kept.id };
}

export type ServiceRuntime = ReturnType<typeof aServiceRuntime>;

/** A machine with this setting of `experiments`, whose process of the service is a program of the test. */
export function aServiceRuntime(experiments: Record<string, unknown>) {
  const config = { experiments };
  const runtime = tempRuntime({ config });
  createPrivateFolder(runtime.paths.home);
  writeFileSync(runtime.paths.config, JSON.stringify(config));
  const dist = join(temporaryFolder(), "dist");
  mkdirSync(dist);
  const log = join(dist, "requests");
  /** Another program as the process of the service: `request` is what it was given, `answer(value)` answers. */
  const serve = (program: string): void =>
    writeFileSync(
      join(dist, "hook-service.cjs"),
      `const fs = require("node:fs");
       const text = fs.readFileSync(0, "utf8");
       fs.appendFileSync(${JSON.stringify(log)}, text + "\\n");
       const request = JSON.parse(text);
       const answer = (value) => fs.writeSync(3, JSON.stringify(value));
       ${program}`,
    );
  serve("answer({ arms: [], problems: [] });");
  const lines = (): string[] => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
  return {
    ...runtime,
    // No speed of the machine decides, unless the test sets the limit.
    config: { ...runtime.config, experiments: { ...runtime.config.experiments, waitMs: 60_000, ...experiments } },
    launch: { node: process.execPath, script: join(dirname(dist), "bin/shim.mjs"), hookScript: join(dist, "hook.cjs") },
    requests: () => lines().map((line) => JSON.parse(line) as ServiceRequest),
    serve,
  };
}

const bucketOf = (operator: string, targetValue: number, salt: string) => ({
  type: "user_bucket",
  operator,
  targetValue,
  additionalValues: { salt },
  field: null,
  idType: "userID",
});

/** Statsig's rules for an experiment that nine tenths of the units are in. */
export function statsigRules(name: string, arms: readonly [string, string]): string {
  const common = { salt: "", passPercentage: 100, idType: "userID" };
  const layer = { ...common, name: "layerAssignment", id: "layerAssignment", returnValue: {} };
  const group = (arm: string, below: number) => ({
    ...common,
    name: arm,
    groupName: arm,
    id: `rule-${arm}`,
    isExperimentGroup: true,
    returnValue: { arm },
    conditions: [bucketOf("lt", below, "arms")],
  });
  const rules = [{ ...layer, conditions: [bucketOf("gte", 900, "share")] }, group(arms[0], 500), group(arms[1], 1000)];
  const spec = { name, type: "dynamic_config", salt: "arms", enabled: true, defaultValue: {}, rules };
  const configs = [{ ...spec, entity: "experiment", isActive: true, idType: "userID" }];
  return JSON.stringify({ has_updates: true, time: 1, feature_gates: [], layer_configs: [], dynamic_configs: configs });
}
