import type { Life } from "../../../contract/work-state.ts";
import { oomKills, systemMemory } from "../../../platform/memory.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as journal from "../journal.ts";
import type { Machine } from "../life/presence.ts";
import { failureOf, standingOf } from "../life/questions.ts";
import * as sessions from "../sessions.ts";
import type { Session } from "../sessions.ts";
import { inferCause, type Cause } from "../signals/crashes.ts";
import { interruptedReason, type Signs, type Verdict } from "./judge.ts";

export interface Death {
  readonly session: Session;
  readonly stood: Life | null;
  readonly signs: Signs;
  readonly verdict: Verdict;
}

/** @returns null for a session that neither died nor was closed */
export function causeOf(
  sql: Sql,
  { processes }: Pick<Machine, "processes">,
  { session, stood, signs: { signal, front }, verdict: { how, reason } }: Death,
): Cause | null {
  const isRead = sessions.isOnlyImported(session);
  if (how === "closed") return { cause: "closed", detail: isRead ? readDetail : closedDetail };
  if (how !== "died") return null;
  const { readings, owner, id } = session;
  const isInterrupted = reason === interruptedReason;
  const found = inferCause({
    readings,
    lastFailure: failureOf(stood),
    reason: signal?.reason ?? (isInterrupted ? reason : (front?.reason ?? null)),
    isSameBoot: owner && owner.boot === processes.boot(),
    ...killsOf(readings),
    hadRunningTool: stood !== null && standingOf(stood) === "running",
    hasEndHook: journal.newest(sql, id, ["start"], 1).length > 0,
  });
  const observed = isInterrupted ? inMidTurn : (isRead && ofOrigin[session.origin]) || found;
  return found.cause === "unknown" ? observed : found;
}

function killsOf({ oomKills: seen }: Session["readings"]) {
  return { oomKillsBefore: seen?.value ?? null, oomKillsNow: seen ? oomKills(systemMemory) : null };
}

const closedDetail = "The client was closed, or asked to end, between two turns.";
const readDetail = "By its imported transcript its last turn was over.";
const inMidTurn: Cause = {
  cause: "closed",
  detail: "The client was closed, or asked to end, before its turn was over.",
};
const ofOrigin: Readonly<Record<string, Cause>> = {
  [sessions.importOrigin]: {
    cause: "unknown",
    detail: "Its transcript was imported, which does not say how the chat ended.",
  },
  [sessions.givenOrigin]: {
    cause: "closed",
    detail: "It was handed over to this machine, where how its chat ended is not known.",
  },
};
