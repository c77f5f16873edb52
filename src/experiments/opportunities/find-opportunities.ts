import type { Finding } from "../../contract/machine/learning.ts";
import { examineCheckpoints } from "./checkpoints.ts";
import { examineDeaths } from "./deaths.ts";
import { holm } from "./exact-tests.ts";
import type { Examined } from "./finding.ts";
import type { History, PastChange } from "./history.ts";
import { examineModels } from "./models.ts";
import { examineRejectedChanges } from "./rejected-changes.ts";
import { examineRecoveries } from "./recoveries.ts";
import { examineRiskReasons } from "./risk-reasons.ts";
import { examineTasks } from "./tasks.ts";
import { examineTeam } from "./team.ts";

/** Probability, at most, that a run has any false finding. */
const falseFindings = 0.005;

/** Not tested, for want of cases. */
export type Unjudged = Pick<Examined, "pattern" | "subject" | "n" | "minimum">;

export interface Opportunities {
  /** Least likely by chance first. */
  readonly findings: readonly Finding[];
  readonly unjudged: readonly Unjudged[];
}

/** [EX60] Pure: the same history has the same findings. */
export function findOpportunities(history: History): Opportunities {
  const examined = examineAll(inWindow(history));
  const found = test(examined)
    .map(({ one, pValue }) => toFinding(one, pValue, history.windowMs))
    .toSorted((a, b) => a.confidence.pValue - b.confidence.pValue);
  const unjudged = examined.filter(({ n, minimum }) => n < minimum);
  return {
    findings: withoutConflicts(found),
    unjudged: unjudged.map(({ pattern, subject, n, minimum }) => ({ pattern, subject, n, minimum })),
  };
}

/** [EV14] Rules whose changes are rejected more often than usual. */
export function rulesToStop(changes: readonly PastChange[]): ReadonlySet<string> {
  return new Set(test(examineRejectedChanges(changes)).map(({ one }) => one.subject));
}

function test(examined: readonly Examined[]): { readonly one: Examined; readonly pValue: number }[] {
  const judged = examined.filter(({ n, minimum }) => n >= minimum);
  const adjusted = holm(judged.map(({ pValue }) => pValue));
  return judged
    .map((one, index) => ({ one, pValue: adjusted[index] ?? 1 }))
    .filter(({ pValue }) => pValue <= falseFindings);
}

function examineAll(history: History): Examined[] {
  const { team } = history;
  const alone = [examineDeaths, examineRiskReasons, examineCheckpoints, examineRecoveries];
  const ofTeam =
    team === null ? [] : [...examineTasks(team), ...examineTeam(team), ...examineModels(team.models ?? [])];
  const ofChanges = examineRejectedChanges(history.changes);
  return [...alone.flatMap((examine) => examine(history)), ...ofTeam, ...ofChanges];
}

/** [EX64] Older rows, and those of the future after a clock was set back, are no evidence. */
function inWindow(history: History): History {
  const { now, windowMs, sessions, offers, team, changes } = history;
  const isRecent = ({ at }: { readonly at: number }): boolean => at > now - windowMs && at <= now;
  return {
    ...history,
    sessions: sessions.filter(isRecent),
    offers: offers.filter(isRecent),
    changes: changes.filter(isRecent),
    team: team && {
      ...team,
      taskTypes: team.taskTypes.map((one) => ({ ...one, tasks: one.tasks.filter(isRecent) })),
      departures: team.departures?.filter(isRecent) ?? null,
    },
  };
}

function toFinding({ pattern, subject, n, toFinding }: Examined, pValue: number, windowMs: number): Finding {
  const { figures, basis = "measured", ...found } = toFinding();
  return {
    id: `${pattern}:${subject}`,
    pattern,
    subject,
    evidence: { n, windowMs, figures },
    ...found,
    confidence: { pValue, basis },
  };
}

/** [EX65] Only the first of several findings for one setting has a next value. */
function withoutConflicts(findings: readonly Finding[]): Finding[] {
  const moved = new Set<string>();
  return findings.map((one) => {
    if (one.parameter === null || one.to === null) return one;
    if (moved.has(one.parameter)) return { ...one, to: null, test: "person" as const };
    moved.add(one.parameter);
    return one;
  });
}
