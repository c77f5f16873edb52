import type { UsageLimit } from "../../../contract/config.ts";
import type { WaitsFor } from "../../../contract/chat-state.ts";
import type { Life } from "../../../contract/work-state.ts";
import type { Session } from "../sessions.ts";

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

/** Pure. The need of a chat for its user, with its time (epoch ms); null: it has none. */
export function needOf(life: Life | null): { readonly for: WaitsFor; readonly at: number } | null {
  const failure = failureOf(life);
  return failure === null ? (life?.asks ?? null) : { for: "error", at: failure.at };
}

type Activity = "idle" | "busy" | "waiting" | "stuck";

/** Times of a session's row, epoch ms. */
type Worked = Pick<Session, "workedAt" | "lastSeenAt">;

const minuteMs = 60_000;
/** A thinking model writes nothing for minutes; a client retries a failed request for about ten. */
const maxSilenceMs = 15 * minuteMs;
/** A build or a sub-agent may run that long; a tool open for longer counts as hanging. */
const openToolMs = 120 * minuteMs;

/** Pure. For a chat that lives. */
export function activityOf(session: Worked, life: Life | null, now: number): Activity {
  if (life !== null && standingOf(life) === "asking") return "waiting";
  const silenceMs = silenceOf(session, now);
  const isOpen = isInTurn(life);
  if (isOpen === null) return silenceMs < maxSilenceMs ? "busy" : "idle";
  if (!isOpen) return "idle";
  const isToolAtWork = life?.calls.some(({ startedAt }) => now - startedAt < openToolMs) === true;
  return silenceMs < maxSilenceMs || isToolAtWork ? "busy" : "stuck";
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

/** Pure. Returns whether heartbeats for the tasks of a chat that lives are honest. */
export function keepsTasks(session: Worked, life: Life | null, now: number): boolean {
  const activity = activityOf(session, life, now);
  const limitMs = activity === "idle" && life === null ? keepsTasksWithoutHooksMs : keepsTasksMs[activity];
  return silenceOf(session, now) < limitMs;
}
