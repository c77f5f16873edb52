import type { ChatState } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { CrashCause, Risk } from "../../../contract/readings.ts";
import type { Sql } from "../../../shared/sql.ts";
import { causeOf, hasContent, offerOf, type OpenOffer } from "../../../local-mcp/recovery/detect.ts";
import { asSeen, isAlive, readState } from "../../../local-mcp/recovery/session-state.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { displayTitle, type Session } from "../../../local-mcp/sessions/sessions.ts";
import { shortSessionId } from "../../../local-mcp/sessions/short-ids.ts";
import { assess } from "../../../policy/risk.ts";

/** Printed as JSON: fields are only added. */
export interface SessionView {
  readonly id: string;
  /** Shortest prefix of the id that is unique on this machine. */
  readonly shortId: string;
  readonly state: ChatState;
  readonly detail: string | null;
  /** Whether its client runs, as far as this machine can see. */
  readonly isAlive: boolean;
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
  readonly risk: Risk | null;
  /** When its client began to wait for the user; null: it does not, or does not say since when. */
  readonly waitingSince: number | null;
  /** Null unless the session died or was closed. */
  readonly cause: CrashCause | null;
  readonly causeDetail: string | null;
  /** The living chat that has it in its context; null: none. */
  readonly offer: (Pick<OpenOffer, "chat" | "at"> & { readonly shortId: string }) | null;
}

/** @param chat the same chat in the coordinator's registry */
export function toSessionView(sql: Sql, runtime: Runtime, stored: Session, chat?: Chat): SessionView {
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
  const shown = readState(sql, runtime, stored, chat);
  const isLiving = shown.state !== "ended" && isAlive(runtime, stored);
  return {
    id,
    shortId: shortSessionId(sql, id),
    ...shown,
    isAlive: isLiving,
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
    ...(isLiving ? factsAlive(runtime, session) : factsOver(sql, runtime, session)),
    offer: findOffer(sql, runtime, session),
  };
}

function findOffer(sql: Sql, { processes, now }: Runtime, session: Session): SessionView["offer"] {
  const offer = offerOf(sql, processes, now(), session);
  return offer && { chat: offer.chat, at: offer.at, shortId: shortSessionId(sql, offer.chat) };
}

const noCause = { cause: null, causeDetail: null };

type LivingFacts = Pick<SessionView, "risk" | "waitingSince" | "cause" | "causeDetail">;

function factsAlive({ config, now }: Runtime, { readings, waiting }: Session): LivingFacts {
  return { ...noCause, risk: assess(readings, config.risk, now()), waitingSince: waiting?.since ?? null };
}

function factsOver(sql: Sql, { processes }: Runtime, session: Session): LivingFacts {
  const hasDied = session.endedAt === null && hasContent(sql, session.id);
  return { risk: null, waitingSince: null, ...(hasDied ? causeOf(sql, session, processes) : noCause) };
}

function countCheckpoints(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM checkpoints WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}
