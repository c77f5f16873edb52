import { clientTitle } from "../../clients/adapters.ts";
import type { NotifyEvent } from "../../contract/config.ts";
import type { PushKind } from "../../contract/phone-frames.ts";
import type { InputOf } from "../../contract/operations.ts";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import { fetchPages } from "../../coordinator-client/coordinator-client.ts";
import { processKey } from "../../coordinator-client/local/process-key.ts";
import { assess } from "../../machine/sessions/signals/risk.ts";
import { findIncomplete } from "../../machine/recovery/incomplete/detect.ts";
import { failureOf, needOf } from "../../machine/sessions/life/questions.ts";
import * as life from "../../machine/sessions/life/row.ts";
import * as recoveries from "../../machine/sessions/recoveries.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { openConflicts } from "../../machine/team/conflicts.ts";
import { costText, limitLine, openLimitOf } from "../../machine/sessions/usage/at-limit.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { age, quotedTitle } from "../../shared/format.ts";
import { isWithin } from "../../shared/known-time.ts";
import type { Sql } from "../../shared/sql.ts";
import { isOwnerGone, livingSessions, mayRun } from "../../machine/sessions/life/presence.ts";
import { isNotEndedSql } from "../../store/session-tables.ts";

/** Sent once per `key`. Contains no text of a chat but its title. */
export interface UserNotification {
  readonly event: NotifyEvent | PushKind;
  readonly key: string;
  readonly session: string | null;
  readonly title: string | null;
  readonly text: string;
}

const maxEventAgeMs = 86_400_000;
/** A chat in its turn reads a message by itself within this time. */
const unreadAfterMs = 30_000;
const maxChats = 20;

type Readers = { readonly [Event in NotifyEvent]: (sql: Sql, runtime: Runtime) => UserNotification[] };

const readers: Readers = {
  conflict: findConflicts,
  chat_died: (sql, runtime) => [
    ...recordedDeaths(sql, runtime.now()),
    // A chat whose process cannot be seen has no recorded death before it is offered.
    ...unrecordedDeaths(sql, runtime, (session) => !isOwnerGone(runtime, session)),
  ],
  message_waiting: findUnreadMessages,
  risk_critical: findCriticalRisks,
  task_dead: () => [],
  usage_limit: (sql, runtime) => [...findSwitches(sql, runtime), ...findLimited(sql, runtime)],
};

/** Includes what was already sent. */
export function dueNotifications(sql: Sql, runtime: Runtime): UserNotification[] {
  return runtime.config.notify.events.flatMap((event) => readers[event](sql, runtime));
}

/** The same for a phone, of the kinds that it has chosen. */
export function duePushes(sql: Sql, runtime: Runtime, kinds: readonly PushKind[]): UserNotification[] {
  return kinds.flatMap((kind) => pushReaders[kind](sql, runtime));
}

const pushReaders: Readonly<Record<PushKind, (sql: Sql, runtime: Runtime) => UserNotification[]>> = {
  waits: findWaiting,
  died: readers.chat_died,
  done: findDone,
  limit: readers.usage_limit,
};

function findWaiting(sql: Sql, runtime: Runtime): UserNotification[] {
  return livingSessions(sql, runtime).flatMap((session): UserNotification[] => {
    const stood = life.read(sql, session.id);
    const need = needOf(stood);
    // At an idle prompt a chat is done; of a usage limit another notification informs.
    if (need === null || need.for === "prompt" || failureOf(stood)?.limit) return [];
    return [ofChat(session, "waits", need.at, stateTexts[need.for])];
  });
}

const stateTexts = {
  permission: "asks for a permission",
  dialog: "asks a question",
  error: "stopped at an error",
} as const;

/** A user who waits for a shorter turn is there. */
const minTurnMs = 60_000;

