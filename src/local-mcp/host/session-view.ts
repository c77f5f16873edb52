import type { Chat } from "../../contract/chats.ts";
import type { SessionView } from "../../contract/machine/sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import { causeOf, hasContent, offerOf } from "../recovery/detect.ts";
import { asSeen, isAlive, readState } from "../recovery/session-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { displayTitle, type Session } from "../sessions/sessions.ts";
import { checkpoints } from "../../store/session-tables.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import { assess } from "../../policy/risk.ts";

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
    checkpoints: checkpoints.count(sql, { session: id }),
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
