import { join } from "node:path";
import type { ToolName } from "../analysis/adapter.ts";
import type { Finding } from "../analysis/finding.ts";
import { rulesToStop, pastChanges } from "../experiments/opportunities/find-opportunities.ts";
import { allDecisions } from "../platform/evolve-decisions.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { inCommit, resetTo, type RepositoryProject, type ThrowawayWorktree } from "../transform/worktree.ts";
import { readDiff, resolveCommit } from "../worker-runner/work-git.ts";
import { describe, Fixer, isToolSettings, type Candidate, type PlanRequest } from "./candidate.ts";
import { baselineRefusal, measureBefore, type ChangeOptions, type MeasureOptions } from "./change.ts";
import { applyFixer, isUnusedName, namesOf } from "./fix.ts";
import { newFindings } from "./judge.ts";
import type { Measured, MeasureDeps } from "./measure.ts";
import { byValue, isOpen, rank, testCandidates, type Fix } from "./rank.ts";
import type { RunFiles } from "./run-files.ts";
import type { RunFacts } from "./run.ts";
import { loadAstGrep, needsParser } from "./syntax.ts";

/** [EV14] Decisions of people and of the judge about earlier candidates. */
export interface PastDecisions {
  /** Fingerprints of findings whose change a person rejected, or has yet to review. */
  readonly fingerprints: ReadonlySet<string>;
  readonly judged: JudgedBefore;
  /** Rules whose changes people reject more often than usual. */
  readonly rules: ReadonlySet<string>;
}

/** Decisions of the judge, which a person may ask to try again. */
interface JudgedBefore {
  /** Ids of candidates that were rejected, or that wait for a review. */
  readonly candidates: ReadonlySet<string>;
  /** [EV211] Fingerprints of unused names whose change was rejected alone. */
  readonly rejected: ReadonlySet<string>;
  /** [EV211] Fingerprints of unused names that were rejected together: each is tried alone. */
  readonly alone: ReadonlySet<string>;
}

export const nothingJudged: JudgedBefore = { candidates: new Set(), rejected: new Set(), alone: new Set() };

/** Time for which a decision on a rule counts. */
const windowMs = 180 * 86_400_000;

/** @param home SHIM's folder */
export function pastDecisions(home: string, files: RunFiles, now: number): PastDecisions {
  const decisions = files.decisions();
  const decided = new Set(decisions.map(({ task }) => task));
  const tried = files.runs().flatMap(({ report }) => report?.tried ?? []);
  const rejected = tried.filter(({ outcome }) => outcome === "rejected");
  const waiting = tried.filter(({ outcome, task }) => outcome === "kept" && !decided.has(task));
  const unused = rejected.filter(({ method }) => method === ("unused" satisfies Fixer));
  return {
    fingerprints: printsOf([...decisions.filter(({ isAccepted }) => !isAccepted), ...waiting]),
    judged: {
      candidates: new Set([...rejected, ...waiting].map(({ candidate }) => candidate)),
      rejected: printsOf(unused.filter(({ fingerprints }) => fingerprints.length === 1)),
      alone: printsOf(unused),
    },
    rules: rulesToStop(pastChanges(allDecisions(home)).filter(({ at }) => at > now - windowMs)),
  };
}

function printsOf(some: readonly { readonly fingerprints: readonly string[] }[]): Set<string> {
  return new Set(some.flatMap(({ fingerprints }) => fingerprints));
}

export interface PlanDeps extends MeasureOptions, Pick<ChangeOptions, "claude"> {
  readonly decisions: PastDecisions;
}

export interface Plan {
  readonly candidates: readonly Candidate[];
  readonly facts: RunFacts;
}

interface PlanInput extends Pick<PlanRequest, "maxTasks" | "only"> {
  readonly commit: string;
  readonly signal: AbortSignal;
}

const maxReported = 50;
const maxNotes = 50;
const maxNoteChars = 300;

