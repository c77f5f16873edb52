import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BetterValue, ExperimentView, Workflows } from "../../contract/machine/learning.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import type { MachineTrial } from "../../contract/learning.ts";
import { judgeVariants } from "../learning/replay.ts";
import { compareWithPast } from "../../learning/routing/like-prompts.ts";
import { weekOf, weeklyReport } from "../../learning/experiments/weekly-report.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { pastPrompts } from "../learning/past-prompts.ts";
import { chatRecords, countUnread, pastSessions, weeklyFacts } from "../learning/past-sessions.ts";
import { findWorkflows, workflowMs, workflowTexts } from "../learning/workflows.ts";
import {
  advanceAll,
  betterValues,
  endAll,
  endTrial,
  list,
  start,
  variantOf,
  viewTrial,
  type By,
} from "../learning/machine-trials.ts";
import type { Handlers } from "../recovery/handler-context.ts";
import { pickOne } from "../recovery/resolve-id.ts";

export const learningHandlers = {
  /** Oldest first. */
  async "experiments.list"({ runtime: load }) {
    const runtime = await load();
    const { store, now } = runtime;
    const trials = store.read((sql) => list(sql), []).toReversed();
    return ok({
      experiments: trials.map((one) => viewTrial(runtime, one)),
      readAt: now(),
    });
  },
  async "experiments.show"({ runtime: load }, { experiment }) {
    const runtime = await load();
    const found = findTrial(runtime, experiment);
    return found.ok ? ok(viewTrial(runtime, found.value)) : found;
  },
  /** The replay takes seconds: the host, which serves chats, is spared. */
  async "experiments.start"({ runtime: load, call }, { key, value: to, reason: words }) {
    const runtime = await load();
    const variant = variantOf(runtime, key, to);
    if (!variant.ok) return variant;
    const [judged] = judgeVariants(recordedSessions(runtime), runtime.config, [variant.value]);
    if (!judged) throw new Error("a variant was not judged");
    const { replayed } = judged;
    return call("experiments.begin", { key, to, reason: words.slice(0, 300), replayed, isByPerson: true });
  },
  async "experiments.begin"({ runtime: load, by = "command line" }, given) {
    const runtime = await load();
    const started = start(runtime, given, given.isByPerson ? by : "kaizen");
    return started.ok ? ok(viewTrial(runtime, started.value)) : started;
  },
  async "experiments.stop"({ runtime: load, by = "command line" }, { experiment, all = false }) {
    if (all === (experiment !== undefined)) return fail("bad_input", "name an experiment, or --all.");
    const runtime = await load();
    if (experiment !== undefined) {
      const ended = endByHand(runtime, experiment, by);
      return ended.ok ? ok({ stopped: [ended.value] }) : ended;
    }
    const ended = endAll(runtime, by);
    return ended.ok ? ok({ stopped: ended.value.map((one) => viewTrial(runtime, one)) }) : ended;
  },
  /** Without a name: this week. Of another what was written: its records may be deleted. */
  async "report.get"(context, { week: name }) {
    const runtime = await context.runtime();
    const week = weekOf(runtime.now());
    if (name !== undefined && name !== week.name) return writtenReport(runtime, name, week.name);
    const facts = runtime.store.read((sql) => weeklyFacts(sql, week), null);
    if (!facts) return fail("not_found", "nothing is stored yet, so there is nothing to report.");
    const advice = adviceFor(runtime, betterValues(runtime, recordedSessions(runtime)));
    return ok({ week: week.name, report: weeklyReport(facts, advice) });
  },
  async "report.workflows"({ runtime: load }) {
    const workflows = workflowsOf(await load());
    return ok({ ...workflows, texts: workflowTexts(workflows) });
  },
  async "prompts.like"({ runtime: load }, { text }) {
    const { store } = await load();
    return ok(compareWithPast(text, store.read(pastPrompts, [])));
  },
  async "review.run"({ runtime: load, call }, { dryRun }) {
    const runtime = await load();
    const better = betterValues(runtime, recordedSessions(runtime));
    const [best] = runtime.config.kaizen === "apply" ? better : [];
    if (dryRun) return ok({ better, moved: [], started: null, notes: [planText(runtime, best)], report: null });
    const advanced = await call("review.advance", {});
    if (!advanced.ok) return advanced;
    const wanted = best && {
      key: best.key,
      to: best.to,
      replayed: best.replayed,
      reason: "replay finds it better",
      isByPerson: false,
    };
    const started = wanted ? await call("experiments.begin", wanted) : null;
    // A trial that may not start now is left to the next review.
    const notes = started?.ok === false ? [`\`${best?.key}\` is not tried: ${started.error.message}`] : [];
    const { moved } = advanced.value;
    const report = writeLastWeek(runtime, adviceFor(runtime, better));
    return ok({ better, moved, started: started?.ok === true ? started.value : null, notes, report });
  },
  async "review.advance"({ runtime: load }) {
    const runtime = await load();
    return ok({ moved: advanceAll(runtime).map((one) => viewTrial(runtime, one)) });
  },
} satisfies Partial<Handlers>;

/** Oldest first. */
function recordedSessions({ store }: Runtime): ReplaySession[] {
  return store.read((sql) => pastSessions(sql), []);
}

function workflowsOf({ store, now }: Runtime): Workflows {
  const at = now();
  const since = at - workflowMs;
  const nothing = { found: [], earlier: [], unread: 0 };
  return store.read((sql) => findWorkflows(chatRecords(sql, since), at, countUnread(sql, since)), nothing);
}

/** Sentences for the report: what loses time, and settings with which less is lost. */
function adviceFor(runtime: Runtime, better: readonly BetterValue[]): string[] {
  return [...workflowTexts(workflowsOf(runtime)), ...better.map(adviceOf)];
}

function adviceOf({ key, from, to, note }: BetterValue): string {
  return `\`${key}\` ${from} -> ${to}: ${note}. \`shim config set ${key} ${to}\` sets it.`;
}

function planText({ config }: Runtime, best: BetterValue | undefined): string {
  if (config.kaizen !== "apply") return "Would change nothing: `shim config set kaizen apply` allows trials.";
  return best ? `Would try ${best.key} = ${best.to}.` : "Would try nothing.";
}

function writtenReport({ paths }: Runtime, name: string, present: string): Result<{ week: string; report: string }> {
  const path = join(paths.home, "reports", `${name}.md`);
  if (!/^\d{4}-W\d{2}$/.test(name))
    return fail("bad_input", `"${name.slice(0, 40)}" is no week. Name one such as ${present}.`);
  if (existsSync(path)) return ok({ week: name, report: readFileSync(path, "utf8") });
  return fail(
    "not_found",
    `there is no report of ${name}: the daily review writes one of each week with chats, once it is over.`,
  );
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
  return fail("ended", `${id} has ended: ${state}.`);
}
