import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ToolName } from "../analysis/adapter.ts";
import type { Finding } from "../analysis/finding.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { inCommit } from "../transform/worktree.ts";
import {
  isToolSettings,
  sourceExtension,
  type Candidate,
  type Fixer,
  type PlanRequest,
  isOpen,
  rank,
} from "./candidate.ts";
import { baselineRefusal, measureBefore, type ChangeOptions } from "./change.ts";
import { applyFixer, isUnusedName, removeUnused } from "./fix.ts";
import type { Measured } from "./measure.ts";
import { offeredChanges, type RunFacts } from "./run.ts";
import { loadAstGrep, needsParser, type AstGrep } from "./silencers.ts";

export interface Plan {
  readonly candidates: readonly Candidate[];
  readonly facts: RunFacts;
}

interface PlanInput extends Pick<PlanRequest, "maxTasks" | "only"> {
  readonly commit: string;
  /** Whether what the judge has rejected is tried again. */
  readonly isRetry: boolean;
  readonly signal: AbortSignal;
}

const maxNotes = 50;
const maxNoteChars = 300;

/** Measures a commit and ranks its findings. The error says why nothing can be judged. */
export async function makePlan(options: ChangeOptions, input: PlanInput): Promise<Result<Plan, string>> {
  const { project, claude } = options;
  const { commit, signal, only, maxTasks, isRetry } = input;
  const measured = await measureBefore(options, commit, signal, { isRenewed: true });
  if (!measured.ok) return measured;
  const refusal = baselineRefusal(measured.value);
  if (refusal !== null) return err(refusal);
  const decided = await decidedBefore(options, isRetry);
  if (!decided.ok) return decided;
  const { findings, hotspots, tools, notes } = measured.value;
  const open = findings.filter((one) => isOpen(one, only, decided.value));
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  const trial = await findFixable(options, measured.value, open, astGrep, signal);
  if (signal.aborted) return err("stopped before it was done");
  const all = rank(open, hotspots, trial.fixable);
  const isDone = ({ method }: Candidate): boolean =>
    method === "fix" || (method === "worker" && claude !== null && astGrep !== null);
  const doable = all.filter(isDone);
  const candidates = doable.slice(0, maxTasks);
  const left = (method: Candidate["method"]): number =>
    all.filter((one) => one.method === method && !isDone(one)).length;
  const failed = tools.filter(({ status }) => status === "failed");
  const counts = [
    [left("worker"), "need a worker, which is not set up"],
    [left("person"), "are for a person"],
    [doable.length - candidates.length, "more are worth a change than this run may try"],
    [findings.length - open.length, "findings are left out: by --only, or since their change was rejected or waits"],
  ] as const;
  return ok({
    candidates,
    facts: {
      base: commit,
      findings: findings.length,
      tools: tools.filter(({ status }) => status === "ran").map(({ name }) => name),
      notes: [
        ...notes,
        ...(astGrep === null ? [`No unused code is removed, and no worker was used: ${needsParser}.`] : []),
        ...trial.notes,
        ...failed.map(({ name, why }) => `${name} failed: ${why ?? ""}`.slice(0, maxNoteChars)),
        ...counts.filter(([count]) => count > 0).map(([count, why]) => `${count} ${why}.`),
      ].slice(0, maxNotes),
    },
  });
}

/** Fingerprints of findings whose change was rejected, or waits for a review. */
async function decidedBefore(
  { decisions, workspace, project }: ChangeOptions,
  isRetry: boolean,
): Promise<Result<ReadonlySet<string>, string>> {
  const offered = await offeredChanges(workspace, project, decisions);
  if (!offered.ok) return err(offered.error.message);
  const rejected = decisions.all().filter(({ isAccepted, by }) => !isAccepted && !(isRetry && by === "judge"));
  return ok(new Set([...rejected, ...offered.value].flatMap(({ fingerprints }) => fingerprints)));
}

const linters: readonly string[] = ["oxlint", "biome", "eslint", "complexity"] satisfies ToolName[];

/** A trial in a throwaway worktree shows which findings a fixer removes. */
function findFixable(
  { deps, project, limitMs }: ChangeOptions,
  { commit, tools }: Measured,
  open: readonly Finding[],
  astGrep: AstGrep | null,
  signal: AbortSignal,
): Promise<{ readonly fixable: ReadonlyMap<string, Fixer>; readonly notes: readonly string[] }> {
  return inCommit(deps, project, { commit, signal }, async (folder, worktree) => {
    const fixable = new Map<string, Fixer>();
    const inCode = open.filter(({ file }) => sourceExtension.test(file) && !isToolSettings(file));
    for (const one of astGrep === null ? [] : inCode.filter(isUnusedName)) {
      const source = readFileSync(join(folder, one.file), "utf8");
      if (removeUnused(astGrep as AstGrep, one.file, source, [one]) !== source) fixable.set(one.fingerprint, "unused");
    }
    const only = tools.filter(({ name, status }) => status === "ran" && linters.includes(name)).map(({ name }) => name);
    const linted = inCode.filter(({ tool, fingerprint }) => linters.includes(tool) && !fixable.has(fingerprint));
    if (linted.length === 0 || only.length === 0) return { fixable, notes: [] };
    const { tree } = worktree;
    const request = {
      fixer: "lint-fix",
      tree,
      git: worktree.git(signal),
      files: [],
      findings: [],
      limitMs,
      signal,
    } as const;
    const applied = await applyFixer(deps, project, request);
    const report = applied.ok ? await analyze({ ...deps, folder, isTrusted: true, signal, only }) : applied;
    if (!report.ok) return { fixable, notes: [`The fixes of the linter were not tried: ${report.error}`] };
    const left = new Set(report.value.findings.map(({ fingerprint }) => fingerprint));
    for (const { fingerprint } of linted) if (!left.has(fingerprint)) fixable.set(fingerprint, "lint-fix");
    return { fixable, notes: [] };
  });
}
