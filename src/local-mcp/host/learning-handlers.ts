import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { err, ok } from "../../shared/result.ts";
import {
  allowExperiments,
  endExperiment,
  findExperiment,
  listExperiments,
  startExperiment,
  stopAllExperiments,
  type Deciding,
  readWorkspaceTrials,
  viewTrial,
} from "../experiments/experiments.ts";
import type { HandlerContext, Handlers, Host, HostResult } from "./host.ts";
import { storeRun } from "../experiments/review-schedule.ts";
import { advanceAll, nextTrial, start, type NextTrial, markSent, sendCounted } from "../experiments/machine-trials.ts";
import { noteReview, reviewWorkspace, type WorkspaceReviewOptions } from "../experiments/workspace-review.ts";
import { replayFormat, ReplayHeader, ReplaySession } from "../../contract/replay.ts";
import {
  findOpportunities,
  type Opportunities,
  pastChanges,
} from "../../experiments/opportunities/find-opportunities.ts";
import type { TeamHistory } from "../../experiments/opportunities/history.ts";
import { allDecisions } from "../../platform/evolve-decisions.ts";
import { machineMetrics } from "../metrics/machine-metrics.ts";
import { pastOffers, pastSessions } from "../experiments/corpus.ts";
import { readTeam, readQueueRecord } from "../experiments/workspace-history.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { findWeek, weekOf, weeklyReport, withTrials, type Week } from "../../experiments/weekly-report.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { compareQueue } from "../experiments/workspace-trials.ts";
import { weeklyFacts } from "../experiments/weekly-facts.ts";
import { Settings } from "../../contract/workspaces.ts";
import { parameters, parseVariants, usualVariants } from "../../experiments/parameters.ts";
import { replayReport } from "../../experiments/replay/loss.ts";
import { readFileLines, writeLines } from "../../platform/line-file.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { parseJson } from "../../shared/json-fields.ts";

async function decidingOf(context: HandlerContext): Promise<Deciding> {
  return {
    runtime: await context.runtime(),
    by: context.by ?? "command line",
    inWorkspace: async (body) => {
      const opened = await context.workspace.open();
      return opened.ok ? body(opened.value) : opened;
    },
  };
}

