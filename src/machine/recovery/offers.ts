import { hasUser, isOfWorker } from "../../clients/adapter/attendance.ts";
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { isTaskPrompt } from "../../contract/task-prompt.ts";
import { stored } from "../../contract/limits.ts";
import type { EventMachine, Runtime } from "../../runtime/runtime.ts";
import { formatAgo, quotedTitle } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import { claim, decide } from "../sessions/life/claim.ts";
import { mayBeContinued } from "../sessions/ending/ending.ts";
import * as news from "../sessions/news.ts";
import type { News } from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import * as sessions from "../sessions/sessions.ts";
import { catchUp } from "../sessions/transcripts/record-transcript.ts";
import { brief, type Occasion, composeBrief, type Brief } from "./brief/brief.ts";
import { offeredLine } from "./brief/user-lines.ts";
import { findElsewhere, type SeenElsewhere, type Reach } from "./elsewhere/candidates.ts";
import { restoreElsewhere, takeOver } from "./elsewhere/restoration.ts";
import { findIncomplete, type IncompleteSession, type SessionSearch } from "./incomplete/detect.ts";
import { resolve } from "./incomplete/resolution.ts";
import { type Restoration, restore } from "./incomplete/restoration.ts";
import { fetchHolder } from "./incomplete/session-lease.ts";
import { withLearnt } from "./learnt/session-items.ts";
import { give } from "./marks.ts";

type StoredOffer = Extract<News, { from: object }>;

/** Prompts after the first that a brief may need. */
const keptPrompts = 40;

/** For an offer of another machine. Keeps the data of the brief, which is written at delivery. */
export function toStoredOffer(from: Restoration, machine: string, occasion: Occasion): StoredOffer {
  const { state } = from;
  const slim = {
    ...state,
    prompts: [...state.prompts.slice(0, 1), ...state.prompts.slice(1).slice(-keptPrompts)],
    compactSummary: state.compactSummary?.slice(0, stored.offeredSummary) ?? null,
  };
  return { kind: "offer", session: from.session.id, machine, from: { ...from, state: slim }, occasion };
}

/** The line that the user reads with the prompt that brings the offer. */
export function storedLine(sql: Sql, runtime: EventMachine, { from }: StoredOffer, chat: string): string | null {
  const client = sessions.get(sql, chat)?.client ?? "";
  return offeredLine(sql, runtime, { ...(from as Restoration), more: 0 }, client);
}

export function toDelivered(news: News, now: number): News {
  if (news.kind !== "offer" || !("from" in news)) return news;
  const { kind, session, machine } = news;
  return { kind, session, machine, brief: renderBrief(news, now) };
}

/** Uses the ages of this moment. */
export function renderBrief({ from, occasion }: StoredOffer, now: number): string {
  return brief(from as Restoration, now, occasion as Occasion);
}

/**
 * Nothing for a chat that has an offer, as one that `shim resume` started with a brief, and
 * for a worker's task. A script has no user to ask: it only learns of the session.
 */
export function offerPolicy({ env, config, store }: Runtime, chatId: string): "offer" | "mention" | "nothing" {
  if (isOfWorker(env)) return "nothing";
  if (store.read((sql) => recoveries.heldBy(sql, chatId).length > 0, false)) return "nothing";
  const isScripts = store.read((sql) => sessions.get(sql, chatId)?.isScripts === true, false);
  return (hasUser(env) && !isScripts) || config.recovery === "resume" ? "offer" : "mention";
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
  const composed = composeBrief(withLearnt(runtime, from), now);
  return runtime.store.write((sql) => {
    const isClosedCalmly = !mayBeContinued(first.session);
    // Under this setting the brief makes the chat continue the session.
    const action = runtime.config.recovery === "resume" && !isClosedCalmly ? "taken" : "offered";
    const note = { session: first.session.id, to, score: composed.score.total };
    if (!give(sql, runtime, action, note).ok) return null;
    for (const { session } of isClosedCalmly ? offerableSessions : [])
      if (session !== first.session) recoveries.add(sql, { at: now, session: session.id, action: "mentioned", by: to });
    return { brief: composed, more: offerableSessions.length - 1 };
  });
}

/**
 * For the user of a chat that is offered nothing: a chat has died in a folder that is gone and had
 * this one's name, or stood beside it. Null: none has.
 */
export function goneFolderLine(runtime: Runtime, to: string, project: string | null): string | null {
  if (project === null) return null;
  const isNear = (old: string): boolean => basename(old) === basename(project) || dirname(old) === dirname(project);
  const accepts = ({ project: old }: sessions.Session): boolean =>
    old !== null && old !== project && isNear(old) && !existsSync(old);
  const found = offerable(runtime, { except: to }).find(({ session }) => accepts(session))?.session;
  if (!found || !mayBeContinued(found)) return null;
  const ago = formatAgo(runtime.now(), found.lastSeenAt);
  const id = runtime.store.read((sql) => shortSessionId(sql, found.id), found.id);
  return `SHIM: ${quotedTitle(sessions.displayTitle(found))} died ${ago} in ${found.project}, a folder that is gone. If it is this one now: \`shim rescue ${id}\`.`;
}