/** [EV1] Measures a commit and ranks its findings. The error says why nothing can be judged. */
export async function makePlan(plan: PlanDeps, input: PlanInput): Promise<Result<Plan, string>> {
  const { deps, project, limitMs, decisions, claude } = plan;
  const { commit, signal, only, maxTasks } = input;
  const measured = await measureBefore(plan, commit, signal, { isRenewed: true });
  if (!measured.ok) return measured;
  const refusal = baselineRefusal(measured.value);
  if (refusal !== null) return err(refusal);
  const { findings, hotspots, tools, notes, coverage, tests } = measured.value;
  const { fingerprints, rules, judged } = decisions;
  const rejected = new Set([...fingerprints, ...judged.rejected]);
  const { alone } = judged;
  const filters = { only, rejected, stopped: rules, alone };
  const worth = findings.filter((one) => isOpen(one, filters));
  const trials = await tryFixers(deps, project, { measured: measured.value, findings: worth, alone, limitMs, signal });
  if (signal.aborted) return err("stopped before it was done");
  const ranked = rank(findings, hotspots, { ...filters, fixable: trials.fixable });
  const all = [...ranked, ...(only.includes("tests") ? testCandidates(hotspots) : [])].toSorted(byValue);
  const fresh = all.filter(({ id }) => !judged.candidates.has(id));
  const canJudge = (await loadAstGrep(join(project.top, project.prefix))) !== null;
  const isDone = ({ method }: Candidate): boolean =>
    method === "fix" || (method === "worker" && claude !== null && canJudge);
  const doable = fresh.filter(isDone);
  const candidates = doable.slice(0, maxTasks);
  const others = fresh.filter((one) => !isDone(one));
  const failed = tools.filter(({ status }) => status === "failed");
  const counts = [
    [doable.length - candidates.length, "more are worth a change than this run may try"],
    [all.length - fresh.length, "are not tried again: the judge has rejected them, or they wait for a review"],
    [
      findings.length - worth.length,
      "findings are left out: by --only, since they were rejected, or since their change waits for a review",
    ],
  ] as const;
  return ok({
    candidates,
    facts: {
      base: commit,
      findings: findings.length,
      coverage,
      tests: tests.counts,
      tools: tools.filter(({ status }) => status === "ran").map(({ name }) => name),
      reported: others
        .slice(0, maxReported)
        .map((one) => ({ method: one.method, subject: one.subject, what: describe(one) })),
      notReported: Math.max(0, others.length - maxReported),
      notes: [
        ...notes,
        ...(claude && !canJudge ? [`No worker was used: ${needsParser}.`] : []),
        ...trials.notes,
        ...failed.map(({ name, why }) => `${name} failed: ${why ?? ""}`.slice(0, maxNoteChars)),
        ...counts.filter(([count]) => count > 0).map(([count, why]) => `${count} ${why}.`),
      ].slice(0, maxNotes),
    },
  });
}

const linters: readonly string[] = ["oxlint", "biome", "eslint", "complexity"] satisfies ToolName[];

const canFix: Readonly<Record<Fixer, (finding: Finding) => boolean>> = {
  "lint-fix": ({ tool, others = [] }) =>
    [tool, ...others.map((one) => one.tool)].some((name) => linters.includes(name)),
  unused: isUnusedName,
};

