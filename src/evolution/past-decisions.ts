import { EvolveTask, type Candidate } from "./candidate.ts";
import type { PastDecisions } from "./make-plan.ts";
import type { EvolvedProject } from "./measure.ts";
import { allDecisions, RunFiles, type RunFile } from "./run-files.ts";
import { rulesToStop } from "../experiments/opportunities/find-opportunities.ts";
import type { PastChange } from "../experiments/opportunities/history.ts";

/** Time for which a decision on a rule counts. */
const windowMs = 180 * 86_400_000;

/** [EV14] Rejected changes and those that wait for a review: none is proposed again. */
export function pastDecisions(home: string, project: EvolvedProject, now: number): PastDecisions {
  const files = new RunFiles(home, project);
  const decisions = files.decisions();
  const rejected = decisions.filter(({ isAccepted }) => !isAccepted);
  const decided = new Set(decisions.map(({ task }) => task));
  const runs = files.runs();
  const tried = runs.flatMap(({ report }) => report?.tried ?? []);
  const judged = tried.filter(({ outcome }) => outcome === "rejected");
  const waiting = tried.filter(({ outcome, task }) => outcome === "kept" && !decided.has(task));
  const waitingIds = new Set(waiting.map(({ candidate }) => candidate));
  const offered = runs.flatMap(candidatesOf).filter(({ id }) => waitingIds.has(id));
  const findings = offered.flatMap((one) => one.findings.concat(one.cascade));
  return {
    fingerprints: new Set([
      ...rejected.flatMap(({ fingerprints }) => fingerprints),
      ...findings.map(({ fingerprint }) => fingerprint),
    ]),
    candidates: new Set([...judged.map(({ candidate }) => candidate), ...waitingIds]),
    rules: rulesToStop(pastChanges(home).filter(({ at }) => at > now - windowMs)),
  };
}

function candidatesOf({ tasks }: RunFile): Candidate[] {
  const payloads = tasks.map(({ payload }) => EvolveTask.safeParse(payload).data);
  return payloads.flatMap((payload) => (payload?.evolve === "change" ? [payload.candidate] : []));
}

/** Decisions on all projects of this machine. */
export function pastChanges(home: string): PastChange[] {
  return allDecisions(home).flatMap(({ rules, at, isAccepted }) =>
    rules.map((rule) => ({ at, rule, isRejected: !isAccepted })),
  );
}
