import { startsAgent } from "../../../clients/adapter/tools.ts";
import type { Life, ToolRun } from "../../../contract/work-state.ts";
import type { Sql } from "../../../shared/sql.ts";
import { currentState } from "../checkpoints/capture.ts";
import { isInTurn, standingOf } from "../life/questions.ts";
import type { Session } from "../sessions.ts";

type Activity = "idle" | "busy" | "waiting" | "stuck";

/** Times of a session's row, epoch ms. */
type Worked = Pick<Session, "id" | "workedAt" | "lastSeenAt">;

const minuteMs = 60_000;
/** A thinking model writes nothing for minutes; a client retries a failed request for about ten. */
const maxSilenceMs = 15 * minuteMs;
/** A build or a sub-agent may run that long; a tool open for longer counts as hanging. */
const openToolMs = 120 * minuteMs;

/** For a chat that lives. */
export function activityOf(sql: Sql, session: Worked, life: Life | null, now: number): Activity {
  if (life !== null && standingOf(life) === "asking") return "waiting";
  const silenceMs = silenceOf(session, now);
  const mayWork = ({ startedAt }: ToolRun): boolean => now - startedAt < openToolMs;
  const isOpen = isInTurn(life);
  if (isOpen === null) return silenceMs < maxSilenceMs ? "busy" : "idle";
  if (!isOpen) return agentsOf(sql, session.id).some(mayWork) ? "busy" : "idle";
  const isToolAtWork = life?.calls.some(mayWork) === true;
  return silenceMs < maxSilenceMs || isToolAtWork ? "busy" : "stuck";
}

/** Sub-agents of the chat that work on behind its turn. */
export function agentsOf(sql: Sql, session: string): ToolRun[] {
  return (currentState(sql, session)?.background ?? []).filter(({ name }) => startsAgent(name));
}

function silenceOf({ workedAt, lastSeenAt }: Worked, now: number): number {
  return now - (workedAt ?? lastSeenAt);
}

const keepsTasksMs: Readonly<Record<Activity, number>> = {
  busy: Number.POSITIVE_INFINITY,
  waiting: 60 * minuteMs,
  idle: 15 * minuteMs,
  stuck: 0,
};
/** A client without hooks shows no work between two calls of SHIM's tools. */
const keepsTasksWithoutHooksMs = 30 * minuteMs;

/** Whether heartbeats for the tasks of a chat that lives are honest. */
export function keepsTasks(sql: Sql, session: Worked, life: Life | null, now: number): boolean {
  const activity = activityOf(sql, session, life, now);
  const limitMs = activity === "idle" && life === null ? keepsTasksWithoutHooksMs : keepsTasksMs[activity];
  return silenceOf(session, now) < limitMs;
}
