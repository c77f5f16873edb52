import type { Finding } from "../../contract/machine/learning.ts";
import { holm } from "../exact-tests.ts";
import { examineCheckpoints } from "./checkpoints.ts";
import { toFinding, type Examined } from "./finding.ts";
import type { History, PastChange } from "./history.ts";
import { examineRecoveries, examineRejectedChanges, examineRisks, examineTeam } from "./patterns.ts";

/** Probability, at most, that a run has any false finding. */
const falseFindings = 0.005;

export interface Opportunities {
  /** Least likely by chance first. */
  readonly findings: readonly Finding[];
  /** Not tested, for want of cases. */
  readonly unjudged: readonly Pick<Examined, "pattern" | "subject" | "n" | "minimum">[];
}

/** [EX60] Pure: the same history has the same findings. */
export function findOpportunities(all: History): Opportunities {
  const history = inWindow(all);
  const { team, changes, windowMs } = history;
  const examined = [
    ...examineCheckpoints(history),
    ...examineRisks(history),
    ...examineRecoveries(history),
    ...(team === null ? [] : examineTeam(team)),
    ...examineRejectedChanges(changes),
  ];
  const moved = new Set<string>();
  // [EX65] Only the first of several findings for one setting has a next value.
  const isFirst = (key: string): boolean => {
    if (moved.has(key)) return false;
    moved.add(key);
    return true;
  };
  return {
    findings: test(examined)
      .toSorted((a, b) => a.pValue - b.pValue)
      .map(({ one, pValue }) => toFinding(one, pValue, windowMs, isFirst)),
    unjudged: examined
      .filter(({ n, minimum }) => n < minimum)
      .map(({ pattern, subject, n, minimum }) => ({ pattern, subject, n, minimum })),
  };
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

function test(examined: readonly Examined[]): { readonly one: Examined; readonly pValue: number }[] {
  const judged = examined.filter(({ n, minimum }) => n >= minimum);
  const adjusted = holm(judged.map(({ pValue }) => pValue));
  return judged
    .map((one, index) => ({ one, pValue: adjusted[index] ?? 1 }))
    .filter(({ pValue }) => pValue <= falseFindings);
}

interface DecidedChange {
  readonly at: number;
  /** Those of the findings that the change was about. */
  readonly rules: readonly string[];
  readonly isAccepted: boolean;
}

export function pastChanges(decisions: readonly DecidedChange[]): PastChange[] {
  return decisions.flatMap(({ rules, at, isAccepted }) => rules.map((rule) => ({ at, rule, isRejected: !isAccepted })));
}

/** [EV14] Rules whose changes people reject too often: evolving code stops proposing them. */
export function rulesToStop(changes: readonly PastChange[]): ReadonlySet<string> {
  return new Set(test(examineRejectedChanges(changes)).map(({ one }) => one.subject));
}
