import type { Readings, RiskLevel } from "../../contract/readings.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { RiskMark } from "./risk-mark.ts";

export interface Waiting {
  readonly for: "permission" | "dialog" | "prompt";
  /** Epoch ms. */
  readonly since: number;
}

export type Recovery = "offered" | "recovered" | "dismissed";

export interface Session {
  readonly id: string;
  readonly client: string;
  /** Root folder; null if the client names none. */
  readonly project: string | null;
  readonly cwd: string | null;
  readonly title: string | null;
  readonly name: string | null;
  readonly model: string | null;
  readonly transcriptPath: string | null;
  readonly transcriptOffset: number;
  /** startup, resume, clear, compact, fork (by Claude Code) or handle (minted by a tool call). */
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

export interface SessionRow {
  id: string;
  client: string;
  project: string | null;
  cwd: string | null;
  title: string | null;
  name: string | null;
  model: string | null;
  transcript_path: string | null;
  transcript_offset: number;
  origin: string;
  parent_id: string | null;
  owner_boot: string | null;
  owner_pid: number | null;
  owner_start: string | null;
  started_at: number;
  last_seen_at: number;
  saved_at: number | null;
  ended_at: number | null;
  end_reason: string | null;
  detached_at: number | null;
  detach_reason: string | null;
  recovery: Recovery | null;
  recovery_at: number | null;
  recovery_by: string | null;
  tool_calls: number;
  tool_errors: number;
  readings: string;
  waiting_for: Waiting["for"] | null;
  waiting_since: number | null;
  risk_covered: RiskLevel | null;
  risk_pending: RiskLevel | null;
  risk_below_at: number | null;
  worked_at: number | null;
  death_at: number | null;
}

export function fromRow(row: SessionRow): Session {
  return {
    id: row.id,
    client: row.client,
    project: row.project,
    cwd: row.cwd,
    title: row.title,
    name: row.name,
    model: row.model,
    transcriptPath: row.transcript_path,
    transcriptOffset: row.transcript_offset,
    origin: row.origin,
    parentId: row.parent_id,
    owner: ownerOf(row),
    startedAt: row.started_at,
    lastSeenAt: row.last_seen_at,
    savedAt: row.saved_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    detachedAt: row.detached_at,
    detachReason: row.detach_reason,
    recovery: row.recovery,
    recoveryAt: row.recovery_at,
    recoveryBy: row.recovery_by,
    toolCalls: row.tool_calls,
    toolErrors: row.tool_errors,
    // Written by update() only.
    readings: JSON.parse(row.readings) as Readings,
    ...(row.waiting_for === null
      ? {}
      : { waiting: { for: row.waiting_for, since: row.waiting_since ?? row.last_seen_at } }),
    riskMark: { covered: row.risk_covered ?? "safe", pending: row.risk_pending, belowAt: row.risk_below_at },
    workedAt: row.worked_at,
    deathAt: row.death_at,
  };
}

function ownerOf(row: SessionRow): ProcessIdentity | null {
  if (row.owner_boot === null || row.owner_pid === null || row.owner_start === null) return null;
  return { boot: row.owner_boot, pid: row.owner_pid, start: row.owner_start };
}
