import { byPerson, examineShare, type Examined } from "./finding.ts";
import type { PastChange } from "./history.ts";

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
