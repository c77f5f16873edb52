import { adapterOf } from "../../clients/adapters.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Session } from "../../store/session-tables.ts";
import { teamNews } from "../../store/team-tables.ts";
import type { KeyedEntry } from "./entries.ts";
import { storedWords } from "./hook-entries.ts";

/** Texts of other chats are untrusted. */
export type News =
  | {
      readonly kind: "message";
      readonly id: number;
      readonly from: string;
      readonly fromName: string;
      readonly topic: string | null;
      readonly text: string;
    }
  | {
      readonly kind: "claim_lost";
      readonly task: number;
      readonly title: string;
      readonly reason: string;
      readonly workspace?: string;
    }
  | { readonly kind: "task_cancelled"; readonly task: number; readonly title: string; readonly reason: string }
  | { readonly kind: "task_available"; readonly task: number; readonly title: string }
  | { readonly kind: "report_refused"; readonly task: number; readonly reason: string }
  | { readonly kind: "leader_changed"; readonly name: string; readonly leader: string | null; readonly isSelf: boolean }
  /** With the inputs of its brief, as recovery/ stores them; delivered, with its text. */
  | ({ readonly kind: "offer"; readonly session: string; readonly machine: string } & (
      | { readonly from: object; readonly occasion: string }
      | { readonly brief: string }
    ))
  | { readonly kind: "continued_elsewhere"; readonly session: string; readonly by: string; readonly machine: string }
  /** A client's summary has come, and what it lacks is to be given back. */
  | { readonly kind: "compaction" }
  /** Work of another chat that meets this chat's; a tool call brings it, too. */
  | { readonly kind: "conflict"; readonly text: string }
  | { readonly kind: "notice"; readonly text: string }
  /** The user's own words, from elsewhere than the chat's terminal. */
  | { readonly kind: "user_message"; readonly by: string; readonly text: string };

export interface NewsRow {
  readonly seq: number;
  readonly key: string;
  readonly at: number;
  readonly news: News;
}

export interface DeliveredNews extends NewsRow {
  readonly session: string;
  readonly deliveredAt: number | null;
}

const newsRows = teamNews.pick("seq", "key", "at", "body");

type Kind = News["kind"];

/** Written by {@link add}. */
function toNews<R extends { readonly body: object }>({ body, ...row }: R): Omit<R, "body"> & { readonly news: News } {
  return { ...row, news: body as News };
}

/** @returns false if the key is already stored */
export function add(sql: Sql, at: number, sessionId: string, key: string, news: News): boolean {
  const row = { session: sessionId, key, kind: news.kind, at, body: news };
  return teamNews.insert(sql, row, "ON CONFLICT DO NOTHING") > 0;
}

/**
 * A compaction is news, with which the chat gets what it dropped; of a client that shows no summary
 * the start that follows gives that back.
 */
export function addCompaction(
  sql: Sql,
  at: number,
  { id, client }: Pick<Session, "id" | "client">,
  { key, entry }: KeyedEntry,
): void {
  if (entry.kind !== "compacted") return;
  const isGivenAtStart = entry.summary === "" && adapterOf(client)?.compaction !== undefined;
  if (!isGivenAtStart) add(sql, at, id, key, { kind: "compaction" });
}

/** Adds it in a transaction of its own; one that is stored already needs none. */
export function notify(
  { store, now }: Pick<Runtime, "store" | "now">,
  sessionId: string,
  key: string,
  news: News,
): void {
  const isStored = store.read((sql) => has(sql, sessionId, key), false);
  if (!isStored) store.write((sql) => void add(sql, now(), sessionId, key, news));
}

export function has(sql: Sql, sessionId: string, key: string): boolean {
  return teamNews.has(sql, { session: sessionId, key });
}

/** In lists; a chat is given what its compaction dropped instead. */
export const compactionText = "the conversation was compacted";

/** The oldest. @param first kinds that come before older news of others */
export function undelivered(
  sql: Sql,
  sessionId: string,
  limit: number,
  { except = [], first = [] }: { readonly except?: readonly Kind[]; readonly first?: readonly Kind[] } = {},
): NewsRow[] {
  const left = ["compaction", "user_message", ...except];
  const rest = `WHERE session = ? AND deliveredAt IS NULL AND kind NOT IN (${marks(left)})
    ORDER BY kind IN (${marks(first)}) DESC, seq LIMIT ?`;
  return newsRows.select(sql, rest, sessionId, ...left, ...first, limit).map(toNews);
}

function marks(values: readonly unknown[]): string {
  return values.map(() => "?").join(", ");
}

/** The oldest of one kind. @param limit -1: all */
export function undeliveredOf(sql: Sql, sessionId: string, kind: Kind, limit: number): NewsRow[] {
  const rest = "WHERE session = ? AND kind = ? AND deliveredAt IS NULL ORDER BY seq LIMIT ?";
  return newsRows.select(sql, rest, sessionId, kind, limit).map(toNews);
}

/** Written to a session by its user, from elsewhere than its terminal. */
export interface Words {
  readonly key: string;
  readonly at: number;
  readonly by: string;
  readonly text: string;
}

/** The user's words that no model has had yet, oldest first. */
export function waitingWords(sql: Sql, session: string): Words[] {
  return undeliveredOf(sql, session, "user_message", -1).flatMap(wordsOf);
}

function wordsOf({ key, at, news }: NewsRow): Words[] {
  return news.kind === "user_message" ? [{ key, at, by: news.by, text: news.text }] : [];
}

/** The user's words that a model has had, oldest first. */
export function deliveredWords(sql: Sql, session: string): Words[] {
  const rest = "WHERE session = ? AND kind = 'user_message' AND deliveredAt IS NOT NULL ORDER BY seq";
  return newsRows.select(sql, rest, session).map(toNews).flatMap(wordsOf);
}

/**
 * Words that a client has had as a prompt are delivered.
 *
 * @param text of the prompt, as it is stored
 * @returns the surface that they came from; null: it was typed
 */
export function takeAsPrompt(sql: Sql, at: number, session: string, text: string): string | null {
  const words = waitingWords(sql, session).find((one) => storedWords(one.text) === text);
  if (words === undefined) return null;
  markKeyDelivered(sql, at, session, words.key);
  return words.by;
}

/** The user's words that wait in a session, or were written to it, wait for the chat `to` now. */
export function handOnWords(sql: Sql, session: string, to: string): void {
  const query = `UPDATE team_news SET session = ?
     WHERE kind = 'user_message' AND deliveredAt IS NULL AND (session = ? OR key GLOB ?)`;
  sql.run(query, to, session, `${wordsKey(session)}*`);
}

/** Begins the keys of what the user wrote to a session. */
export function wordsKey(session: string): string {
  return `user:${session}:`;
}

/** Lists the news of all sessions, newest first. */
export function listNewest(sql: Sql, limit: number): DeliveredNews[] {
  return teamNews.select(sql, "ORDER BY seq DESC LIMIT ?", limit).map(toNews);
}

export function countUndelivered(sql: Sql, sessionId: string, kind: Kind): number {
  return teamNews.count(sql, { session: sessionId, kind, deliveredAt: null });
}

export function markDelivered(sql: Sql, at: number, rows: readonly Pick<NewsRow, "seq">[]): void {
  for (const { seq } of rows) teamNews.update(sql, { seq, deliveredAt: null }, { deliveredAt: at });
}

export function markKeyDelivered(sql: Sql, at: number, session: string, key: string): void {
  teamNews.update(sql, { session, key, deliveredAt: null }, { deliveredAt: at });
}
