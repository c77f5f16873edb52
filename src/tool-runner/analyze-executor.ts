import { realpathSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { toolNames } from "../analysis/adapter.ts";
import { toText } from "../analysis/formats/text.ts";
import type { Finding } from "../analysis/finding.ts";
import type { Report } from "../analysis/report.ts";
import type { Json } from "../contract/json.ts";
import { redact } from "../redaction/redact.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { keepOutput } from "../worker-runner/output-files.ts";
import type { TaskDeps } from "../worker-runner/tasks/task-type.ts";
import { analyze, defaultMemoryMb, defaultTimeMs, type AnalysisOptions } from "./analyze.ts";
import { isTrusted } from "./project-folder.ts";

/** A worker's settings for tasks that are analyses. */
export const AnalyzeSettings = z.strictObject({
  /** Tools may run the project's code. */
  trust: z.boolean().default(false),
  /** Limit of each tool. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(defaultTimeMs),
});
export type AnalyzeSettings = z.infer<typeof AnalyzeSettings>;

/** The payload cannot give trust: only the worker's own machine can. */
const Payload = z.strictObject({
  since: z.string().min(1).max(200).optional(),
  only: z.array(z.enum(toolNames)).min(1).optional(),
});

interface AnalyzeDeps extends Pick<AnalysisOptions, "env" | "now" | "monotonic"> {
  readonly settings: AnalyzeSettings;
  readonly trusted: readonly string[];
  /** Where whole reports are kept. */
  readonly reports: string;
}

/** [AN15] Does a task by an analysis of its folder; the result is a summary. */
export function createAnalysis({ env, now, monotonic, runtime, home }: TaskDeps, settings: AnalyzeSettings): Executor {
  const reports = join(home, "analysis");
  const { trusted } = runtime.config.analysis;
  return { run: (run) => runAnalysis({ settings, trusted, reports, env, now, monotonic }, run) };
}

async function runAnalysis(deps: AnalyzeDeps, run: TaskRun): Promise<RunOutcome> {
  const payload = Payload.safeParse(run.task.payload ?? {});
  if (!payload.success) return finalFailure(`the payload is none of an analysis: ${z.prettifyError(payload.error)}`);
  try {
    const report = await analyze(toOptions(deps, run, payload.data));
    if (run.signal.aborted) return { kind: "stopped" };
    return report.ok ? toOutcome(deps, run, report.value) : finalFailure(report.error);
  } catch (error) {
    if (run.signal.aborted) return { kind: "stopped" };
    throw error;
  }
}

function toOptions(
  { settings, trusted, env, now, monotonic }: AnalyzeDeps,
  { folder: given, signal, onProgress }: TaskRun,
  { since, only }: z.infer<typeof Payload>,
): AnalysisOptions {
  const folder = realpathSync(given);
  return {
    folder,
    only: only ?? null,
    isTrusted: settings.trust || isTrusted(folder, trusted),
    timeMs: settings.timeLimitMs,
    memoryMb: defaultMemoryMb,
    since: since ?? null,
    baseline: null,
    env,
    now,
    monotonic,
    signal,
    onRun: ({ name, status, findings }) => onProgress({ note: `${name} ${status}, ${findings} findings` }),
  };
}

function finalFailure(reason: string): RunOutcome {
  return { kind: "failed", reason, isRetryable: false };
}

function toOutcome({ reports }: AnalyzeDeps, run: TaskRun, report: Report): RunOutcome {
  run.onOutput(toText(report));
  const path = keepOutput(reports, run.task, `${JSON.stringify(report, null, 2)}\n`);
  if (!report.tools.some(({ status }) => status === "ran")) {
    const reasons = report.tools.filter(({ status }) => status !== "unused").map(({ name, why }) => `${name}: ${why}`);
    return finalFailure(["no tool ran", ...reasons, ...report.advice].join("; "));
  }
  const summary = JSON.parse(redact(JSON.stringify(summarize(report))).text) as { [key: string]: Json };
  return { kind: "done", result: { ...summary, report: path } };
}

const maxFindings = 50;
const maxHotspots = 10;
const maxMessageChars = 300;

function toShort({ tool, rule, level, file, range, message, fingerprint, isNew }: Finding): object {
  const line = range?.line ?? null;
  return {
    tool,
    rule,
    level,
    file,
    line,
    message: message.slice(0, maxMessageChars),
    fingerprint,
    isNew: isNew ?? null,
  };
}

/** New findings first, then by level. */
function summarize({ tools, findings, totals, comparedWith, hotspots, advice, notes, limits }: Report): object {
  const order = ["error", "warning", "note"];
  const ranked = findings.toSorted(
    (a, b) => Number(b.isNew ?? false) - Number(a.isNew ?? false) || order.indexOf(a.level) - order.indexOf(b.level),
  );
  const shown = ranked.slice(0, maxFindings).map(toShort);
  const used = tools.filter(({ status }) => status !== "unused");
  return {
    totals,
    comparedWith,
    findings: shown,
    omitted: findings.length - shown.length,
    hotspots: hotspots.slice(0, maxHotspots),
    tools: used.map(({ name, version, status, why }) => ({ name, version, status, why })),
    advice,
    notes,
    limits,
  };
}
