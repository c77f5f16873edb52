import type { MachineTrial } from "../../contract/trials.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { toUnit } from "../recording/assignment.ts";
import { runService, type SentUnit } from "../assignment/service.ts";
import * as trials from "./machine-trials.ts";
import { canaryUnits } from "./units.ts";

const sendMs = 20_000;

interface Due {
  readonly trial: MachineTrial;
  readonly units: readonly SentUnit[];
  /** Counted sessions, with those that are forgotten. */
  readonly until: number;
}

/**
 * [EX73] Sends the configured service the sessions that its trials have counted since, with their
 * outcomes. Those of a sending with a problem are sent again by the next review.
 *
 * @param mark does {@link markSent} where the store is written
 */
export async function sendCounted(runtime: Runtime, mark: (trial: string, sent: number) => unknown): Promise<void> {
  const { provider } = runtime.config.experiments;
  if (provider === "local") return;
  for (const { trial, units, until } of runtime.store.read((sql) => listDue(sql, runtime.now(), provider), [])) {
    const work = { kind: "send", name: trial.key, units } as const;
    const problems = units.length === 0 ? [] : runService(runtime, work, sendMs).problems;
    if (problems.length === 0) await mark(trial.id, until);
    else
      runtime.log("warn", "sessions of an experiment were not sent", {
        provider,
        id: trial.id,
        problems: problems.slice(0, 3),
      });
  }
}

/** [EX75] None while experiments are switched off, and none that a person has stopped. */
function listDue(sql: Sql, now: number, provider: string): Due[] {
  if (trials.offSince(sql) !== null) return [];
  return trials.list(sql).flatMap((trial) => {
    const isStoppedByHand = trial.state === "stopped" && trial.violated === undefined;
    if (trial.provider !== provider || isStoppedByHand) return [];
    const counted = canaryUnits(sql, now, trial.id);
    const units = counted.slice(trial.sent ?? 0).flatMap(({ session, isTreated, measured }) => {
      const arm = isTreated ? "treatment" : "control";
      return session === null ? [] : [{ unit: toUnit(trial.salt, session), arm, measured }];
    });
    return counted.length > (trial.sent ?? 0) ? [{ trial, units, until: counted.length }] : [];
  });
}

export function markSent({ store }: Runtime, id: string, sent: number): void {
  store.write((sql) => {
    const trial = trials.get(sql, id);
    if (trial) trials.save(sql, { ...trial, sent });
  });
}