/** Turns that have ended, of chats of persons that are alive. */
function findDone(sql: Sql, runtime: Runtime): UserNotification[] {
  return livingSessions(sql, runtime).flatMap((session): UserNotification[] => {
    const turn = life.read(sql, session.id)?.turn;
    if (session.isScripts || turn?.over?.how !== "done" || turn.over.at - turn.beganAt < minTurnMs) return [];
    if (!isWithin(runtime.now() - turn.over.at, maxEventAgeMs)) return [];
    return [ofChat(session, "done", turn.over.at, "is done")];
  });
}

interface DeathRow {
  readonly id: string;
  readonly at: number;
  readonly cause: string;
  readonly isLast: number;
}

/** Holds those that were offered as well: a chat that starts may be faster than any notifier. */
function recordedDeaths(sql: Sql, now: number): UserNotification[] {
  const rows = sql.all<DeathRow>(
    `SELECT c.session AS id, c.at, c.cause, coalesce(s.ending ->> '$.signs.gone.at' = c.at, 0) AS "isLast" FROM crashes c JOIN sessions s ON s.id = c.session
     WHERE max(c.at, coalesce(s.ending ->> 'at', 0)) >= ? ORDER BY s.isScripts, c.at DESC LIMIT ?`,
    now - maxEventAgeMs,
    maxChats,
  );
  return rows.flatMap(({ id, at, cause, isLast }) => {
    const session = sessions.get(sql, id);
    const isDeath = cause !== "closed" || (isLast === 1 && session?.ending?.how === "died");
    return session && isDeath ? deathOf(session, at, cause) : [];
  });
}

/** Deaths that a process is about to record. */
export function comingDeaths(sql: Sql, runtime: Runtime): UserNotification[] {
  return unrecordedDeaths(sql, runtime, (session) => isOwnerGone(runtime, session));
}

function unrecordedDeaths(
  sql: Sql,
  runtime: Runtime,
  isMeant: (session: sessions.Session) => boolean,
): UserNotification[] {
  const now = runtime.now();
  const accepts = (session: sessions.Session): boolean =>
    isMeant(session) &&
    session.ending?.how !== "closed" &&
    now - Math.max(session.lastSeenAt, session.ending?.at ?? 0) <= maxEventAgeMs;
  return findIncomplete(sql, runtime, { limit: maxChats, isFree: true, withScripts: true, accepts }).map(
    ({ session }) => deathOf(session, session.lastSeenAt, session.ending?.cause ?? "unknown"),
  );
}

/** @param at the last sign of life, the same before and after the death is recorded */
function deathOf(session: sessions.Session, at: number, cause: string): UserNotification {
  const causeText = cause === "unknown" ? "" : ` (${cause.replaceAll("_", " ")})`;
  return ofChat(session, "chat_died", at, `died${causeText}`);
}

/** @param which tells the event from others of its kind in this chat */
function ofChat(
  session: sessions.Session,
  event: UserNotification["event"],
  which: number | string,
  says: string,
): UserNotification {
  const title = sessions.displayTitle(session);
  const text = `${quotedTitle(title)} ${says}`;
  return { event, key: `${event}:${session.id}:${which}`, session: session.id, title, text };
}

/** Only of files that are known to be changed by two chats. */
function findConflicts(sql: Sql, runtime: Runtime): UserNotification[] {
  const open = openConflicts(sql, runtime).filter(({ kind }) => kind === "merge" || kind === "file");
  return open.slice(0, maxChats).map(({ seq, kind, path, ageMs, chats: [one, other] }) => {
    const names = [one, other].map(({ title, shortId }) => quotedTitle(title ?? shortId));
    const what = kind === "file" ? "have both edited it" : "have changed it in ways that do not merge";
    const text = `conflict in ${path}: ${names.join(" and ")} ${what} (${age(ageMs)} ago). Let one finish and commit first`;
    return { event: "conflict", key: `conflict:${seq}`, session: one.chat, title: one.title, text };
  });
}

interface UnreadRow {
  readonly seq: number;
  readonly session: string;
  readonly title: string | null;
}

