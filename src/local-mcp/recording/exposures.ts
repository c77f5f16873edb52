import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";

export type Arm = "treatment" | "control";

interface Trial {
  readonly experiment: string;
  readonly share: number;
  readonly salt: string;
}

/** [EX53] Gives a session that begins its arm in each running experiment, once. */
export function expose(sql: Sql, now: number, sessionId: string): void {
  const trials = sql.all<Trial>("SELECT experiment, share, salt FROM trial_values WHERE scope = 'treatment'");
  for (const { experiment, share, salt } of trials) {
    sql.run(
      "INSERT INTO exposures (experiment, unit, arm, at) VALUES (?, ?, ?, ?) ON CONFLICT (experiment, unit) DO NOTHING",
      experiment,
      sessionId,
      armOf(salt, sessionId, share),
      now,
    );
  }
}

function armOf(salt: string, unit: string, share: number): Arm {
  const hash = createHash("sha256").update(`${salt}:${unit}`).digest().readUInt32BE();
  return hash / 2 ** 32 < share ? "treatment" : "control";
}
