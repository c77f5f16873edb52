import { realpathSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { toolNames } from "../analysis/adapter.ts";
import { toText } from "../analysis/formats.ts";
import type { Report } from "../analysis/report.ts";
import type { Json } from "../../contract/json.ts";
import { redact } from "../../redaction/redact.ts";
import { failed, readPayload, type Executor, type RunOutcome, type TaskRun } from "../../runner/worker/executor.ts";
import { keepOutput } from "../../runner/worker/output-files.ts";
import type { TaskDeps } from "../../runner/worker/tasks/task-type.ts";
import { analyze } from "./analyze.ts";
import { isTrusted } from "./project-folder.ts";
import { defaultTimeMs } from "./run-tool.ts";

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
type Payload = z.infer<typeof Payload>;

/** Does a task by an analysis of its folder; the result is a summary. */
export function createAnalysis(deps: TaskDeps, settings: AnalyzeSettings): Executor {
  const reports = join(deps.home, "analysis");
  const { trusted } = deps.runtime.config.analysis;
  const analyzeFolder = (run: TaskRun, payload: Payload): ReturnType<typeof analyze> => {
    const folder = realpathSync(run.folder);
    return analyze({
      ...deps,
      ...payload,
      folder,
      isTrusted: settings.trust || isTrusted(folder, trusted),
      timeMs: settings.timeLimitMs,
      signal: run.signal,
      onRun: ({ name, status, findings }) => run.onProgress({ note: `${name} ${status}, ${findings} findings` }),
    });
  };
  return {
    run: async (run) => {
      const payload = readPayload(Payload, run.task.payload);
      if (!payload.ok) return payload.error;
      try {
        const report = await analyzeFolder(run, payload.value);
        if (run.signal.aborted) return { kind: "stopped" };
        return report.ok ? toOutcome(reports, run, report.value) : failed(report.error);
      } catch (error) {
        if (run.signal.aborted) return { kind: "stopped" };
        throw error;
      }
    },
  };
}

function toOutcome(reports: string, run: TaskRun, report: Report): RunOutcome {
  run.onOutput(toText(report));
  const path = keepOutput(reports, run.task, `${JSON.stringify(report, null, 2)}\n`);
  if (!report.tools.some(({ status }) => status === "ran")) {
    const reasons = report.tools.map(({ name, why }) => `${name}: ${why}`);
    return failed(["no tool ran", ...reasons].join("; "));
  }
  const summary = JSON.parse(redact(JSON.stringify(summarize(report))).text) as { [key: string]: Json };
  return { kind: "done", result: { ...summary, report: path } };
}

const maxFindings = 50;
const maxHotspots = 10;
const maxMessageChars = 300;
const levels = ["error", "warning", "note"];

/** New findings first, then by level. */
function summarize({ tools, findings, hotspots, totals, comparedWith, notCovered, notes }: Report): object {
  const ranked = findings.toSorted(
    (a, b) => Number(b.isNew ?? false) - Number(a.isNew ?? false) || levels.indexOf(a.level) - levels.indexOf(b.level),
  );
  const shown = ranked.slice(0, maxFindings).map(({ tool, rule, level, file, range, message, fingerprint, isNew }) => {
    const short = message.slice(0, maxMessageChars);
    return { tool, rule, level, file, line: range?.line ?? null, message: short, fingerprint, isNew: isNew ?? null };
  });
  return {
    totals,
    comparedWith,
    findings: shown,
    omitted: findings.length - shown.length,
    hotspots: hotspots.slice(0, maxHotspots),
    tools: tools.map(({ name, version, status, why }) => ({ name, version, status, why })),
    notCovered,
    notes,
  };
}
