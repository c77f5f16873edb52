import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { Json } from "../../contract/values.ts";
import { claudeExecutor, ClaudeSettings, CommandWords } from "../../runner/worker/client/claude-executor.ts";
import { failed, readPayload, type Executor, type RunOutcome, type TaskRun } from "../../runner/worker/executor.ts";
import type { TaskDeps, TypeSettings } from "../../runner/worker/tasks/task-type.ts";
import { err, ok, type Result, fail, type Failure } from "../../shared/result.ts";
import { openRepository, gitInFolder, resolveCommit } from "../../snapshots/user-repository.ts";
import type { ToolName } from "../analysis/adapter.ts";
import type { Finding } from "../analysis/finding.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { isTrusted } from "../tool-runner/project-folder.ts";
import { reserveForTask } from "../transform/reserve-files.ts";
import { inCommit } from "../transform/worktree.ts";
import {
  isToolSettings,
  sourceExtension,
  type Candidate,
  type Fixer,
  type PlanRequest,
  isOpen,
  rank,
  EvolveTask,
} from "./candidate.ts";
import { baselineRefusal, measureBefore, type ChangeOptions, runChange, workerRules } from "./change.ts";
import { applyFixer, isUnusedName, removeUnused, loadAstGrep, needsParser, type AstGrep } from "./fix.ts";
import type { Measured } from "./measure.ts";
import { offeredChanges, type RunFacts, Decisions, runTag, readRun, toTasks } from "./run.ts";

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

/** A worker's settings for tasks of runs: what code runs is never chosen by a task. */
export const EvolveSettings = z.strictObject({
  /** The project's tools and tests may run, which are its code. */
  trust: z.boolean().default(false),
  /** Has to succeed. Default: `npm test`. */
  tests: CommandWords.optional(),
  /** Folder of the package in the repository. Default: its top. */
  project: z
    .string()
    .regex(/^(?!\/)[^\p{Cc}]{1,400}$/u, "a folder in the repository")
    .refine((path) => !path.split("/").includes(".."), "a folder in the repository")
    .optional(),
  /** Does what no tool can. */
  claude: ClaudeSettings.optional(),
  /** Limit of each run of the tests. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(1_800_000),
});
export type EvolveSettings = z.infer<typeof EvolveSettings>;

/** Type of tasks that are parts of runs. */
export interface EvolveType extends TypeSettings {
  readonly evolve?: EvolveSettings | undefined;
}

/** Refused where the project's code would have to run, and nothing says that it may. */
export async function createEvolve(deps: TaskDeps, type: EvolveType, top: string): Promise<Result<Executor, Failure>> {
  const isAllowed = type.evolve?.trust === true || isTrusted(top, deps.runtime.config.analysis.trusted);
  if (!isAllowed) return fail("bad_input", "tests run code of the repository: set trust to true.");
  const options = await evolveOptions(deps, type, top);
  const { claude, tests } = options;
  return ok({
    run: (run) => runTask(options, run),
    programs: [...(claude?.programs ?? []), ...(tests ? [tests[0]] : [])],
    // A plan makes its own, and a report reads.
    needsWorktree: ({ payload }) => EvolveTask.safeParse(payload).data?.evolve === "change",
  });
}

export async function evolveOptions(
  deps: TaskDeps,
  { base = "HEAD", evolve = EvolveSettings.parse({}) }: EvolveType,
  top: string,
): Promise<ChangeOptions> {
  const { env, runtime, workspace } = deps;
  const { project: prefix = "", claude, tests = null, timeLimitMs: limitMs } = evolve;
  const { repository } = await openRepository(env, top);
  const project = { top, repository, prefix };
  const instruction = [workerRules, claude?.instruction ?? []].flat().join("\n\n");
  return {
    deps,
    project,
    decisions: new Decisions(runtime.paths.home, project),
    claude: claude ? claudeExecutor({ ...deps, settings: { ...claude, instruction } }) : null,
    tests,
    limitMs,
    base,
    workspace,
    reserve: (paths) => reserveForTask(workspace, { top, paths: [] }, paths),
  };
}

/** Does the tasks of runs: plans one, makes a change, reports. */
function runTask(options: ChangeOptions, run: TaskRun): Promise<RunOutcome> {
  const payload = readPayload(EvolveTask, run.task.payload);
  if (!payload.ok) return Promise.resolve(payload.error);
  switch (payload.value.evolve) {
    case "plan":
      return submitPlan(options, run, payload.value);
    case "change":
      return runChange(options, run, payload.value);
    case "report":
      return report(options, run);
  }
}

async function submitPlan(options: ChangeOptions, run: TaskRun, request: PlanRequest): Promise<RunOutcome> {
  const { deps, project, workspace, base } = options;
  const commit = await resolveCommit(gitInFolder(deps.env, project.top), base);
  const { signal } = run;
  const plan = await makePlan(options, { ...request, commit, isRetry: false, signal });
  if (!plan.ok) return signal.aborted ? { kind: "stopped" } : failed(plan.error);
  const { candidates, facts } = plan.value;
  const { type, task } = run.task;
  const { allowsApi, limits } = request;
  const tasks = toTasks(candidates, { type, tag: runTag(project), allowsApi, limits, facts });
  // The same task submits the same run once, however often it is tried.
  const submitted = await workspace.call("tasks.submit", { tasks, requestId: `evolve-${task}` });
  if (!submitted.ok) return failed(submitted.error.message, submitted.error.code !== "key_reused");
  const job = submitted.value.tasks.at(-1)?.task ?? null;
  const listed = candidates.map(({ id, method, value, files }) => ({ id, method, value, files }));
  return { kind: "done", result: { job, plan: listed, facts } as unknown as Json };
}

async function report({ workspace }: ChangeOptions, { task: { task } }: TaskRun): Promise<RunOutcome> {
  const state = await readRun(workspace, task);
  return state.ok ? { kind: "done", result: state.value.report as unknown as Json } : failed(state.error.message, true);
}