export const learningHandlers = {
  "experiments.list": async (context) => listExperiments(await decidingOf(context)),
  "experiments.show": async (context, { experiment }) => findExperiment(await decidingOf(context), experiment),
  "experiments.start": async (context, given) => startExperiment(await decidingOf(context), given),
  async "experiments.stop"(context, { experiment, all = false }) {
    if (all === (experiment !== undefined)) return err({ code: "bad_input", message: "name an experiment, or --all." });
    const deciding = await decidingOf(context);
    if (experiment === undefined) return stopAllExperiments(deciding);
    const ended = await endExperiment(deciding, experiment, false);
    return ended.ok ? ok({ stopped: [ended.value], workspaceProblem: null }) : ended;
  },
  "experiments.revert": async (context, { experiment }) => endExperiment(await decidingOf(context), experiment, true),
  "experiments.allow": async (context) => ok({ workspaceProblem: await allowExperiments(await decidingOf(context)) }),
  async "opportunities.list"(context, { since: given }) {
    const examined = await examine(await decidingOf(context), given);
    await storeCounts(context.call, examined);
    const { since, until, recorded, findings, unjudged, team } = examined;
    return ok({
      since,
      until,
      sessions: recorded.length,
      findings,
      unjudged,
      teamProblem: team.ok ? null : team.error.message,
      hasDepartures: team.ok && team.value.departures !== null,
    });
  },
  "report.get": async (context, { week }) => readReport(await decidingOf(context), week),
  "review.run": async (context, { dryRun }) => review(await decidingOf(context), context.call, dryRun),
  async "review.store"({ runtime: load }, { found, trial, workspace, sent }) {
    const runtime = await load();
    if (found) runtime.store.write((sql) => storeRun(sql, found.until, found.patterns));
    if (workspace) noteReview(runtime, workspace);
    if (sent) markSent(runtime, sent.experiment, sent.count);
    const moved = trial === undefined ? [] : advanceAll(runtime).map((one) => viewTrial(runtime, one));
    const started = trial ? start(runtime, trial, "kaizen") : null;
    // [EX82] A trial that may not start now is left to the next review.
    if (started?.ok === false)
      runtime.log("info", "a finding was not tried", { id: trial?.reason, reason: started.error.code });
    return ok({ moved, started: started?.ok === true ? viewTrial(runtime, started.value) : null });
  },
  async "replay.run"(context, { since, corpus: file, set }) {
    const runtime = await context.runtime();
    const valueOf = (key: string): number => Number(settingAt(runtime.config, key));
    const known = parameters.filter(({ scope }) => scope === "machine");
    const intervals = known.filter(({ group }) => group === "interval");
    const variants = set ? parseVariants(known, valueOf, set, () => true) : usualVariants(intervals, valueOf, 2);
    if (typeof variants === "string") return err({ code: "bad_input", message: variants });
    const sessions = file === undefined ? ok(readStored(runtime, since)) : readCorpus(file);
    return sessions.ok ? ok(replayReport(sessions.value, runtime.config, variants)) : sessions;
  },
  async "replay.workspace"(context, { set }) {
    const deciding = await decidingOf(context);
    return deciding.inWorkspace(async (link) => {
      const found = await link.call("settings.get", {});
      if (!found.ok) return found;
      const { settings } = found.value;
      const valueOf = (key: string): number => Number(settings[key as keyof Settings]);
      const known = parameters.filter(({ scope }) => scope === "workspace");
      const variants = set ? parseVariants(known, valueOf, set, isSetting) : usualVariants(known, valueOf, 1);
      if (typeof variants === "string") return err({ code: "bad_input", message: variants });
      const record = await readQueueRecord(link, settings.chatTtlMs);
      if (!record.ok) return record;
      const compare = compareQueue(deciding.runtime);
      return ok({
        tasks: record.value.tasks.length,
        chats: record.value.chats.length,
        windowMs: record.value.windowMs,
        variants: variants.map(({ key, from, value }) => {
          const comparison = compare(record.value, settings, { ...settings, [key]: value });
          return { key, from, value, comparison };
        }),
      });
    });
  },
  async "replay.export"({ runtime }, { file, since }) {
    if (existsSync(file)) return err({ code: "file_exists", message: `${file} already exists. Name a new file.` });
    const rows = readStored(await runtime(), since);
    const sessions = rows.length;
    if (sessions === 0)
      return err({ code: "not_found", message: "no session is stored, so there is nothing to export." });
    const header: ReplayHeader = { type: "header", format: replayFormat, sessions };
    writeLines(
      file,
      [header, ...rows].map((row) => JSON.stringify(row)),
    );
    return ok({ file, sessions });
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
  readonly team: HostResult<TeamHistory>;
}

/** Examines what this machine and its team have stored. */
async function examine(deciding: Deciding, given?: number): Promise<Examination> {
  const { runtime } = deciding;
  const now = runtime.now();
  const since = Math.min(given ?? now - defaultWindowMs, now - 1);
  const windowMs = now - since;
  const team = await deciding.inWorkspace((link) => readTeam(link, now));
  const { sessions, offers } = runtime.store.read(
    (sql) => ({ sessions: pastSessions(sql, { since, limit: maxSessions }), offers: pastOffers(sql, since) }),
    { sessions: [], offers: [] },
  );
  const found = findOpportunities({
    now,
    windowMs,
    config: runtime.config,
    sessions,
    offers,
    machine: machineMetrics(runtime),
    team: team.ok ? team.value : null,
    changes: pastChanges(allDecisions(runtime.paths.home)),
  });
  return { ...found, since, until: now, recorded: sessions.map(({ session }) => session), team };
}

/** [EX67] The counts of findings become a metric, until their evidence has left the window. */
async function storeCounts(call: Host["call"], { since, until, findings }: Examination): Promise<void> {
  const patterns = findings.map(({ pattern }) => pattern);
  await call("review.store", { found: { until: until + (until - since), patterns } });
}

async function review(
  deciding: Deciding,
  call: Host["call"],
  isDryRun: boolean,
): Promise<HostResult<MachineOutput<"review.run">>> {
  const { runtime } = deciding;
  const examined = await examine(deciding);
  if (!isDryRun) await storeCounts(call, examined);
  const { findings } = examined;
  const next = nextOf(runtime, examined);
  const ofWorkspace = await reviewTeam(deciding, call, examined, isDryRun);
  if (isDryRun) {
    const notes = [planText(runtime, next), ...next.waits, ofWorkspace];
    return ok({ findings, moved: [], started: null, notes, report: null });
  }
  const advanced = await call("review.store", { trial: next.trial });
  if (!advanced.ok) return advanced;
  await sendCounted(runtime, (experiment, sent) => call("review.store", { sent: { experiment, count: sent } }));
  const report = await writeLastWeek(deciding, ideas(examined, next));
  const notes = [...next.waits, ofWorkspace];
  return ok({ findings, ...advanced.value, notes, report });
}

function nextOf(runtime: Runtime, { findings, recorded }: Examination): NextTrial {
  const isAllowed = runtime.config.kaizen === "apply";
  return isAllowed ? nextTrial(runtime, findings, recorded) : { trial: null, waits: [] };
}

function planText({ config }: Runtime, { trial }: NextTrial): string {
  if (config.kaizen !== "apply") return "Would change nothing: `shim config set kaizen apply` allows trials.";
  return trial ? `Would try ${trial.key} = ${trial.to}.` : "Would try nothing.";
}

async function reviewTeam(
  deciding: Deciding,
  call: Host["call"],
  { findings }: Examination,
  isDryRun: boolean,
): Promise<string> {
  const { runtime } = deciding;
  const note: WorkspaceReviewOptions["note"] = (workspace) => call("review.store", { workspace });
  const options = { mode: runtime.config.kaizen, findings, isDryRun, compare: compareQueue(runtime), note };
  const reviewed = await deciding.inWorkspace((link) => reviewWorkspace(runtime, link, options));
  return `Workspace: ${reviewed.ok ? reviewed.value : `Not reviewed: ${reviewed.error.message}`}`;
}

function ideas({ findings }: Examination, { waits }: NextTrial): string[] {
  return [...findings.map(({ title, text, advice }) => `${title}. ${text} ${advice}`), ...waits];
}

/** [EX83] Each week with chats once, as soon as it has ended. @returns the path if written */
async function writeLastWeek(deciding: Deciding, texts: readonly string[]): Promise<string | null> {
  const { runtime } = deciding;
  const folder = join(runtime.paths.home, "reports");
  const week = weekOf(weekOf(runtime.now()).from - 1);
  const path = join(folder, `${week.name}.md`);
  if (existsSync(path)) return null;
  const report = await reportOf(deciding, week, texts, 1);
  if (report === null) return null;
  createPrivateFolder(folder);
  writeAtomically(path, report, { mode: 0o600 });
  return path;
}

/** @returns null with fewer chats, or where nothing is stored */
async function reportOf(
  deciding: Deciding,
  week: Week,
  texts: readonly string[] | null,
  minSessions = 0,
): Promise<string | null> {
  const facts = deciding.runtime.store.read((sql) => weeklyFacts(sql, week), null);
  if (!facts || facts.sessions < minSessions) return null;
  return weeklyReport(withTrials(facts, await readWorkspaceTrials(deciding)), texts);
}

/** @param name default: this week, whose records are examined for it */
async function readReport(deciding: Deciding, name?: string): Promise<HostResult<MachineOutput<"report.get">>> {
  const { runtime } = deciding;
  const present = weekOf(runtime.now());
  const week = name === undefined ? present : findWeek(name);
  if (!week) {
    const message = `"${(name ?? "").slice(0, 40)}" is no week. Name one such as ${present.name}.`;
    return err({ code: "bad_input", message });
  }
  const examined = week.until > runtime.now() ? await examine(deciding) : null;
  const report = await reportOf(deciding, week, examined && ideas(examined, nextOf(runtime, examined)));
  if (report !== null) return ok({ week: week.name, report });
  return err({ code: "not_found", message: "nothing is stored yet, so there is nothing to report." });
}

const maxCorpusBytes = 500_000_000;

function isSetting(key: string, value: number): boolean {
  return Settings.partial().safeParse({ [key]: value }).success;
}

/** @param since default: 30 days ago */
function readStored({ store, now }: Runtime, since = now() - defaultWindowMs): ReplaySession[] {
  return store.read((sql) => pastSessions(sql, { since, limit: maxSessions }), []).map(({ session }) => session);
}

function readCorpus(path: string): HostResult<ReplaySession[]> {
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file) return err({ code: "not_found", message: `there is no file ${path}.` });
  if (file.size > maxCorpusBytes) return err({ code: "too_large", message: `${path} is larger than 500 MB.` });
  const sessions: ReplaySession[] = [];
  const lines = [...readFileLines(path)].filter((line) => line.trim() !== "");
  for (const [index, line] of lines.entries()) {
    const parsed = (index === 0 ? ReplayHeader : ReplaySession).safeParse(parseJson(line));
    if (!parsed.success)
      return err({
        code: "invalid_corpus",
        message: `${path}, line ${index + 1}: not what \`shim learn replay export <file>\` writes.`,
      });
    if (parsed.data.type === "session") sessions.push(parsed.data);
  }
  return ok(sessions);
}