function findUnreadMessages(sql: Sql, machine: Runtime): UserNotification[] {
  const rows = sql.all<UnreadRow>(
    `SELECT min(n.seq) AS seq, n.session, coalesce(s.name, s.title) AS title FROM team_news n JOIN sessions s ON s.id = n.session
     WHERE n.kind = 'message' AND n.deliveredAt IS NULL AND n.at <= ? AND ${isNotEndedSql("s")} GROUP BY n.session LIMIT ?`,
    machine.now() - unreadAfterMs,
    maxChats,
  );
  return rows
    .filter(({ session }) => mayRun(machine, sessions.get(sql, session) ?? { owner: null }))
    .map(({ seq, session, title }) => ({
      event: "message_waiting",
      key: `message_waiting:${session}:${seq}`,
      session,
      title,
      text: `a message waits for ${quotedTitle(title)}`,
    }));
}

function findCriticalRisks(sql: Sql, runtime: Runtime): UserNotification[] {
  const { now, config } = runtime;
  return livingSessions(sql, runtime).flatMap((session): UserNotification[] => {
    const { owner, readings } = session;
    if (assess(readings, config.risk, now()).level !== "critical") return [];
    return [ofChat(session, "risk_critical", owner ? processKey(owner) : "", "is at critical risk")];
  });
}

/** Sessions that another client or model continues, because of a usage limit. */
function findSwitches(sql: Sql, { now }: Runtime): UserNotification[] {
  const taken = recoveries.listTaken(sql, now() - maxEventAgeMs, maxChats);
  return taken.flatMap(({ session: sessionId, by, limit }): UserNotification[] => {
    const [session, successor] = [sessions.get(sql, sessionId), sessions.get(sql, by)];
    if (!session || !successor || (successor.client === session.client && !limit)) return [];
    if (!limit && session.ending?.cause !== "usage_limit") return [];
    const how = limit ? ` by your rule (${costText(limit)})` : "";
    const says = `reached a usage limit; ${limit?.to ?? clientTitle(successor)} continues${how}`;
    return [ofChat(session, "usage_limit", by, says)];
  });
}

/** Living chats at a usage limit, with the command that continues them. */
function findLimited(sql: Sql, runtime: Runtime): UserNotification[] {
  return livingSessions(sql, runtime).flatMap((session): UserNotification[] => {
    const limit = openLimitOf(sql, session, runtime.now());
    if (!limit || recoveries.claimOf(sql, session.id) !== null) return [];
    const hint = limitLine(sql, runtime, session);
    return [ofChat(session, "usage_limit", limit.at, `reached a usage limit${hint === null ? "" : `; ${hint}`}`)];
  });
}

/** The coordinator may be remote and charge for requests. */
const askEveryMs = 60_000;
const callTimeoutMs = 5_000;
const maxTasks = 1_000;

/** Repeats the last known tasks between requests and while the coordinator is unreachable. */
export function deadTasks(
  now: () => number,
  reader: () => OpenedLink | null | Promise<OpenedLink | null>,
): () => Promise<readonly UserNotification[]> {
  let lastNotifications: readonly UserNotification[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (isWithin(now() - askedAt, askEveryMs)) return lastNotifications;
    askedAt = now();
    const openedLink = await reader();
    return (lastNotifications = (openedLink && (await findDeadTasks(openedLink))) ?? lastNotifications);
  };
}

async function findDeadTasks({ link, workspace }: OpenedLink): Promise<UserNotification[] | null> {
  const caller = { call: (name: "tasks.list", input: InputOf<"tasks.list">) => link.call(name, input, callTimeoutMs) };
  const answer = await fetchPages(caller, "tasks.list", { state: "dead" }, { max: maxTasks });
  if (!answer.ok) return null;
  return answer.value.tasks.map(({ task, type, reason, failures }) => {
    const reasonText = reason === null ? "" : ` (${reason.replaceAll("_", " ")})`;
    const key = `task_dead:${workspace}:${task}:${failures}`;
    return { event: "task_dead", key, session: null, title: null, text: `task ${task} (${type}) is dead${reasonText}` };
  });
}
