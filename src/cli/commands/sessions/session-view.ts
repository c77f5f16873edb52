import type { SessionState } from "../../../contract/live-page.ts";
import type { CrashCause, Risk } from "../../../contract/readings.ts";
import type { Sql } from "../../../shared/sql.ts";
import { causeOf, hasContent, offerOf, type OpenOffer } from "../../../local-mcp/recovery/detect.ts";
import { isDead } from "../../../local-mcp/recovery/liveness.ts";
import { withSilentEnd } from "../../../local-mcp/recovery/silent-end.ts";
import { offeredText } from "../../../local-mcp/recovery/user-lines.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { activityOf, factsOf, type Activity } from "../../../local-mcp/sessions/activity.ts";
import { isClosedWithNothingOpen } from "../../../local-mcp/sessions/closed-sessions.ts";
import { displayTitle, type Session, type Waiting } from "../../../local-mcp/sessions/sessions.ts";
import { shortSessionId } from "../../../local-mcp/sessions/short-ids.ts";
import { assess } from "../../../policy/risk.ts";

/** Printed as JSON: fields are only added. */
export interface SessionView {
  readonly id: string;
  /** Shortest prefix of the id that is unique on this machine. */
  readonly shortId: string;
  readonly state: SessionState;
  readonly client: string;
  readonly clientVersion: string | null;
  readonly project: string | null;
  readonly title: string | null;
  readonly name: string | null;
  readonly model: string | null;
  readonly pid: number | null;
  readonly startedAt: number;
  readonly lastSeenAt: number;
  readonly savedAt: number | null;
  readonly endedAt: number | null;
  readonly checkpoints: number;
  readonly toolCalls: number;
  readonly toolErrors: number;
  /** Share of the context in use, 0 to 1; null when unknown. */
  readonly contextFill: number | null;
  /** Null for sessions that are not alive. */
  readonly activity: Activity | null;
  readonly risk: Risk | null;
  readonly waiting: Waiting | null;
  /** Null unless the session died or was closed. */
  readonly cause: CrashCause | null;
  readonly causeDetail: string | null;
  /** The living chat that has it in its context; null: none. */
  readonly offer: (OpenOffer & { readonly shortId: string }) | null;
}

export function toSessionView(sql: Sql, runtime: Runtime, stored: Session): SessionView {
  const session = asSeen(sql, runtime, stored);
  const {
    id,
    client,
    clientVersion,
    project,
    name,
    model,
    startedAt,
    lastSeenAt,
    savedAt,
    endedAt,
    toolCalls,
    toolErrors,
  } = session;
  const state = sessionState(sql, runtime, session);
  return {
    id,
    shortId: shortSessionId(sql, id),
    state,
    client,
    clientVersion,
    project,
    title: displayTitle(session),
    name,
    model,
    startedAt,
    lastSeenAt,
    savedAt,
    endedAt,
    toolCalls,
    toolErrors,
    pid: session.owner?.pid ?? null,
    checkpoints: countCheckpoints(sql, id),
    contextFill: session.readings.contextFill?.value ?? null,
    activity: state === "alive" ? activityOf(factsOf(sql, session, { isDead: false, now: runtime.now() })) : null,
    risk: state === "alive" ? assess(session.readings, runtime.config.risk, runtime.now()) : null,
    waiting: (state === "alive" ? session.waiting : null) ?? null,
    ...findCause(diedStates.has(state), sql, runtime, session),
    offer: findOffer(sql, runtime, session),
  };
}

function findOffer(sql: Sql, { processes, now }: Runtime, session: Session): SessionView["offer"] {
  const offer = offerOf(sql, processes, now(), session);
  return offer && { ...offer, shortId: shortSessionId(sql, offer.chat) };
}

/** [CL82] */
export function causeText({ cause }: Pick<SessionView, "cause">): string {
  return cause === "unknown" ? "cause unknown" : (cause ?? "-");
}

/** [RE183] Names the chat that has it now; null: none. */
export function offerText({ offer }: Pick<SessionView, "offer">, now: number): string | null {
  if (offer === null) return null;
  return offer.isTaken ? `continued by chat ${offer.shortId}` : offeredText(offer.shortId, now - offer.at);
}

/** For a user: an offer to a chat leaves the session unfinished. */
export function stateText({ state, offer }: SessionView): string {
  if (state !== "offered") return state;
  return offer?.isTaken === true ? "continued" : "incomplete";
}

const diedStates: ReadonlySet<SessionState> = new Set(["incomplete", "closed", "offered", "recovered", "dismissed"]);

function findCause(
  hasDied: boolean,
  sql: Sql,
  runtime: Runtime,
  session: Session,
): Pick<SessionView, "cause" | "causeDetail"> {
  return hasDied ? causeOf(sql, session, runtime.processes) : { cause: null, causeDetail: null };
}

/** [CA43] A command that only reads does not store the end that a client did not report. */
function asSeen(sql: Sql, runtime: Runtime, session: Session): Session {
  const isOpen = session.endedAt === null;
  return isOpen && isDead(session, runtime.processes, runtime.now()) ? withSilentEnd(sql, session) : session;
}

export function sessionState(sql: Sql, runtime: Runtime, stored: Session): SessionState {
  const session = asSeen(sql, runtime, stored);
  if (session.endedAt !== null) return "finished";
  const isOpenAgain =
    session.recovery === "offered" && offerOf(sql, runtime.processes, runtime.now(), session) === null;
  if (session.recovery !== null && !isOpenAgain) return session.recovery;
  if (!isDead(session, runtime.processes, runtime.now())) return "alive";
  if (!hasContent(sql, session.id)) return "empty";
  return isClosedWithNothingOpen(session) ? "closed" : "incomplete";
}

function countCheckpoints(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM checkpoints WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}
