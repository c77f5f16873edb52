import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { Usage, sum, zeroUsage } from "../../contract/budgets.ts";
import { readJsonFile } from "../../platform/data-files.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import type { RepositoryProject } from "../transform/worktree.ts";
import { Candidate, describe, methodText, RunLimits, ruleName } from "./candidate.ts";

/** Facts from the time of the plan. */
const RunFacts = z.object({
  base: z.string(),
  findings: z.int(),
  tools: z.array(z.string()),
  notes: z.array(z.string()).max(50),
});
export type RunFacts = z.infer<typeof RunFacts>;

/** Result of a change that was kept. */
const Verdict = z.object({ findings: z.object({ before: z.int(), after: z.int() }) });
export type Verdict = z.infer<typeof Verdict>;

/** Stored. Add fields as optional. */
const Change = z.object({
  /** Counts from 1 in a project, over all of its runs. */
  number: z.int(),
  candidate: Candidate,
  /** kept: a branch waits for a review; stopped: not tried; open: not begun, or interrupted. */
  outcome: z.enum(["kept", "unchanged", "rejected", "failed", "stopped", "open"]),
  why: z.string().nullable(),
  branch: z.string().nullable(),
  /** Commit that it began with, and its own. */
  start: z.string().nullable(),
  commit: z.string().nullable(),
  /** Changes whose work it begins with. */
  dependsOn: z.array(z.int()),
  verdict: Verdict.nullable(),
  used: Usage,
  /** Decision of a person on its branch; null: none yet. */
  decided: z.enum(["accepted", "rejected"]).nullable(),
});
export type Change = z.infer<typeof Change>;

const Run = z.object({
  run: z.int(),
  /** Epoch ms. */
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  allowsApi: z.boolean(),
  limits: RunLimits,
  facts: RunFacts,
  /** Why it ended before all was tried; null: everything was, or it is not over. */
  stopped: z.string().nullable(),
  changes: z.array(Change),
});
export type Run = z.infer<typeof Run>;

const Runs = z.object({ version: z.literal(1), runs: z.array(Run) });

/** Stored. Add fields as optional. */
const Decision = z.object({
  candidate: z.string(),
  isAccepted: z.boolean(),
  /** Absent: a person's. */
  by: z.literal("judge").optional(),
  reason: z.string().nullable(),
  fingerprints: z.array(z.string()),
  at: z.number(),
});
type Decision = z.infer<typeof Decision>;

const Decisions = z.object({ version: z.literal(1), decisions: z.array(Decision) });
const decisionsFile = "decisions.json";

const maxRuns = 50;
const maxDecisions = 5_000;

