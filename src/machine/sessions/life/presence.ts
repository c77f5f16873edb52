import { isAlive as runs, isInOtherNamespace, mayBeAlive } from "../../../platform/processes.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as sessions from "../sessions.ts";
import type { Session } from "../sessions.ts";

export type Machine = Pick<Runtime, "processes" | "now">;

/** Silence after which a session counts as dead whose process or chat cannot be seen. */
export const maxSilenceMs = 600_000;

/** Whether this machine sees the process of the session's client. */
export function isOwnerSeen({ processes }: Pick<Machine, "processes">, { owner }: Pick<Session, "owner">): boolean {
  return owner !== null && !isInOtherNamespace(processes, owner);
}

/**
 * For a session that has not ended: its process is gone, or is not seen and silent for long, or
 * has closed this one of its sessions.
 */
export function isDead(machine: Machine, session: Session): boolean {
  const { owner, ending, lastSeenAt } = session;
  if (ending?.how === "closed" && ending.isSettled) return true;
  if (owner !== null && isOwnerSeen(machine, session)) return !runs(machine.processes, owner);
  return ending !== null || sessions.isOnlyImported(session) || machine.now() - lastSeenAt > maxSilenceMs;
}

/** Whether its client runs, as far as this machine can see. */
export function isAlive(machine: Machine, session: Session): boolean {
  return session.ending?.how !== "ended" && !isDead(machine, session);
}

/** Those whose client runs, as far as this machine can see; chats of persons first. */
export function aliveSessions(sql: Sql, machine: Machine): Session[] {
  return sessions.listPresent(sql, machine.now() - maxSilenceMs).filter((session) => isAlive(machine, session));
}

/** Whether a process has it that may still run: silence proves nothing. */
export function mayRun({ processes }: Pick<Machine, "processes">, { owner }: Pick<Session, "owner">): boolean {
  return owner !== null && mayBeAlive(processes, owner);
}

/** Chats that run, or whose process is not seen to be gone. */
export function livingSessions(sql: Sql, machine: Pick<Machine, "processes">): Session[] {
  return sessions.listUnsettled(sql).filter((session) => mayRun(machine, session));
}

/** Silence alone is no proof of a death: only a process that is gone counts. */
export function isOwnerGone(machine: Pick<Machine, "processes">, session: Pick<Session, "owner">): boolean {
  return session.owner !== null && !mayRun(machine, session);
}
