import type { UsageLimit } from "../../../contract/config.ts";
import type { Life } from "../../../contract/work-state.ts";
import { mayBeAlive, type Processes } from "../../../platform/processes.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as sessions from "../sessions.ts";
import { read } from "./row.ts";

/** How the chat stood at the last thing that was seen of it. */
export type Standing =
  | "asking"
  | "running"
  | "interrupted"
  | "failed"
  | "waiting"
  | "unanswered"
  | "working"
  | "unknown";

/** Pure. */
export function standingOf({ turn, calls, asks }: Life): Standing {
  if (asks !== null && asks.for !== "prompt") return "asking";
  if (calls.length > 0) return "running";
  if (turn === null) return "unknown";
  const how = turn.over?.how ?? "unseen";
  if (how !== "unseen") return how === "done" ? "waiting" : how;
  return turn.isAnswered ? "working" : "unanswered";
}

/** Pure. @returns null: nothing of its turns is seen, as in a client without hooks */
export function isInTurn(life: Life | null): boolean | null {
  return life === null ? null : life.turn !== null && life.turn.over === null;
}

/** Pure. Whether a turn has begun whose end was not seen. */
export function isEndUnseen(life: Life | null): boolean {
  const turn = life?.turn ?? null;
  return turn !== null && (turn.over === null || turn.over.how === "unseen");
}

/** Pure. The failure by which the turn ended, if nothing has begun since; times are epoch ms. */
export function failureOf(
  life: Life | null,
): { readonly at: number; readonly text: string; readonly limit: UsageLimit | null } | null {
  const over = life?.turn?.over;
  return over?.how === "failed" ? { at: over.at, text: over.text ?? "", limit: over.limit ?? null } : null;
}

type Activity = "idle" | "busy" | "waiting" | "stuck";

export interface ActivityFacts {
  readonly isDead: boolean;
  readonly life: Life | null;
  readonly workedAt: number;
  readonly now: number;
}

const minuteMs = 60_000;
/** A thinking model writes nothing for minutes; a client retries a failed request for about ten. */
const maxSilenceMs = 15 * minuteMs;
/** A build or a sub-agent may run that long; a tool open for longer counts as hanging. */
const openToolMs = 120 * minuteMs;

/** Pure. For a chat that lives. */
export function activityOf({ life, workedAt, now }: ActivityFacts): Activity {
  if (life !== null && standingOf(life) === "asking") return "waiting";
  const silenceMs = now - workedAt;
  const isOpen = isInTurn(life);
  if (isOpen === null) return silenceMs < maxSilenceMs ? "busy" : "idle";
  if (!isOpen) return "idle";
  const isToolAtWork = life?.calls.some(({ startedAt }) => now - startedAt < openToolMs) === true;
  return silenceMs < maxSilenceMs || isToolAtWork ? "busy" : "stuck";
}

const keepsTasksMs: Readonly<Record<Activity, number>> = {
  busy: Number.POSITIVE_INFINITY,
  waiting: 60 * minuteMs,
  idle: 15 * minuteMs,
  stuck: 0,
};
/** A client without hooks shows no work between two calls of SHIM's tools. */
const keepsTasksWithoutHooksMs = 30 * minuteMs;

/** Pure. Returns whether heartbeats for the chat's tasks are honest. */
export function keepsTasks(facts: ActivityFacts): boolean {
  if (facts.isDead) return false;
  const activity = activityOf(facts);
  const limitMs = activity === "idle" && facts.life === null ? keepsTasksWithoutHooksMs : keepsTasksMs[activity];
  return facts.now - facts.workedAt < limitMs;
}

interface LivenessFacts {
  readonly isDead: boolean;
  readonly now: number;
}

export function factsOf(sql: Sql, session: sessions.Session, { isDead, now }: LivenessFacts): ActivityFacts {
  return { isDead, life: read(sql, session.id), workedAt: session.workedAt ?? session.lastSeenAt, now };
}

/** A living chat with what it waits for. */
export interface WaitingSession {
  readonly session: sessions.Session;
  readonly asks: NonNullable<Life["asks"]>;
}

/** Living chats whose client has asked for the user, the one that waits longest first. */
export function waitingSessions(sql: Sql, processes: Processes, except: string | null): WaitingSession[] {
  return sessions
    .listWithoutDeath(sql)
    .filter(({ id, owner }) => id !== except && owner !== null && mayBeAlive(processes, owner))
    .flatMap((session) => {
      const asks = read(sql, session.id)?.asks ?? null;
      return asks === null ? [] : [{ session, asks }];
    })
    .toSorted((one, other) => one.asks.at - other.asks.at);
}

/** Living chats that may be stuck. */
export function silentSessions(sql: Sql, processes: Processes, now: number, except: string | null): sessions.Session[] {
  return sessions
    .listSilent(sql, now - maxSilenceMs)
    .filter(({ id, owner }) => id !== except && owner !== null && mayBeAlive(processes, owner));
}
