import { toUnit } from "../../experiments/assignment/names.ts";
import type { Experiment } from "../../experiments/engine/experiment.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import * as rows from "../experiments/experiment-rows.ts";
import { countedUnits } from "../experiments/units.ts";
import { runService } from "./service-process.ts";
import type { SentUnit } from "./service-request.ts";

const sendMs = 20_000;

/**
 * [EX73] Sends the configured service the sessions that its experiments have counted since, with
 * their outcomes. Those of a sending with a problem are sent again by the next review.
 *
 * @param mark does {@link markSent} where the store is written
 */
export async function sendCounted(
  runtime: Runtime,
  mark: (experiment: string, sent: number) => unknown,
): Promise<void> {
  const { provider } = runtime.config.experiments;
  if (provider === "local") return;
  const due = runtime.store.read((sql) => listDue(sql, provider), []);
  const marked: unknown[] = [];
  for (const experiment of due) {
    const { id, key } = experiment;
    const until = countOf(experiment);
    const units = runtime.store.read((sql) => unitsOf(sql, experiment, until), []);
    const problems = units.length === 0 ? [] : runService(runtime, { kind: "send", name: key, units }, sendMs).problems;
    if (problems.length === 0) marked.push(mark(id, until));
    else
      runtime.log("warn", "sessions of an experiment were not sent", { provider, id, problems: problems.slice(0, 3) });
  }
  await Promise.all(marked);
}

/** [EX75] None while experiments are switched off, and none that a person has stopped. */
function listDue(sql: Sql, provider: string): Experiment[] {
  if (rows.offSince(sql) !== null) return [];
  const all = rows.list(sql).map(({ experiment }) => experiment);
  return all.filter((one) => one.provider === provider && countOf(one) > (one.sent ?? 0) && !isStoppedByHand(one));
}

function isStoppedByHand({ state, canary }: Experiment): boolean {
  return state === "stopped" && (canary?.violated ?? null) === null;
}

function countOf({ canary }: Experiment): number {
  return canary === null ? 0 : canary.counts[0] + canary.counts[1];
}

function unitsOf(sql: Sql, { id, salt, sent = 0 }: Experiment, until: number): SentUnit[] {
  return countedUnits(sql, id, sent, until).map(({ session, arm, measured }) => ({
    unit: toUnit(salt, session),
    arm,
    measured,
  }));
}

export function markSent({ store }: Runtime, id: string, sent: number): void {
  store.write((sql) => {
    const stored = rows.get(sql, id);
    if (stored) rows.save(sql, { ...stored.experiment, sent }, stored.revision);
  });
}
