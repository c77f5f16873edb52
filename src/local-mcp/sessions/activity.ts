import type { Sql } from "../../shared/sql.ts";
import * as journal from "./journal.ts";
import type { Session } from "./sessions.ts";

/** What a chat is doing, as far as its signs of work tell. */
export type Activity = "idle" | "busy" | "waiting" | "stuck" | "dead";

export interface ActivityFacts {
  readonly isDead: boolean;
  /** The client has told that it waits for the user (a permission, an answer). */
  readonly isWaitingForUser: boolean;
  /** A prompt, or a tool, since the last end of a turn. Null: the client has no hooks that tell. */
  readonly isInTurn: boolean | null;
  /** Tools that have begun and not ended. */
  readonly openTools: readonly { readonly name: string; readonly startedAt: number }[];
  /** The newest sign of work: a hook event, a tool call, growth of the transcript. */
  readonly workedAt: number;
  readonly now: number;
}

const minuteMs = 60_000;
/** A model that thinks writes nothing for minutes, and a client repeats a failed request for about ten. */
const maxSilenceMs = 15 * minuteMs;
/** A build or a sub-agent may run that long; a tool that is open for longer is taken for a hanging one. */
const openToolMs = 120 * minuteMs;
/** Their run is the wait for an answer. */
const askingTools: ReadonlySet<string> = new Set(["AskUserQuestion", "ExitPlanMode"]);

/**
 * Pure. [TE25] Dead without its process; waiting when the client says so or a question is open; idle between two turns; busy while signs of work come,
 * or a tool is open for less than two hours; stuck when a turn is open and nothing has been seen of it for fifteen minutes.
 */
export function activityOf(facts: ActivityFacts): Activity {
  const { isDead, isWaitingForUser, isInTurn, openTools, workedAt, now } = facts;
  if (isDead) return "dead";
  if (isWaitingForUser || openTools.some(({ name }) => askingTools.has(name))) return "waiting";
  const silenceMs = now - workedAt;
  if (isInTurn === null) return silenceMs < maxSilenceMs ? "busy" : "idle";
  if (!isInTurn) return "idle";
  const isToolAtWork = openTools.some(({ startedAt }) => now - startedAt < openToolMs);
  return silenceMs < maxSilenceMs || isToolAtWork ? "busy" : "stuck";
}

/** How long after the last sign of work a chat keeps its tasks. */
const keepsTasksMs: Readonly<Record<Activity, number>> = {
  busy: Number.POSITIVE_INFINITY,
  waiting: 60 * minuteMs,
  idle: 15 * minuteMs,
  stuck: 0,
  dead: 0,
};
/** A client without hooks shows no sign of what it does between two calls of SHIM's tools. */
const keepsTasksWithoutHooksMs = 30 * minuteMs;

/** Pure. [TE26] Whether heartbeats for its tasks are honest: they say that somebody works on them. */
export function keepsTasks(facts: ActivityFacts): boolean {
  const activity = activityOf(facts);
  const limitMs = activity === "idle" && facts.isInTurn === null ? keepsTasksWithoutHooksMs : keepsTasksMs[activity];
  return facts.now - facts.workedAt < limitMs;
}

export interface LivenessFacts {
  readonly isDead: boolean;
  readonly now: number;
}

/** The facts as the store has them. */
export function factsOf(sql: Sql, session: Session, { isDead, now }: LivenessFacts): ActivityFacts {
  const waitsFor = session.waiting?.for;
  return {
    isDead,
    // At an idle prompt its turn is over.
    isWaitingForUser: waitsFor === "permission" || waitsFor === "dialog",
    isInTurn: isInTurn(sql, session.id),
    openTools: openTools(sql, session.id),
    workedAt: session.workedAt ?? session.lastSeenAt,
    now,
  };
}

function isInTurn(sql: Sql, sessionId: string): boolean | null {
  const kinds = ["start", "prompt", "tool_start", "tool_end", "tool_error", "turn_end", "failure", "end"] as const;
  const [last] = journal.newest(sql, sessionId, kinds, 1);
  if (!last) return null;
  const { kind } = last.entry;
  return kind === "prompt" || kind === "tool_start" || kind === "tool_end" || kind === "tool_error";
}

const maxOpenTools = 20;

/** Since the last prompt: what a turn that was cut off has left open does not run any more. */
function openTools(sql: Sql, sessionId: string): ActivityFacts["openTools"] {
  return sql.all<{ name: string; startedAt: number }>(
    `SELECT json_extract(body, '$.name') AS name, at AS startedAt FROM journal began
     WHERE session_id = ? AND kind = 'tool_start'
       AND seq > coalesce((SELECT max(seq) FROM journal WHERE session_id = ? AND kind IN ('prompt', 'turn_end', 'failure')), 0)
       AND NOT EXISTS (SELECT 1 FROM journal WHERE session_id = began.session_id AND key = 'end:' || substr(began.key, 7))
     ORDER BY seq DESC LIMIT ${maxOpenTools}`,
    sessionId,
    sessionId,
  );
}