interface TrialRequest {
  readonly measured: Measured;
  readonly findings: readonly Finding[];
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** [EV11] A trial run of each fixer in a throwaway worktree shows which findings it removes. */
async function tryFixers(
  deps: MeasureDeps,
  project: RepositoryProject,
  { alone, ...request }: TrialRequest & { readonly alone: ReadonlySet<string> },
): Promise<{ readonly fixable: ReadonlyMap<string, Fix>; readonly notes: readonly string[] }> {
  const fixable = new Map<string, Fix>();
  const notes: string[] = [];
  for (const fixer of Fixer.options) {
    const open = request.findings.filter(
      (one) => !fixable.has(one.fingerprint) && !isToolSettings(one.file) && canFix[fixer](one),
    );
    const single = fixer === "unused" ? open.filter(({ fingerprint }) => alone.has(fingerprint)) : [];
    const together = open.filter((one) => !single.includes(one));
    for (const findings of [together, ...single.map((one) => [one])]) {
      if (findings.length === 0 || request.signal.aborted) continue;
      const trial = await tryFixer(deps, project, { ...request, findings }, fixer);
      if (typeof trial === "string") notes.push(`${fixer} was not tried: ${trial}`);
      else for (const [fingerprint, fix] of trial) fixable.set(fingerprint, fix);
    }
  }
  return { fixable, notes };
}

/** Removing unused code makes more code unused. */
const maxRounds = 5;

/** @returns fixes by fingerprint, or why it was not tried */
function tryFixer(
  deps: MeasureDeps,
  project: RepositoryProject,
  request: TrialRequest,
  fixer: Fixer,
): Promise<ReadonlyMap<string, Fix> | string> {
  const { measured, findings, signal } = request;
  const own = new Set(findings.map(({ fingerprint }) => fingerprint));
  return inCommit(deps, project, { commit: measured.commit, signal }, async (_folder, worktree) => {
    const cascade: Finding[] = [];
    for (let round = 1; ; round++) {
      const trial = { ...request, findings: [...findings, ...cascade] };
      const now = await applyAndAnalyze(deps, project, trial, fixer, worktree);
      if (typeof now === "string") return now;
      const fresh = newFindings(measured.findings, now, own);
      const inTurn = fixer === "unused" ? fresh.filter(isUnusedName) : [];
      if (inTurn.length > 0 && round < maxRounds && !signal.aborted) {
        cascade.push(...inTurn);
        continue;
      }
      // Findings that are gone are fixed, except where the change leaves new ones behind.
      const left = new Set(now.map(({ fingerprint }) => fingerprint));
      const git = worktree.git(signal);
      const { diff } = await readDiff(git, measured.commit, await resolveCommit(git, "HEAD"));
      const groupOf = groupFiles(diff, [...cascade, ...fresh], project.prefix);
      const spoiled = new Set(fresh.map(({ file }) => groupOf(file)));
      const fixed = findings.filter((one) => !left.has(one.fingerprint) && !spoiled.has(groupOf(one.file)));
      const fixOf = (group: string): Fix => ({
        fixer,
        group,
        cascade: cascade.filter(({ file }) => groupOf(file) === group),
      });
      return new Map(fixed.map(({ fingerprint, file }) => [fingerprint, fixOf(groupOf(file))]));
    }
  });
}

/** @returns what the tools report afterwards, or why it was not tried */
async function applyAndAnalyze(
  deps: MeasureDeps,
  project: RepositoryProject,
  { measured, findings, limitMs, signal }: TrialRequest,
  fixer: Fixer,
  { tree, git: open }: ThrowawayWorktree,
): Promise<Finding[] | string> {
  const files = fixer === "unused" ? [...new Set(findings.map(({ file }) => file))] : [];
  const git = open(signal);
  await resetTo(git, measured.commit);
  const applied = await applyFixer(deps, project, { fixer, tree, git, files, findings, limitMs, signal });
  if (!applied.ok) return applied.error;
  if ((await resolveCommit(git, "HEAD")) === measured.commit) return [...measured.findings];
  // Those that reported the findings, and the compiler and linters, which see what is left over.
  const reporters = findings.flatMap(({ tool, others = [] }) => [tool, ...others.map((one) => one.tool)]);
  const names = new Set([...reporters, "tsc", "knip", "fallow", ...linters]);
  const tools = measured.tools.filter(({ name, status }) => status === "ran" && names.has(name));
  const only = tools.map(({ name }) => name);
  const report = await analyze({ ...deps, folder: join(tree, project.prefix), isTrusted: true, signal, only });
  return report.ok ? [...report.value.findings] : report.error;
}

/**
 * Pure. Groups files of which one change needs the other: a finding appears in one file since the
 * lines that used its symbol were removed from another.
 *
 * @returns the name of a file's group, which is one of its files
 */
export function groupFiles(
  diff: string,
  appeared: readonly Pick<Finding, "file" | "symbol" | "message">[],
  prefix: string,
): (file: string) => string {
  const removed = diff
    .split(/^(?=diff --git )/m)
    .filter((part) => part.startsWith("diff --git "))
    .map((part) => ({
      file: (/^--- "?a\/(.+?)"?$/m.exec(part)?.[1] ?? "").slice(prefix === "" ? 0 : prefix.length + 1),
      words: new Set(part.match(/^-(?!-- ).*$/gm)?.flatMap((line) => line.match(/[\w$]+/g) ?? [])),
    }));
  const parents = new Map<string, string>();
  const root = (file: string): string => {
    const parent = parents.get(file);
    return parent === undefined ? file : root(parent);
  };
  for (const one of appeared) {
    const [name = ""] = namesOf(one);
    for (const { file, words } of removed) {
      const [from, to] = [root(file), root(one.file)];
      if (from !== to && words.has(name)) parents.set(from, to);
    }
  }
  return root;
}
