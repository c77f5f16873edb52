import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { catchUp } from "../transcripts/record-transcript.ts";
import { isClosed, isClosedWithNothingOpen } from "../sessions/closed-sessions.ts";
import type { News } from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import { brief, composeBrief, type Brief, type Occasion } from "./brief/brief.ts";
import { recordDeath } from "./incomplete/deaths.ts";
import { findIncomplete, type IncompleteSession, type SessionSearch } from "./incomplete/detect.ts";
import { resolve } from "./incomplete/resolution.ts";
import { offeredLine, type OfferedSession } from "./brief/user-lines.ts";
import { restore, type Restoration } from "./incomplete/restoration.ts";

/**
 * Nothing for a chat that has an offer, as one that `shim resume` started with a brief, and
 * for a worker's task. A script has no user to ask: it only learns of the session.
 */
export function offerPolicy({ env, config, store }: Runtime, chatId: string): "offer" | "mention" | "nothing" {
  if (env["SHIM_TASK"]) return "nothing";
  if (store.read((sql) => sessions.listOfferedTo(sql, chatId).length > 0, false)) return "nothing";
  return isScripted(env) && config.recovery !== "resume" ? "mention" : "offer";
}

/** Detects `claude -p`: a script reads the answer, and there is no user to ask. */
export function isScripted(env: NodeJS.ProcessEnv): boolean {
  return env["CLAUDE_CODE_ENTRYPOINT"] === "sdk-cli";
}

export interface Offer {
  readonly brief: Brief;
  /** Other sessions that could be offered, too. */
  readonly more: number;
}

/** One of two chats that ask at the same time gets the offer. */
export function offer(runtime: Runtime, to: string, search: SessionSearch): Offer | null {
  const now = runtime.now();
  const offerableSessions = offerable(runtime, { ...search, except: to });
  const first = offerableSessions.find((one) => one.session.project === search.project) ?? offerableSessions[0];
  if (!first) return null;
  runtime.store.write((sql) => catchUp(sql, now, first.session.id));
  const from = restore(runtime, first.session);
  if (!from) return null;
  const composed = composeBrief(from, now);
  return runtime.store.write((sql) => {
    recordOffer(sql, runtime, { session: first.session.id, to, score: composed.score.total });
    if (isClosedWithNothingOpen(first.session)) {
      for (const { session } of offerableSessions) {
        if (session !== first.session) {
          recoveries.add(sql, { at: now, session: session.id, action: "offered", by: to });
        }
      }
    } else if (runtime.config.recovery === "resume") {
      // Under this setting the brief makes the chat continue the session.
      recoveries.add(sql, { at: now, session: first.session.id, action: "taken", by: to });
    }
    return { brief: composed, more: offerableSessions.length - 1 };
  });
}

export interface OfferNote {
  readonly session: string;
  /** The chat that gets it. */
  readonly to: string;
  /** Score of the brief, 0 to 100; null: not known. */
  readonly score: number | null;
}

export function recordOffer(sql: Sql, runtime: Runtime, { session, to: by, score }: OfferNote): void {
  const at = runtime.now();
  recordDeath(sql, runtime, session);
  sessions.setRecovery(sql, at, session, "offered", by);
  recoveries.add(sql, { at, session, action: "offered", by, score });
}

/** Newest first; those closed with nothing open only where there are no others. */
export function offerable(runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  return runtime.store.read((sql) => findOfferable(sql, runtime, search), []);
}

function findOfferable(sql: Sql, runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  const findWith = (isCalm: boolean): IncompleteSession[] => {
    const accepts = (session: sessions.Session): boolean =>
      isClosedWithNothingOpen(session) === isCalm && isOfferDue(sql, runtime, session);
    return findIncomplete(sql, runtime.processes, runtime.now(), { ...search, isFree: true, accepts });
  };
  const dead = findWith(false);
  return dead.length > 0 ? dead : findWith(true);
}

/** A user who closes terminals every evening is not asked about each in every chat. */
const maxOffers = { withNothingOpen: 1, withOpenWork: 3 };

/** For a session of any machine. Offers before its end do not count. */
export function isOfferDue(sql: Sql, { config, now }: Runtime, session: sessions.Session): boolean {
  if (now() - session.lastSeenAt > config.offerMaxAgeMs) return false;
  const isCalm = isClosedWithNothingOpen(session);
  // Under this setting each chat continues it.
  if (config.recovery === "resume" && !isClosed(session)) return true;
  const since = isClosed(session) ? (session.detachedAt ?? 0) : session.lastSeenAt;
  const [progress] = resolve(recoveries.listEvents(sql, { session: session.id, since }));
  return (progress?.declinedBy.length ?? 0) < (isCalm ? maxOffers.withNothingOpen : maxOffers.withOpenWork);
}

type StoredOffer = Extract<News, { kind: "offer" }>;

/** Prompts after the first, and characters of the client's summary that a brief may need. */
const keptLimits = { prompts: 40, summary: 8_000 };

/** For an offer of another machine. Keeps the data of the brief, which is written at delivery. */
export function toStoredOffer(from: Restoration, machine: string, occasion: Occasion): StoredOffer {
  const { state } = from;
  const slim = {
    ...state,
    prompts: [...state.prompts.slice(0, 1), ...state.prompts.slice(1).slice(-keptLimits.prompts)],
    compactSummary: state.compactSummary?.slice(0, keptLimits.summary) ?? null,
  };
  return { kind: "offer", session: from.session.id, machine, from: { ...from, state: slim }, occasion };
}

type OfferOfLine = Pick<Restoration, "session" | "cause"> &
  Pick<OfferedSession, "more"> & { readonly elsewhere?: Restoration["elsewhere"] };

/** The line that the chat's user reads; null for a script. */
export function userLine(sql: Sql, { config, env, now }: Runtime, offered: OfferOfLine, client: string): string | null {
  if (isScripted(env)) return null;
  const { session, cause, elsewhere, more } = offered;
  const origin = { machine: elsewhere?.machine ?? null, isCertain: elsewhere?.isCertain ?? true };
  const shortId = shortSessionId(sql, session.id);
  const isPlugin = env["CLAUDE_PLUGIN_ROOT"] !== undefined;
  return offeredLine({ session, cause, shortId, more, ...origin }, now(), config.recovery, isPlugin, client);
}

/** The same line for an offer of another machine, which comes with a prompt. */
export function storedLine(sql: Sql, runtime: Runtime, { from }: StoredOffer, chat: string): string | null {
  const client = sessions.get(sql, chat)?.client ?? "";
  return from ? userLine(sql, runtime, { ...(from as Restoration), more: 0 }, client) : null;
}

export function toDelivered(news: News, now: number): News {
  if (news.kind !== "offer") return news;
  const { kind, session, machine } = news;
  return { kind, session, machine, brief: renderBrief(news, now) };
}

/** Uses the ages of this moment. */
export function renderBrief({ from, occasion, brief: written }: StoredOffer, now: number): string {
  return from ? brief(from as Restoration, now, (occasion ?? "brief") as Occasion) : (written ?? "");
}