/**
 * Newest first; runs of scripts only where there is no chat of a person, and those closed with
 * nothing open only where there are no others.
 */
export function offerable(runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  return runtime.store.read((sql) => findOfferable(sql, runtime, search), []);
}

function findOfferable(sql: Sql, runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  const findWith = (isCalm: boolean): IncompleteSession[] => {
    const accepts = (session: sessions.Session): boolean =>
      mayBeContinued(session) !== isCalm && isOfferDue(sql, runtime, session);
    return findIncomplete(sql, runtime, { ...search, isFree: true, withScripts: true, accepts });
  };
  const dead = findWith(false);
  if (ofPersons(dead).length > 0) return ofPersons(dead);
  const closed = findWith(true);
  return [ofPersons(closed), dead, closed].find((some) => some.length > 0) ?? [];
}

function ofPersons(some: readonly IncompleteSession[]): IncompleteSession[] {
  return some.filter(({ session }) => !session.isScripts);
}

/** A user who closes terminals every evening is not asked about each in every chat. */
const maxOffers = { withNothingOpen: 1, withOpenWork: 3 };

/** For a session of any machine. Offers before its end do not count. */
function isOfferDue(sql: Sql, { config, now }: Runtime, session: sessions.Session): boolean {
  if (now() - session.lastSeenAt > config.offerMaxAgeMs) return false;
  const { ending, lastSeenAt } = session;
  // Under this setting each chat continues it.
  if (config.recovery === "resume" && ending?.how !== "closed") return true;
  const since = ending?.how === "closed" ? ending.at : lastSeenAt;
  const [progress] = resolve(recoveries.listEvents(sql, { session: session.id, since }));
  return (
    (progress?.declinedBy.length ?? 0) < (mayBeContinued(session) ? maxOffers.withOpenWork : maxOffers.withNothingOpen)
  );
}

/** Offers once, and only if the chat was offered no session of this machine. */
export async function offerElsewhere(reach: Reach): Promise<string | null> {
  const { runtime, chatId, here } = reach;
  if (here === null || offerPolicy(runtime, chatId) !== "offer") return null;
  const [first] = offerableElsewhere(reach, await findElsewhere(reach, here.project, 5));
  // A dead chat holds its lease for a while; only a session that can be taken is offered.
  if (!first || (await fetchHolder(reach.link, first.row.id)) !== null) return null;
  // Under this setting the brief makes the chat continue the session, so it is taken first.
  if (runtime.config.recovery === "resume" && !(await takeOver(reach, first.row)).ok) return null;
  const found = composeBrief(await restoreElsewhere(reach, first), runtime.now());
  return storeOffer(reach, found, first.row.machine) ? first.row.id : null;
}

/** Returns the session already offered to the chat, else offers it the newest of its project. */
export async function offerNewest(reach: Reach, dead: readonly SeenElsewhere[]): Promise<Brief | null> {
  const { runtime, chatId, here } = reach;
  const { store, now } = runtime;
  const ofProject = offerableElsewhere(reach, dead).filter(({ row }) => row.projectName === here?.project);
  const isOffered = ({ row }: SeenElsewhere): boolean =>
    store.read((sql) => recoveries.claimOf(sql, row.id)?.by === chatId, false);
  const first = ofProject.find(isOffered) ?? ofProject[0];
  if (!first) return null;
  const found = composeBrief(await restoreElsewhere(reach, first), now());
  storeOffer(reach, found, first.row.machine);
  // The answer delivers the offer, so that the chat's next hook does not.
  store.write((sql) => news.markKeyDelivered(sql, now(), chatId, offerKey(first.row.id)));
  return found;
}

function offerKey(session: string): string {
  return `offer:${session}`;
}

/** @returns false if the chat has the offer already, or another chat was faster */
function storeOffer({ runtime, chatId }: Reach, { from, score }: Brief, machine: string): boolean {
  const at = runtime.now();
  const { id } = from.session;
  return runtime.store.write((sql) => {
    const decided = decide(sql, runtime, { session: id, action: "offered", by: chatId, score: score.total });
    const offered = toStoredOffer(from, machine, runtime.config.recovery);
    return decided.ok && news.add(sql, at, chatId, offerKey(id), offered);
  });
}

/** Excludes old sessions, those of tasks, and those continued by another chat here. */
export function offerableElsewhere({ runtime, chatId }: Reach, dead: readonly SeenElsewhere[]): SeenElsewhere[] {
  return runtime.store.read(
    (sql) =>
      dead.filter(
        ({ row }) =>
          mayBeContinued(row) &&
          // Its worker continues it; it has no chat in the workspace, so it may be alive.
          !isTaskPrompt(row.title ?? "") &&
          isOfferDue(sql, runtime, row) &&
          isFreeFor(claim(sql, runtime, row.id), chatId),
      ),
    [],
  );
}

function isFreeFor(known: recoveries.Claim | null, chat: string): boolean {
  return known === null || known.by === chat;
}
