import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "zod";
import { sum, zeroUsage, type Usage } from "../../contract/budgets.ts";
import { readJsonFile } from "../../platform/data-files.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { run as runGit, type Git } from "../../snapshots/git.ts";
import type { ExcludedFile } from "../../snapshots/selection.ts";
import type { RepositoryProject } from "../tool-runner/worktree.ts";
import type { Measured } from "./measure.ts";
import { describe, methodText, type Candidate, type RunLimits } from "./candidate.ts";

/** Facts from the time of the plan. */
export interface RunFacts {
  readonly base: string;
  readonly findings: number;
  readonly tools: readonly string[];
  readonly notes: readonly string[];
}

/** One change of a run. */
export interface Change {
  /** Counts from 1. */
  readonly number: number;
  readonly candidate: Candidate;
  /** kept: a branch waits for a review; stopped: not tried to its end. */
  readonly outcome: "kept" | "unchanged" | "rejected" | "failed" | "stopped";
  readonly why: string | null;
  readonly branch: string | null;
  readonly commit: string | null;
  /** Files that its work left, and that are not in its commit. */
  readonly leftOut: readonly ExcludedFile[];
  /** Numbers of findings, of a change that was kept. */
  readonly findings: { readonly before: number; readonly after: number } | null;
  readonly used: Usage;
}

/** A run at work: each change begins with those that were kept before it. */
export interface Run {
  /** Epoch ms. */
  readonly startedAt: number;
  readonly allowsApi: boolean;
  readonly limits: RunLimits;
  readonly facts: RunFacts;
  readonly changes: Change[];
  /** The commit of the last one that was kept, else that of the plan. */
  head: Measured;
}

const branchOf = /^refs\/heads\/shim\/evolve-([0-9a-f]{12})-/;

export function branchName({ id }: Candidate, commit: string): string {
  return `shim/evolve-${id}-${commit.slice(0, 12)}`;
}

/** Candidates whose branches stand: a change waits for its review, or was left. */
export async function withBranches(git: Git): Promise<string[]> {
  const { stdout } = await runGit(git, ["for-each-ref", "--format=%(refname)", "refs/heads/shim/evolve-*"]);
  const names = stdout.toString("utf8").split("\n");
  return names.flatMap((name) => branchOf.exec(name)?.[1] ?? []);
}

const Rejected = z.object({ version: z.literal(1), rejected: z.array(z.string()) });
const maxRejected = 5_000;

/** Candidates of a project that the judge has rejected, in a file of this machine. */
export class Rejections {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, { repository, prefix }: RepositoryProject) {
    const identity = JSON.stringify([repository, prefix]);
    this.#folder = join(home, "evolve", createHash("sha256").update(identity).digest("hex").slice(0, 12));
  }

  get #file(): string {
    return join(this.#folder, "rejected.json");
  }

  all(): readonly string[] {
    return readJsonFile(this.#file, Rejected)?.rejected ?? [];
  }

  add({ id }: Candidate): void {
    createPrivateFolder(this.#folder);
    const rejected = [...new Set([...this.all(), id])].slice(-maxRejected);
    writeAtomically(this.#file, JSON.stringify({ version: 1, rejected }));
  }
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

export type Tried = EvolveReport["tried"][number];
export type EvolveReport = ReturnType<typeof toReport>;

/**
 * Result of a run. Printed: fields are only added.
 *
 * @param stopped why it ended before all was tried
 */
export function toReport({ facts, changes, startedAt, head }: Run, stopped: string | null, now: number) {
  return {
    version: 1,
    stopped,
    facts,
    tried: changes.map(({ number, candidate, ...rest }) => {
      return { change: number, what: describe(candidate), method: methodText(candidate), ...rest };
    }),
    findings: { before: facts.findings, afterAllKept: head.findings.length },
    used: sumUsage(changes),
    ageMs: now - startedAt,
  };
}
