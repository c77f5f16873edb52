import { existsSync } from "node:fs";
import { join } from "node:path";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { findWeek, weekOf, weeklyReport, withTrials, type Week } from "../../experiments/weekly-report.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, ok } from "../../shared/result.ts";
import type { Host, HostResult } from "./host.ts";
import { readWorkspaceTrials, type Deciding } from "../experiments/experiments.ts";
import { sendCounted } from "../experiments/send-counted.ts";
import { compareQueue } from "../experiments/compare-queue.ts";
import { examine, storeCounts, type Examination } from "./examine.ts";
import { nextTrial, type NextTrial } from "../experiments/next-trial.ts";
import { weeklyFacts } from "../experiments/weekly-facts.ts";
import { reviewWorkspace, type WorkspaceReviewOptions } from "../experiments/workspace-review.ts";

/** [EX81] */
export async function review(
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
  const advanced = await call("review.advance", { trial: next.trial });
  if (!advanced.ok) return advanced;
  await sendCounted(runtime, (experiment, sent) => call("review.mark-sent", { experiment, sent }));
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

/** [EX90] */
async function reviewTeam(
  deciding: Deciding,
  call: Host["call"],
  { findings }: Examination,
  isDryRun: boolean,
): Promise<string> {
  const { runtime } = deciding;
  const note: WorkspaceReviewOptions["note"] = (done) => call("review.note", done);
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
export async function readReport(deciding: Deciding, name?: string): Promise<HostResult<MachineOutput<"report.get">>> {
  const { runtime } = deciding;
  const present = weekOf(runtime.now());
  const week = name === undefined ? present : findWeek(name);
  if (!week)
    return err({
      code: "bad_input",
      message: `"${(name ?? "").slice(0, 40)}" is no week. Name one such as ${present.name}.`,
    });
  const examined = week.until > runtime.now() ? await examine(deciding) : null;
  const report = await reportOf(deciding, week, examined && ideas(examined, nextOf(runtime, examined)));
  if (report !== null) return ok({ week: week.name, report });
  return err({ code: "not_found", message: "nothing is stored yet, so there is nothing to report." });
}
