import * as z from "zod";
import { Usage } from "../contract/budgets.ts";
import { zeroUsage } from "../contract/usage.ts";
import type { Candidate } from "./candidate.ts";
import { describe, methodText } from "./make-plan.ts";
import {
  isOpen,
  isRejected,
  rejectedPrefix,
  RunFacts,
  stoppedPrefix,
  stopReason,
  Verdict,
  type LeftPart,
  type RunState,
} from "./run-state.ts";

const ShortVerdict = Verdict.omit({ testDiff: true, left: true });

const Tried = z.object({
  task: z.int(),
  candidate: z.string(),
  fingerprints: z.array(z.string()).default([]),
  what: z.string(),
  method: z.string(),
  value: z.number(),
  /** kept: a branch waits for a review; stopped: it was not tried. */
  outcome: z.enum(["kept", "unchanged", "rejected", "failed", "stopped", "open"]),
  why: z.string().nullable(),
  branch: z.string().nullable(),
  commit: z.string().nullable(),
  base: z.string().nullable(),
  /** Tasks whose work it begins with. */
  dependsOn: z.array(z.int()),
  verdict: ShortVerdict.nullable(),
  used: Usage,
});
export type Tried = z.infer<typeof Tried>;

/** [EV12] Result of a run. Printed and stored: fields are only added. */
export const EvolveReport = z.object({
  version: z.literal(1),
  job: z.int(),
  /** Why it ended before all was tried; null: everything was. */
  stopped: z.string().nullable(),
  isEnded: z.boolean(),
  facts: RunFacts.nullable(),
  tried: z.array(Tried),
  findings: z.object({ before: z.int().nullable(), afterAllKept: z.int().nullable() }),
  mutants: z.object({ survivedBefore: z.int(), survivedAfter: z.int() }),
  used: Usage,
  ageMs: z.int(),
});
export type EvolveReport = z.infer<typeof EvolveReport>;

/** Pure. */
export function toReport(run: RunState): EvolveReport {
  const tried = run.changes.flatMap((change) => [toTried(change), ...leftOf(change)]);
  const kept = tried.filter(({ outcome }) => outcome === "kept");
  const removed = kept.reduce((sum, { verdict }) => sum + (verdict?.removed ?? 0), 0);
  const mutants = kept.flatMap(({ verdict }) => verdict?.mutants ?? []);
  const survivedBefore = mutants.reduce((sum, { survived }) => sum + survived, 0);
  const before = run.facts?.findings ?? null;
  return {
    version: 1,
    job: run.job,
    stopped: stoppedBy(run),
    isEnded: !run.changes.some(isOpen),
    facts: run.facts,
    tried,
    findings: { before, afterAllKept: before === null ? null : before - removed },
    mutants: { survivedBefore, survivedAfter: survivedBefore - mutants.reduce((sum, { killed }) => sum + killed, 0) },
    used: tried.reduce(
      (sum, { used }) => ({
        wallMs: sum.wallMs + used.wallMs,
        tokens: sum.tokens + used.tokens,
        costMicros: sum.costMicros + used.costMicros,
      }),
      { wallMs: 0, tokens: 0, costMicros: 0 },
    ),
    ageMs: run.ageMs,
  };
}

/** The reason that a task was given, or the one that holds now. */
function stoppedBy({ changes, limits, ageMs }: RunState): string | null {
  const given = changes.find(({ detail }) => detail?.startsWith(stoppedPrefix))?.detail?.slice(stoppedPrefix.length);
  if (given !== undefined) return given;
  const isWaiting = changes.some(isOpen);
  return isWaiting && limits ? stopReason(changes, limits, ageMs) : null;
}

function toTried(change: RunState["changes"][number]): Tried {
  const { task, candidate, result, detail, used, dependsOn } = change;
  const { branch = null, commit = null, base = null } = result ?? {};
  return {
    task,
    ...toDescription(candidate),
    outcome: outcomeOf(change),
    why: detail?.replace(rejectedPrefix, "").replace(stoppedPrefix, "") ?? null,
    branch,
    commit,
    base,
    dependsOn: [...dependsOn],
    verdict: result ? ShortVerdict.parse(result.output) : null,
    used,
  };
}

/** [EV213] */
function leftOf(change: RunState["changes"][number]): Tried[] {
  return change.result?.output.left.map((part) => toTriedPart(change, part)) ?? [];
}

function toTriedPart({ task, dependsOn }: RunState["changes"][number], { candidate, why, isTried }: LeftPart): Tried {
  const outcome = isTried ? "rejected" : "stopped";
  const nothing = { branch: null, commit: null, base: null, verdict: null, used: zeroUsage };
  return { task, ...toDescription(candidate), outcome, why, dependsOn: [...dependsOn], ...nothing };
}

function toDescription(candidate: Candidate): Pick<Tried, "candidate" | "fingerprints" | "what" | "method" | "value"> {
  const { id, findings, value } = candidate;
  const fingerprints = findings.map(({ fingerprint }) => fingerprint);
  return { candidate: id, fingerprints, what: describe(candidate), method: methodText(candidate), value };
}

function outcomeOf(change: RunState["changes"][number]): Tried["outcome"] {
  if (isOpen(change)) return "open";
  if (change.result) return change.result.branch === null ? "unchanged" : "kept";
  if (isRejected(change)) return "rejected";
  return change.state === "cancelled" || change.detail?.startsWith(stoppedPrefix) ? "stopped" : "failed";
}
