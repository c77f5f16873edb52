import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { isOnPath } from "../../platform/program-path.ts";
import { claudeExecutor, ClaudeSettings, CommandWords } from "../../runner/worker/client/claude-executor.ts";
import type { TaskDeps } from "../../runner/worker/tasks/task-type.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { lintTools, type Finding } from "../analysis/finding.ts";
import { gitInFolder } from "../../snapshots/user-repository.ts";
import { analyze } from "../tool-runner/analyze.ts";
import type { Tests } from "../tool-runner/run-tool.ts";
import { reserveFiles, type Release } from "../transform/reserve-files.ts";
import { inCommit, type RepositoryProject } from "../transform/worktree.ts";
import { isOpen, isToolSettings, rank, sourceExtension, type Candidate, type Fixer } from "./candidate.ts";
import { baselineRefusal, measureBefore, workerRules, type ChangeOptions } from "./change.ts";
import { applyFixer, isUnusedName, loadAstGrep, needsParser, removeUnused, type AstGrep } from "./fix.ts";
import type { Measured } from "./measure.ts";
import { Rejections, withBranches, type RunFacts } from "./run.ts";

export interface Plan {
  readonly candidates: readonly Candidate[];
  readonly facts: RunFacts;
}

interface PlanInput {
  readonly maxTasks: number;
  readonly only: readonly string[];
  readonly commit: string;
  /** Whether what the judge has rejected is tried again. */
  readonly isRetry: boolean;
  readonly signal: AbortSignal;
}

const maxNotes = 50;
const maxNoteChars = 300;

/** Measures a commit and ranks its findings. The error says why nothing can be judged. */
export async function makePlan(options: ChangeOptions, input: PlanInput): Promise<Result<Plan, string>> {
  const { project, claude, deps, rejections } = options;
  const { commit, signal, only, maxTasks, isRetry } = input;
  const measured = await measureBefore(options, commit, signal, { isRenewed: true });
  if (!measured.ok) return measured;
  const refusal = baselineRefusal(measured.value);
  if (refusal !== null) return err(refusal);
  const { findings, hotspots, tools, notes } = measured.value;
  const open = findings.filter((one) => isOpen(one, only));
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  const trial = await findFixable(options, measured.value, open, astGrep, signal);
  if (signal.aborted) return err("stopped before it was done");
  const decided = new Set(await withBranches(gitInFolder(deps.env, project.top)));
  if (!isRetry) for (const id of rejections.all()) decided.add(id);
  const ranked = rank(open, hotspots, trial.fixable);
  const all = ranked.filter(({ id }) => !decided.has(id));
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
    [findings.length - open.length, "findings are left out by --only"],
    [ranked.length - all.length, "are left out, since a branch waits, or the judge has rejected them"],
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
    const only = tools
      .filter(({ name, status }) => status === "ran" && lintTools.includes(name))
      .map(({ name }) => name);
    const linted = inCode.filter(({ tool, fingerprint }) => lintTools.includes(tool) && !fixable.has(fingerprint));
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

/** A file of settings of runs. */
export const EvolveSettings = z.strictObject({
  /** Has to succeed. Default: `npm test`. */
  tests: CommandWords.optional(),
  /** Does what no tool can. */
  claude: ClaudeSettings.optional(),
  /** Limit of each run of the tests. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(1_800_000),
});
export interface EvolveSettings extends Omit<z.infer<typeof EvolveSettings>, "tests"> {
  readonly tests?: Tests | undefined;
}

/** Parts of this machine that a run needs. */
export function evolveOptions(
  deps: TaskDeps,
  project: RepositoryProject,
  { claude, tests, timeLimitMs: limitMs }: EvolveSettings,
): Result<ChangeOptions> {
  const { workspace, runtime, env } = deps;
  if (claude && !isOnPath(claude.program, env)) return fail("bad_input", `there is no program ${claude.program}.`);
  const instruction = [workerRules, claude?.instruction ?? []].flat().join("\n\n");
  return ok({
    deps,
    project,
    rejections: new Rejections(runtime.paths.home, project),
    claude: claude ? claudeExecutor({ ...deps, settings: { ...claude, instruction } }) : null,
    tests: tests ?? null,
    limitMs,
    reserve: (paths) => reserveAsCommand(workspace, project.top, paths),
  });
}

/** A measurement takes longer than a chat may be silent, so the command registers each time. */
async function reserveAsCommand(workspace: Workspace, top: string, paths: readonly string[]): Promise<Result<Release>> {
  const self = await workspace.self();
  if (!self.ok) return self;
  const reserved = await reserveFiles(workspace, { top, paths: [], self: self.value, isOwnAllowed: true }, paths);
  if (!reserved.ok) return reserved;
  return ok(async () => {
    await workspace.self();
    await reserved.value();
  });
}
