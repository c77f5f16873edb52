import { join } from "node:path";
import { findAstGrep } from "../mutation/ast-grep.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { baselineRefusal, measureBefore, type ChangeOptions, type MeasureOptions } from "./change-executor.ts";
import type { Candidate, PlanRequest } from "./candidate.ts";
import { needsParser } from "./judge.ts";
import { tryFixers } from "./find-candidates.ts";
import { byValue, rank, testCandidates } from "./rank.ts";
import type { RunFacts } from "./run-state.ts";

/** [EV14] Decisions of people and of the judge about earlier candidates. */
export interface PastDecisions {
  /** Fingerprints of findings whose change a person rejected, or has yet to review. */
  readonly fingerprints: ReadonlySet<string>;
  readonly judged: JudgedBefore;
  /** Rules whose changes people reject more often than usual. */
  readonly rules: ReadonlySet<string>;
}

/** Decisions of the judge, which a person may ask to try again. */
export interface JudgedBefore {
  /** Ids of candidates that were rejected, or that wait for a review. */
  readonly candidates: ReadonlySet<string>;
  /** Fingerprints of findings whose change was rejected alone. */
  readonly findings: ReadonlySet<string>;
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
  const filters = { only, rejected: fingerprints, stopped: rules, spoilers: judged.findings };
  const open = new Set(rank(findings, hotspots, { ...filters, fixable: new Map() }).flatMap((one) => prints(one)));
  const worth = findings.filter(({ fingerprint }) => open.has(fingerprint));
  const trials = await tryFixers(deps, project, { measured: measured.value, findings: worth, limitMs, signal });
  if (signal.aborted) return err("stopped before it was done");
  const ranked = rank(findings, hotspots, { ...filters, fixable: trials.fixable });
  const all = [...ranked, ...(only.includes("tests") ? testCandidates(hotspots) : [])].toSorted(byValue);
  const fresh = all.filter(({ id }) => !judged.candidates.has(id));
  const canJudge = (await findAstGrep(join(project.top, project.prefix))) !== null;
  const hasWorker = claude !== null && canJudge;
  const isDone = ({ method }: Candidate): boolean => method === "fix" || (method === "worker" && hasWorker);
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
  const left = counts.filter(([count]) => count > 0).map(([count, why]) => `${count} ${why}.`);
  const broken = failed.map(({ name, why }) => `${name} failed: ${why ?? ""}`.slice(0, maxNoteChars));
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
        ...broken,
        ...left,
      ].slice(0, maxNotes),
    },
  });
}

const maxReported = 50;
const maxNotes = 50;
const maxNoteChars = 300;
const maxTextChars = 200;

function prints({ findings }: Candidate): string[] {
  return findings.map(({ fingerprint }) => fingerprint);
}

export function methodText({ fixer, subject, method }: Pick<Candidate, "fixer" | "subject" | "method">): string {
  if (subject === "tests") return "generated tests";
  return fixer ?? (method === "worker" ? "a worker" : "a person");
}

/** One line: what, where, and how often. */
export function describe({ findings, files, subject }: Candidate): string {
  const [first] = findings;
  if (!first) return `${subject} for ${files.join(", ")}`.slice(0, maxTextChars);
  const rules = [...new Set(findings.map(({ rule }) => rule))].join(", ");
  const at = findings.length === 1 && first.range ? `:${first.range.line}` : "";
  const count = findings.length === 1 ? "" : `${findings.length} × `;
  return `${count}${first.tool} ${rules} in ${first.file}${at}`.slice(0, maxTextChars);
}
