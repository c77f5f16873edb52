import { join, posix } from "node:path";
import { pluralize } from "../../shared/format.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { lines } from "../../snapshots/git.ts";
import { gitInFolder } from "../../snapshots/user-repository.ts";
import { lintTools, type Finding } from "../analysis/finding.ts";
import {
  candidateOf,
  filesOf,
  ruleCandidate,
  isOpen,
  isToolSettings,
  rank,
  sourceExtension,
  type Candidate,
  type FixName,
} from "./candidate.ts";
import type { ChangeOptions } from "./change.ts";
import { isUnusedName, patchOf, type Patches, tryFixer } from "./fixers.ts";
import { measure, unstable, type Measured } from "./measure.ts";
import { findSurvivors, type Search } from "./mutations.ts";
import { withBranches, type RunFacts } from "./run.ts";
import { loadAstGrep, needsParser } from "./silencers.ts";

export interface Plan {
  readonly candidates: readonly Candidate[];
  readonly facts: RunFacts;
  readonly patches: Patches;
  /** The commit; null: no change is tried. */
  readonly measured: Measured | null;
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
  const { project, claude } = options;
  const { commit, signal, only, maxTasks, isRetry } = input;
  const found = await measureBase(options, input);
  if (!found.ok) return found;
  const measured = found.value;
  const { findings, tools, notes } = measured;
  const chosen = findings.filter((one) => isOpen(one, only));
  const tests = new Set(measured.testFiles);
  // The judge permits no change of a test, so findings in tests are none of this run's.
  const open = chosen.filter((one) => filesOf(one).every((file) => !tests.has(file)));
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  const trial = await tryFixers(options, measured, open, signal);
  if (signal.aborted) return err("stopped before it was done");
  const decided = await decidedIds(options, isRetry);
  const ranked = rank(open, trial.fixable);
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
    [findings.length - chosen.length, "findings are left out by --only"],
    [chosen.length - open.length, "findings are in tests, which are not changed"],
    [ranked.length - all.length, "are left out, since a branch waits, or the judge has rejected them"],
  ] as const;
  const facts: RunFacts = {
    base: commit,
    findings: findings.length,
    tools: namesOfRun(measured),
    notes: [
      ...notes,
      ...(claude !== null && astGrep === null ? [`No worker is used: ${needsParser}.`] : []),
      ...trial.notes,
      ...failed.map(({ name, why }) => `${name} failed: ${why ?? ""}`.slice(0, maxNoteChars)),
      ...countTexts(counts),
    ].slice(0, maxNotes),
  };
  return ok({ candidates, facts, patches: trial.patches, measured });
}

type TestsPlanInput = Omit<PlanInput, "only"> & Pick<Search, "file" | "until" | "onNote">;

/** Plants defects in a file; what no test holds is worth a test. The error says why it cannot. */
export async function planTests(options: ChangeOptions, input: TestsPlanInput): Promise<Result<Plan, string>> {
  const { maxTasks, commit, isRetry, signal, file, until, onNote } = input;
  const { project, claude, deps, tests } = options;
  const astGrep = await loadAstGrep(join(project.top, project.prefix));
  if (astGrep === null) return err(needsParser);
  const git = gitInFolder(deps.env, project.top);
  const committed = await lines(git, ["ls-tree", commit, "--", posix.join(project.prefix, file)]);
  if (committed.length === 0) return err(`${file} is not in the commit ${commit.slice(0, 12)}`);
  const found = await measureBase(options, input);
  if (!found.ok) return found;
  const measured = found.value;
  const search = { project, commit, tests, testsMs: measured.tests.ms, signal, file, until, onNote };
  const hunted = await findSurvivors(deps, search, astGrep);
  if (!hunted.ok) return hunted;
  const { survivors, planted, left, by } = hunted.value;
  const decided = await decidedIds(options, isRetry);
  const all = survivors.map(candidateOf).filter(({ id }) => !decided.has(id));
  const candidates = all.slice(0, maxTasks);
  const counts = [
    [claude === null ? all.length : 0, "need a worker, which is not set up: name a file of settings with --config"],
    [all.length - candidates.length, "more are worth a test than this run may try"],
    [survivors.length - all.length, "are left out, since a branch waits, or the judge has rejected them"],
    [left, "more were not planted: half of the run's time is over"],
  ] as const;
  const held =
    planted === 0
      ? `${by} can plant no defect in ${file}.`
      : `${survivors.length} of ${pluralize(planted, "defect")} that ${by} planted in ${file} are held by no test.`;
  const notes = [...measured.notes, held, ...countTexts(counts)];
  const facts = { base: commit, findings: measured.findings.length, tools: namesOfRun(measured), notes };
  return ok({ candidates, facts, patches: new Map(), measured });
}

