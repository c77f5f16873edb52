import { byPerson, examineShare, type Examined } from "./finding.ts";
import type { PastChange } from "./history.ts";

interface DecidedChange {
  readonly at: number;
  /** Those of the findings that the change was about. */
  readonly rules: readonly string[];
  readonly isAccepted: boolean;
}

export function pastChanges(decisions: readonly DecidedChange[]): PastChange[] {
  return decisions.flatMap(({ rules, at, isAccepted }) => rules.map((rule) => ({ at, rule, isRejected: !isAccepted })));
}

/** Rules whose changes people reject: evolving code stops proposing them. */
export function examineRejectedChanges(changes: readonly PastChange[]): Examined[] {
  const byRule = Map.groupBy(changes, ({ rule }) => rule);
  return [...byRule].map(([rule, decided]) =>
    examineShare({
      pattern: "evolve_rejected",
      subject: rule,
      minimum: 8,
      usual: 0.3,
      n: decided.length,
      hits: decided.filter(({ isRejected }) => isRejected).length,
      toFinding: () => byPerson(null, {}),
    }),
  );
}
