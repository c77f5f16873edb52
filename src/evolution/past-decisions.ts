import type { PastDecisions } from "./make-plan.ts";
import type { RepositoryProject } from "../transform/in-commit.ts";
import { RunFiles } from "./run-files.ts";
import { rulesToStop } from "../experiments/opportunities/find-opportunities.ts";
import { pastChanges } from "../experiments/opportunities/find-opportunities.ts";
import { allDecisions } from "../platform/evolve-decisions.ts";

/** Time for which a decision on a rule counts. */
const windowMs = 180 * 86_400_000;

/** [EV14] Rejected changes and those that wait for a review: none is proposed again. */
export function pastDecisions(home: string, project: RepositoryProject, now: number): PastDecisions {
  const files = new RunFiles(home, project);
  const decisions = files.decisions();
  const rejected = decisions.filter(({ isAccepted }) => !isAccepted);
  const decided = new Set(decisions.map(({ task }) => task));
  const runs = files.runs();
  const tried = runs.flatMap(({ report }) => report?.tried ?? []);
  const judged = tried.filter(({ outcome }) => outcome === "rejected");
  const waiting = tried.filter(({ outcome, task }) => outcome === "kept" && !decided.has(task));
  return {
    fingerprints: new Set([
      ...rejected.flatMap(({ fingerprints }) => fingerprints),
      ...waiting.flatMap(({ fingerprints }) => fingerprints),
    ]),
    judged: {
      candidates: new Set([...judged, ...waiting].map(({ candidate }) => candidate)),
      findings: new Set(judged.flatMap(({ fingerprints }) => (fingerprints.length === 1 ? fingerprints : []))),
    },
    rules: rulesToStop(pastChanges(allDecisions(home)).filter(({ at }) => at > now - windowMs)),
  };
}