interface RulesPlanInput extends Pick<PlanInput, "commit" | "signal"> {
  /** Rules of ast-grep. */
  readonly rules: string;
  /** Only the change is asked for. */
  readonly isDryRun: boolean;
}

/** The change that rules of ast-grep make. The error says why there is none. */
export async function planRules(options: ChangeOptions, input: RulesPlanInput): Promise<Result<Plan, string>> {
  const { rules, commit, isDryRun } = input;
  const patch = await patchOf(options.deps, options.project, { rules }, input);
  if (!patch.ok) return patch;
  const isIdle = patch.value === "";
  const measured = isDryRun || isIdle ? null : await measureBase(options, input);
  if (measured?.ok === false) return measured;
  const base = measured?.value ?? null;
  const facts = {
    base: commit,
    findings: base?.findings.length ?? 0,
    tools: base === null ? [] : namesOfRun(base),
    notes: base?.notes ?? [],
  };
  const candidates = isIdle ? [] : [ruleCandidate(rules)];
  return ok({ candidates, facts, patches: new Map([["rules", patch.value]]), measured: base });
}

/** Measures a commit by which changes can be judged. The error says why they cannot. */
async function measureBase(
  { deps, project, tests }: ChangeOptions,
  { commit, signal }: Pick<PlanInput, "commit" | "signal">,
): Promise<Result<Measured, string>> {
  const found = await measure(deps, project, { commit, tests, runs: 2, signal });
  if (!found.ok || found.value.tests.failure === null) return found;
  const { failure, isFlaky } = found.value.tests;
  const why = isFlaky ? unstable : "the tests fail before any change";
  return err(`${why}: ${failure.trim()}`);
}

/** Ids of candidates for which a branch waits, or which the judge has rejected. */
async function decidedIds({ deps, project, rejections }: ChangeOptions, isRetry: boolean): Promise<Set<string>> {
  const branches = await withBranches(gitInFolder(deps.env, project.top));
  return new Set([...branches, ...(isRetry ? [] : rejections.all())]);
}

function countTexts(counts: readonly (readonly [count: number, why: string])[]): string[] {
  return counts.filter(([count]) => count > 0).map(([count, why]) => `${count} ${why}.`);
}

function namesOfRun({ tools }: Measured): string[] {
  return tools.filter(({ status }) => status === "ran").map(({ name }) => name);
}

/** Findings that a fixer may remove. */
const fixers: readonly (readonly [name: FixName, isFor: (finding: Finding) => boolean])[] = [
  ["unused-fix", (finding) => finding.tool === "knip" && isUnusedName(finding)],
  ["lint-fix", ({ tool }) => lintTools.includes(tool)],
];

interface Trial {
  readonly fixable: ReadonlyMap<string, FixName>;
  readonly patches: Patches;
  readonly notes: readonly string[];
}

/** A trial shows which findings a fixer removes. */
async function tryFixers(
  { deps, project }: ChangeOptions,
  { commit }: Measured,
  open: readonly Finding[],
  signal: AbortSignal,
): Promise<Trial> {
  const fixable = new Map<string, FixName>();
  const patches = new Map<FixName, string>();
  const notes: string[] = [];
  const inCode = open.filter(({ file }) => sourceExtension.test(file) && !isToolSettings(file));
  for (const [name, isFor] of fixers) {
    const findings = inCode.filter(isFor);
    if (findings.length === 0) continue;
    const tried = await tryFixer(deps, project, name, { commit, findings, signal });
    if (!tried.ok) notes.push(`${name} was not tried: ${tried.error}`.slice(0, maxNoteChars));
    else {
      patches.set(name, tried.value.patch);
      for (const fingerprint of tried.value.removed) fixable.set(fingerprint, name);
    }
  }
  return { fixable, patches, notes };
}
