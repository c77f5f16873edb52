import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";
import { exposures } from "../../store/recording-tables.ts";

/** A trial whose canary runs. */
export interface AssignedTrial {
  readonly id: string;
  readonly key: string;
  readonly share: number;
  readonly salt: string;
  /** Assigns its sessions, from its start to its end: `local`, or a service. */
  readonly provider: string;
}

/** Arms of one session by trial, as a service has answered. */
export interface ServiceArms {
  readonly session: string;
  readonly arms: Readonly<Record<string, string>>;
}

export function listAssigned(sql: Sql): AssignedTrial[] {
  return sql.all<AssignedTrial>(
    `SELECT id, body ->> '$.key' AS key, body ->> '$.share' AS share, body ->> '$.salt' AS salt,
       coalesce(body ->> '$.provider', 'local') AS provider
     FROM experiments WHERE state = 'canary'`,
  );
}

/** [EX53] [EX70] Gives a session that begins its arm in each running trial, once. */
export function expose(sql: Sql, now: number, sessionId: string, answered: ServiceArms | null): void {
  for (const trial of listAssigned(sql)) {
    const given = answered?.session === sessionId ? (answered.arms[trial.id] ?? null) : null;
    const arm = trial.provider === "local" ? chooseArm(trial, sessionId) : given;
    if (arm === null) continue;
    const exposure = { experiment: trial.id, unit: sessionId, arm, at: now };
    exposures.insert(sql, exposure, "ON CONFLICT (experiment, unit) DO NOTHING");
  }
}

/**
 * [EX20] [EX21] The arm of a session; null where it is not in the trial. A larger share adds
 * sessions and moves none, and a session keeps its arm as long as the salt stays. Pure.
 */
export function chooseArm(
  { id, salt, share }: Pick<AssignedTrial, "id" | "salt" | "share">,
  sessionId: string,
): "control" | "treatment" | null {
  const unit = toUnit(salt, sessionId);
  if (fractionOf(`share:${id}:${salt}:${unit}`) >= share) return null;
  return fractionOf(`arm:${id}:${salt}:${unit}`) < 0.5 ? "control" : "treatment";
}

/** A session's name for a service: 128 bits in hexadecimal, which do not show its id. */
export function toUnit(salt: string, sessionId: string): string {
  return sha256(`unit:${salt}:${sessionId}`).toString("hex", 0, 16);
}

/** At least 0, below 1. */
function fractionOf(text: string): number {
  return sha256(text).readUIntBE(0, 6) / 2 ** 48;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The row stays, without the id: the trial has counted the session, or will. */
export function forgetUnit(sql: Sql, sessionId: string): void {
  sql.run("UPDATE exposures SET unit = 'forgotten ' || seq WHERE unit = ?", sessionId);
}
