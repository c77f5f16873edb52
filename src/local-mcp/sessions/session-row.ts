import type { Readings, RiskLevel } from "../../contract/readings.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { RiskMark } from "../../policy/risk-mark.ts";

export interface Waiting {
  readonly for: "permission" | "dialog" | "prompt";
  /** Epoch ms. */
  readonly since: number;
}

/** Origin of a session that was read from a file: its own client may not have it. */
export const importOrigin = "import";

export type Recovery = "offered" | "recovered" | "dismissed";

export interface Session {
  readonly id: string;
  readonly client: string;
  /** The client's own word; null if it does not say. */
  readonly clientVersion: string | null;
  /** Root folder; null if the client names none. */
  readonly project: string | null;
  readonly cwd: string | null;
  readonly title: string | null;
  readonly name: string | null;
  readonly model: string | null;
  readonly transcriptPath: string | null;
  readonly transcriptOffset: number;
  /** startup, resume, clear, compact, fork (by Claude Code), handle (by a tool call), import. */
  readonly origin: string;
  readonly parentId: string | null;
  readonly owner: ProcessIdentity | null;
  readonly startedAt: number;
  readonly lastSeenAt: number;
  /** Time at which its state was last known to be in a checkpoint. */
  readonly savedAt: number | null;
  readonly endedAt: number | null;
  readonly endReason: string | null;
  readonly detachedAt: number | null;
  readonly detachReason: string | null;
  readonly recovery: Recovery | null;
  readonly recoveryAt: number | null;
  readonly recoveryBy: string | null;
  readonly toolCalls: number;
  readonly toolErrors: number;
  readonly readings: Readings;
  readonly waiting?: Waiting;
  readonly riskMark: RiskMark;
  /** Newest hook event, tool call or transcript growth; null if an older program wrote the row. */
  readonly workedAt: number | null;
  /** Last sighting before a recorded death; null while the session lives. */
  readonly deathAt: number | null;
}

/** Columns of a stored session, read as a {@link SessionRow}. */
export const sessionColumns = `id, client, client_version AS clientVersion, project, cwd, title, name, model, transcript_path AS transcriptPath,
  transcript_offset AS transcriptOffset, origin, parent_id AS parentId, owner_boot AS ownerBoot, owner_pid AS ownerPid,
  owner_start AS ownerStart, started_at AS startedAt, last_seen_at AS lastSeenAt, saved_at AS savedAt,
  ended_at AS endedAt, end_reason AS endReason, detached_at AS detachedAt, detach_reason AS detachReason, recovery,
  recovery_at AS recoveryAt, recovery_by AS recoveryBy, tool_calls AS toolCalls, tool_errors AS toolErrors, readings,
  waiting_for AS waitingFor, waiting_since AS waitingSince, risk_covered AS riskCovered, risk_pending AS riskPending,
  risk_below_at AS riskBelowAt, worked_at AS workedAt, death_at AS deathAt`;

export interface SessionRow extends Omit<Session, "owner" | "readings" | "waiting" | "riskMark"> {
  readonly ownerBoot: string | null;
  readonly ownerPid: number | null;
  readonly ownerStart: string | null;
  readonly readings: string;
  readonly waitingFor: Waiting["for"] | null;
  readonly waitingSince: number | null;
  readonly riskCovered: RiskLevel | null;
  readonly riskPending: RiskLevel | null;
  readonly riskBelowAt: number | null;
}

export function fromRow(row: SessionRow): Session {
  const { ownerBoot, ownerPid, ownerStart, readings, waitingFor, waitingSince, ...rest } = row;
  const { riskCovered, riskPending, riskBelowAt, ...session } = rest;
  const hasOwner = ownerBoot !== null && ownerPid !== null && ownerStart !== null;
  return {
    ...session,
    owner: hasOwner ? { boot: ownerBoot, pid: ownerPid, start: ownerStart } : null,
    // Written by update() only.
    readings: JSON.parse(readings) as Readings,
    ...(waitingFor === null ? {} : { waiting: { for: waitingFor, since: waitingSince ?? session.lastSeenAt } }),
    riskMark: { covered: riskCovered ?? "safe", pending: riskPending, belowAt: riskBelowAt },
  };
}
