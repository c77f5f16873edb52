import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import type { MachineTrial } from "../../contract/learning.ts";
import { findOpportunities, type Opportunities } from "../../learning/experiments/opportunities/find-opportunities.ts";
import { parseVariants, usualVariants } from "../../learning/experiments/parameters.ts";
import { replayReport } from "../../learning/experiments/replay/replay.ts";
import { isRunning, withoutTried } from "../../learning/experiments/trials.ts";
import { findWeek, weekOf, weeklyReport } from "../../learning/experiments/weekly-report.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { pastOffers, pastSessions, weeklyFacts } from "../learning/past-sessions.ts";
import {
  advanceAll,
  endTrial,
  list,
  markSent,
  nextTrial,
  offSince,
  sendCounted,
  setOff,
  start,
  viewTrial,
  type By,
  type NextTrial,
} from "../learning/machine-trials.ts";
import { countsOfLastRun, storeRun } from "../learning/review-schedule.ts";
import { machineMetrics } from "./machine-metrics.ts";
import type { CallOperation } from "../context/operation-context.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import { pickOne } from "../recovery/resolve-id.ts";

export const learningHandlers = {
  /** Oldest first. */
  async "experiments.list"({ runtime: load }) {
    const runtime = await load();
    const { store, now } = runtime;
    const trials = store.read((sql) => list(sql), []).toReversed();
    return ok({
      experiments: trials.map((one) => viewTrial(runtime, one)),
      offSince: store.read(offSince, null),
      opportunities: store.read((sql) => countsOfLastRun(sql, now()), []),
      readAt: now(),
    });
  },
  async "experiments.show"({ runtime: load }, { experiment }) {
    const runtime = await load();
    const found = findTrial(runtime, experiment);
    return found.ok ? ok(viewTrial(runtime, found.value)) : found;
  },
  async "experiments.start"({ runtime: load, by = "command line" }, { key, value: to, reason, lessSafe }) {
    const runtime = await load();
    const started = start(runtime, { key, to, reason: reason.slice(0, 300), lessSafe, replay: null }, by);
    return started.ok ? ok(viewTrial(runtime, started.value)) : started;
  },
  /** First none starts any more, and then those that run are ended. */
  async "experiments.stop"({ runtime: load, by = "command line" }, { experiment, all = false }) {
    if (all === (experiment !== undefined)) return err({ code: "bad_input", message: "name an experiment, or --all." });
    const runtime = await load();
    if (experiment !== undefined) {
      const ended = endByHand(runtime, experiment, by);
      return ended.ok ? ok({ stopped: [ended.value] }) : ended;
    }
    setOff(runtime, runtime.now(), by);
    const running = runtime.store.read((sql) => list(sql), []).filter(isRunning);
    const ended = running.flatMap(({ id }) => endTrial(runtime, id, "stopped by hand, with all", by) ?? []);
    return ok({ stopped: ended.map((one) => viewTrial(runtime, one)) });
  },
  async "experiments.allow"({ runtime, by = "command line" }) {
    setOff(await runtime(), null, by);
    return ok({});
  },
  async "opportunities.list"(context, { since: given }) {
    const examined = await examine(context, given);
    await storeCounts(context.call, examined);
    const { since, until, recorded, findings, unjudged } = examined;
    return ok({ since, until, sessions: recorded.length, findings, unjudged });
  },
  /** Without a name: this week, whose records are examined for it. */
  async "report.get"(context, { week: name }) {
    const runtime = await context.runtime();
    const present = weekOf(runtime.now());
    const week = name === undefined ? present : findWeek(name);
    if (!week) {
      const message = `"${(name ?? "").slice(0, 40)}" is no week. Name one such as ${present.name}.`;
      return err({ code: "bad_input", message });
    }
    const examined = week.until > runtime.now() ? await examine(context) : null;
    const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
    if (!facts) return err({ code: "not_found", message: "nothing is stored yet, so there is nothing to report." });
    const texts = examined && ideas(examined, nextOf(runtime, examined));
    return ok({ week: week.name, report: weeklyReport(facts, texts) });
  },
  async "review.run"(context, { dryRun }) {
    const runtime = await context.runtime();
    const examined = await examine(context);
    const { findings } = examined;
    const next = nextOf(runtime, examined);
    if (dryRun) {
      const notes = [planText(runtime, next), ...next.waits];
      return ok({ findings, moved: [], started: null, notes, report: null });
    }
    await storeCounts(context.call, examined);
    const advanced = await context.call("review.store", { trial: next.trial });
    if (!advanced.ok) return advanced;
    await sendCounted(runtime, (experiment, count) => context.call("review.store", { sent: { experiment, count } }));
    const report = writeLastWeek(runtime, ideas(examined, next));
    return ok({ findings, ...advanced.value, notes: [...next.waits], report });
  },
  async "review.store"({ runtime: load }, { found, trial, sent }) {
    const runtime = await load();
    if (found) runtime.store.write((sql) => storeRun(sql, found.until, found.patterns));
    if (sent) markSent(runtime, sent.experiment, sent.count);
    const moved = trial === undefined ? [] : advanceAll(runtime).map((one) => viewTrial(runtime, one));
    const started = trial ? start(runtime, trial, "kaizen") : null;
    // A trial that may not start now is left to the next review.
    if (started?.ok === false)
      runtime.log("info", "a finding was not tried", { id: trial?.reason, reason: started.error.code });
    return ok({ moved, started: started?.ok === true ? viewTrial(runtime, started.value) : null });
  },
  async "replay.run"({ runtime: load }, { since, set }) {
    const { config, store, now } = await load();
    const valueOf = (key: string): number => Number(settingAt(config, key));
    const variants = set ? parseVariants(valueOf, set) : usualVariants("interval", valueOf);
    if (typeof variants === "string") return err({ code: "bad_input", message: variants });
    const filter = { since: since ?? now() - defaultWindowMs, limit: maxSessions };
    const past = store.read((sql) => pastSessions(sql, filter), []);
    const recorded = past.map(({ session }) => session);
    return ok(replayReport(recorded, config, variants));
  },
} satisfies Partial<Handlers>;

