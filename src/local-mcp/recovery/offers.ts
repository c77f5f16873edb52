import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { catchUp } from "../observe/record-transcript.ts";
import { isClosed, isClosedWithNothingOpen } from "../sessions/closed-sessions.ts";
import type { News } from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { brief, type Occasion } from "./brief.ts";
import { listedFiles } from "./brief-files.ts";
import { recordDeath } from "./deaths.ts";
import { findIncomplete, type IncompleteSession, type SessionSearch } from "./detect.ts";
import { changesSince, restoration, withChanges, type Restoration } from "./restoration.ts";

/**
 * [HO9] Nothing for a chat that has an offer, as one that `shim resume` started with a brief, and
 * [HO15] for a worker's task. [HO13] A script has no user to ask: it only learns of the session.
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
  readonly from: Restoration;
  /** Chats that were offered it before, and did not take it. */
  readonly vainOffers: number;
  readonly more: number;
}

/** [RE8] One of two chats that ask at the same time gets the offer. */
export function offer(runtime: Runtime, to: string, search: SessionSearch): Offer | null {
  const now = runtime.now();
  const searchOfOthers = { ...search, except: to };
  const [likely] = offerable(runtime, searchOfOthers);
  if (!likely) return null;
  // Git is asked before the transaction, which must not wait for it.
  const expected = runtime.store.read((sql) => restoration(sql, runtime, likely.session, now), null);
  const changes = expected && changesSince(runtime.env, expected);
  return runtime.store.write((sql) => {
    const offerableSessions = findOfferable(sql, runtime, searchOfOthers);
    const first = offerableSessions.find((one) => one.session.project === search.project) ?? offerableSessions[0];
    if (!first) return null;
    catchUp(sql, now, first.session.id);
    const known = restoration(sql, runtime, first.session, now);
    if (!known) return null;
    const from = withChanges(known, first.session.id === likely.session.id ? changes : null);
    const vainOffers = countVainOffers(sql, runtime, from);
    recordOffer(sql, runtime, from, to);
    if (isClosedWithNothingOpen(first.session)) {
      for (const { session } of offerableSessions) {
        if (session !== first.session) {
          recoveries.add(sql, { at: now, sessionId: session.id, action: "offered", by: to });
        }
      }
    } else if (runtime.config.recovery === "resume") {
      // Under this setting the brief makes the chat continue the session.
      recoveries.add(sql, { at: now, sessionId: first.session.id, action: "taken", by: to });
    }
    return { from, vainOffers, more: offerableSessions.length - 1 };
  });
}

/** Under the setting "resume" each chat gets the whole brief, and continues the session. */
function countVainOffers(sql: Sql, { config }: Runtime, { session }: Restoration): number {
  return config.recovery === "resume" ? 0 : recoveries.vainOffers(sql, session.id, session.lastSeenAt);
}

export function recordOffer(sql: Sql, runtime: Runtime, from: Restoration, to: string): void {
  const at = runtime.now();
  recordDeath(sql, runtime, from.session.id);
  sessions.setRecovery(sql, at, from.session.id, "offered", to);
  noteOffered(sql, at, from, to);
}

export function noteOffered(sql: Sql, at: number, from: Restoration, by: string): void {
  const named = briefFacts(from);
  recoveries.add(sql, { at, sessionId: from.session.id, action: "offered", by, score: from.score.total, named });
}

const maxFiles = 40;

function briefFacts(from: Restoration): recoveries.BriefFacts {
  const files = listedFiles(from)
    .slice(0, maxFiles)
    .map(({ path }) => path);
  return { files, results: from.state.lastError ? [from.state.lastError.text.slice(0, 400)] : [] };
}

/** [RE12] Newest first; [RE52] those closed with nothing open only where there are no others. */
export function offerable(runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  return runtime.store.read((sql) => findOfferable(sql, runtime, search), []);
}

function findOfferable(sql: Sql, runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  const now = runtime.now();
  const findWith = (isCalm: boolean): IncompleteSession[] => {
    const accepts = (session: sessions.Session): boolean =>
      now - session.lastSeenAt <= runtime.config.offerMaxAgeMs &&
      isClosedWithNothingOpen(session) === isCalm &&
      isOfferDue(sql, session);
    return findIncomplete(sql, runtime.processes, now, { ...search, accepts });
  };
  const dead = findWith(false);
  return dead.length > 0 ? dead : findWith(true);
}

/** A user who closes terminals every evening is not asked about each in every chat. */
const maxOffers = { withNothingOpen: 1, withOpenWork: 3 };

function isOfferDue(sql: Sql, session: sessions.Session): boolean {
  if (!isClosed(session)) return true;
  const maxOffersOfSession = isClosedWithNothingOpen(session) ? maxOffers.withNothingOpen : maxOffers.withOpenWork;
  return recoveries.offersSince(sql, session.id, session.detachedAt ?? 0) < maxOffersOfSession;
}

type StoredOffer = Extract<News, { kind: "offer" }>;

/** Turns and characters of the client's summary that a brief may need. */
const keptLimits = { turns: 6, summary: 4_000 };

/** For an offer of another machine. Keeps the data of the brief, which is written at delivery. */
export function toStoredOffer(from: Restoration, machine: string, occasion: Occasion): StoredOffer {
  const { state } = from;
  const slim = {
    ...state,
    conversation: state.conversation.slice(-keptLimits.turns),
    compactSummary: state.compactSummary?.slice(0, keptLimits.summary) ?? null,
  };
  return { kind: "offer", session: from.session.id, machine, from: { ...from, state: slim }, occasion };
}

export function toDelivered(news: News, now: number): News {
  if (news.kind !== "offer") return news;
  const { kind, session, machine } = news;
  return { kind, session, machine, brief: renderBrief(news, now) };
}

/** [RE36] Uses the ages of this moment. */
export function renderBrief({ from, occasion, brief: written }: StoredOffer, now: number): string {
  return from ? brief(from as Restoration, now, (occasion ?? "brief") as Occasion) : (written ?? "");
}