/** Stored runs in one project of this machine, and decisions on their changes. */
export class ProjectRuns {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, { repository, prefix }: RepositoryProject) {
    const identity = JSON.stringify([repository, prefix]);
    const id = createHash("sha256").update(identity).digest("hex").slice(0, 12);
    this.#folder = join(home, "evolve", id);
  }

  /** Path of a lock for who changes them. */
  get lock(): string {
    createPrivateFolder(this.#folder);
    return join(this.#folder, "lock");
  }

  /** Oldest first. */
  all(): Run[] {
    return readJsonFile(join(this.#folder, "runs.json"), Runs)?.runs ?? [];
  }

  newest(): Run | null {
    return this.all().at(-1) ?? null;
  }

  /** Stores a run in place of its former state. */
  put(run: Run): void {
    const others = this.all().filter((one) => one.run !== run.run);
    this.#write("runs.json", { version: 1, runs: [...others, run].slice(-maxRuns) });
  }

  decisions(): Decision[] {
    return readJsonFile(join(this.#folder, decisionsFile), Decisions)?.decisions ?? [];
  }

  addDecision(decision: Decision): void {
    const decisions = [...this.decisions(), decision].slice(-maxDecisions);
    this.#write(decisionsFile, { version: 1, decisions });
  }

  #write(name: string, content: object): void {
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, name), JSON.stringify(content));
  }
}

/** A change that was kept, whose branch waits for a decision. */
export interface Offered extends Change {
  readonly branch: string;
  readonly start: string;
  readonly commit: string;
  readonly verdict: Verdict;
}

function isOffered(change: Change): change is Offered {
  return change.outcome === "kept" && change.decided === null && change.branch !== null;
}

/** Oldest first. */
export function offeredChanges(runs: ProjectRuns): Offered[] {
  return runs.all().flatMap(({ changes }) => changes.filter(isOffered));
}

/** Decision on the findings of a change, by which they are proposed again or not. */
export function toDecision({ id, findings }: Candidate): Pick<Decision, "candidate" | "fingerprints"> {
  return { candidate: id, fingerprints: findings.map(({ fingerprint }) => fingerprint) };
}

/** A new run, of which nothing is stored yet. Changes of a file build on those before it. */
export function toRun(
  runs: ProjectRuns,
  candidates: readonly Candidate[],
  about: Pick<Run, "startedAt" | "allowsApi" | "limits" | "facts">,
): Run {
  const past = runs.all();
  const first = 1 + Math.max(0, ...past.flatMap(({ changes }) => changes.map(({ number }) => number)));
  const changes = candidates.map((candidate, at): Change => {
    const files = new Set(candidate.files);
    const before = candidates.slice(0, at);
    return {
      number: first + at,
      candidate,
      outcome: "open",
      why: null,
      branch: null,
      start: null,
      commit: null,
      dependsOn: before.flatMap((one, index) => (one.files.some((file) => files.has(file)) ? first + index : [])),
      verdict: null,
      used: zeroUsage,
      decided: null,
    };
  });
  return { run: (past.at(-1)?.run ?? 0) + 1, endedAt: null, stopped: null, changes, ...about };
}

/** Pure. Says why a run ends before all of its changes are tried; null: it continues. */
export function stopReason(
  {
    limits,
    changes,
    startedAt,
  }: Pick<Run, "limits" | "startedAt"> & { readonly changes: readonly Pick<Change, "used">[] },
  now: number,
): string | null {
  const { timeMs, costMicros } = limits;
  if (now - startedAt >= timeMs) return `its time of ${timeMs / 1_000} s is over`;
  const isSpent = costMicros !== null && sumUsage(changes).costMicros >= costMicros;
  return isSpent ? `its budget of ${(costMicros / 1_000_000).toFixed(2)} dollars is used up` : null;
}

export function sumUsage(changes: readonly Pick<Change, "used">[]): Usage {
  return changes.reduce((total, { used }) => sum(total, used), zeroUsage);
}

/** The run without its open changes. */
export function stopRun(run: Run, reason: string, now: number): Run {
  const changes = run.changes.map((one) =>
    one.outcome === "open" ? { ...one, outcome: "stopped" as const, why: reason } : one,
  );
  return { ...run, changes, stopped: reason, endedAt: now };
}

export type Tried = ReturnType<typeof toTried>;

function toTried({ number, candidate, outcome, why, branch, commit, dependsOn, verdict, used }: Change) {
  const { fingerprints } = toDecision(candidate);
  const rules = [...new Set(candidate.findings.map(ruleName))];
  const [what, method] = [describe(candidate), methodText(candidate)];
  return {
    change: number,
    candidate: candidate.id,
    fingerprints,
    rules,
    what,
    method,
    outcome,
    why,
    branch,
    commit,
    dependsOn,
    verdict,
    used,
  };
}

export type EvolveReport = ReturnType<typeof toReport>;

/** Result of a run. Printed: fields are only added. */
export function toReport({ run, stopped, endedAt, facts, changes, startedAt }: Run, now: number) {
  const kept = changes.flatMap(({ outcome, verdict }) => (outcome === "kept" && verdict ? [verdict] : []));
  const removed = kept.reduce((total, { findings }) => total + findings.before - findings.after, 0);
  return {
    version: 1,
    run,
    stopped,
    isEnded: endedAt !== null,
    facts,
    tried: changes.map(toTried),
    findings: { before: facts.findings, afterAllKept: facts.findings - removed },
    used: sumUsage(changes),
    ageMs: (endedAt ?? now) - startedAt,
  };
}