const defaultWindowMs = 30 * 86_400_000;
const maxSessions = 1_000;

interface Examination extends Opportunities {
  /** Epoch ms. */
  readonly since: number;
  readonly until: number;
  /** Oldest first. */
  readonly recorded: readonly ReplaySession[];
}

/** Examines what this machine has stored. */
async function examine({ runtime: load }: HandlerContext, given?: number): Promise<Examination> {
  const runtime = await load();
  const now = runtime.now();
  const since = Math.min(given ?? now - defaultWindowMs, now - 1);
  const { sessions, offers } = runtime.store.read(
    (sql) => ({ sessions: pastSessions(sql, { since, limit: maxSessions }), offers: pastOffers(sql, since) }),
    { sessions: [], offers: [] },
  );
  const found = findOpportunities({
    now,
    windowMs: now - since,
    config: runtime.config,
    sessions,
    offers,
    storeBytes: machineMetrics(runtime).find(({ name }) => name === "shim_store_bytes")?.value ?? 0,
  });
  const trials = runtime.store.read((sql) => list(sql), []);
  const findings = withoutTried(found.findings, trials, now);
  return { ...found, findings, since, until: now, recorded: sessions.map(({ session }) => session) };
}

/** The counts of findings become a metric, until their evidence has left the window. */
async function storeCounts(call: CallOperation, { since, until, findings }: Examination): Promise<void> {
  const patterns = findings.map(({ pattern }) => pattern);
  await call("review.store", { found: { until: until + (until - since), patterns } });
}

function nextOf(runtime: Runtime, { findings, recorded }: Examination): NextTrial {
  const isAllowed = runtime.config.kaizen === "apply";
  return isAllowed ? nextTrial(runtime, findings, recorded) : { trial: null, waits: [] };
}

function planText({ config }: Runtime, { trial }: NextTrial): string {
  if (config.kaizen !== "apply") return "Would change nothing: `shim config set kaizen apply` allows trials.";
  return trial ? `Would try ${trial.key} = ${trial.to}.` : "Would try nothing.";
}

function ideas({ findings }: Examination, { waits }: NextTrial): string[] {
  return [...findings.map(({ title, text, advice }) => `${title}. ${text} ${advice}`), ...waits];
}

/** Each week with chats once, as soon as it has ended. @returns the path if written */
function writeLastWeek(runtime: Runtime, texts: readonly string[]): string | null {
  const folder = join(runtime.paths.home, "reports");
  const week = weekOf(weekOf(runtime.now()).from - 1);
  const path = join(folder, `${week.name}.md`);
  if (existsSync(path)) return null;
  const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
  if (!facts || facts.sessions === 0) return null;
  createPrivateFolder(folder);
  writeAtomically(path, weeklyReport(facts, texts), { mode: 0o600 });
  return path;
}

const trialKind = {
  what: "experiment",
  list: "shim experiment list",
  describe: ({ id, key, to }: MachineTrial): string => `${id}  ${key}: ${to}`,
};

/** @param prefix beginning of its id */
function findTrial({ store }: Runtime, prefix: string): Result<MachineTrial> {
  const trials = store.read((sql) => list(sql), []);
  const matching = trials.filter(({ id }) => id.startsWith(prefix) || id === `exp_${prefix}`);
  return pickOne(matching, prefix, trialKind);
}

function endByHand(runtime: Runtime, prefix: string, by: By): Result<ExperimentView> {
  const found = findTrial(runtime, prefix);
  if (!found.ok) return found;
  const ended = endTrial(runtime, found.value.id, "stopped by hand", by);
  if (ended !== null) return ok(viewTrial(runtime, ended));
  const { id, state } = viewTrial(runtime, found.value);
  return err({ code: "ended", message: `${id} has ended: ${state}.` });
}
