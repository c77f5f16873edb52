import { dirname, isAbsolute, relative } from "node:path";
import { mayChangeFiles } from "../../clients/adapter/tools.ts";
import { clientTitle } from "../../clients/adapters.ts";
import type { ForeseenConflict } from "../../contract/machine/team.ts";
import { realPath } from "../../platform/paths.ts";
import type { EventMachine, Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import { teamConflicts } from "../../store/team-tables.ts";
import { isSessionPaused } from "../sessions/session-settings.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import * as others from "../sharing/sessions-elsewhere.ts";
import { aliveSessions, isAlive } from "../sessions/life/presence.ts";

/** The newest edit of a file by a chat. */
export interface Edit {
  /** Relative to the root of its work tree. */
  readonly path: string;
  readonly root: string;
  readonly at: number;
}

/** A living chat, as far as its work may meet that of others. */
export interface WorkingChat {
  readonly session: sessions.Session;
  /** Root of the work tree in which it was started. */
  readonly home: string | null;
  /** By tools that name the file, newest first. */
  readonly edits: readonly Edit[];
  /** Where it works, as people name it, and when it saved its files; null: on this machine. */
  readonly elsewhere: { readonly machine: string; readonly root: string; readonly at: number } | null;
}

export type Two = readonly [WorkingChat, WorkingChat];

export function pairsOf<Item>(items: readonly Item[]): (readonly [Item, Item])[] {
  return items.flatMap((one, at) => items.slice(at + 1).map((other) => [one, other] as const));
}

/** Journal entries from before the host's start that are looked at. */
const firstEntries = 200;

export interface AtWork {
  /** Chats whose calls may have changed files. */
  readonly active: ReadonlySet<string>;
  /** Journal entry up to which was looked; null: none was. */
  readonly seq: number | null;
}

/** @param since the last journal entry that was looked at */
export function chatsAtWork(sql: Sql, since: number | null): AtWork {
  const seq = sql.all<{ last: number | null }>("SELECT max(seq) AS last FROM journal")[0]?.last ?? 0;
  const calls = changingCalls(sql, "seq > ? AND seq <= ?", since ?? seq - firstEntries, seq);
  return { active: new Set(calls.map(({ session }) => session)), seq };
}

/** Whether a call of the chat since then may have changed files. */
export function hasWorkedSince(sql: Sql, { session }: WorkingChat, at: number): boolean {
  return changingCalls(sql, "session = ? AND at >= ?", session.id, at).length > 0;
}

interface Call {
  readonly session: string;
  readonly name: string;
}

function changingCalls(sql: Sql, where: string, ...values: readonly (string | number)[]): Call[] {
  const query = `SELECT DISTINCT session, replace(body ->> 'name', ' (subagent)', '') AS name FROM journal
    WHERE ${where} AND kind IN ('tool_end', 'tool_error')`;
  return sql.all<Call>(query, ...values).filter(({ name }) => mayChangeFiles(name));
}

const maxEdits = 100;

export function livingChats(sql: Sql, runtime: Runtime): WorkingChat[] {
  const roots = new Map<string, string | null>();
  const rootOf = (folder: string): string | null => {
    if (!roots.has(folder)) roots.set(folder, projectRoot(realPath(folder)));
    return roots.get(folder) ?? null;
  };
  const living = aliveSessions(sql, runtime).filter((one) => !isSessionPaused(sql, runtime.now(), one));
  return living.map((session) => {
    const edits = editsOf(sql, session.id, maxEdits).flatMap(({ path, at }): Edit[] => {
      const root = isAbsolute(path) ? rootOf(dirname(path)) : null;
      return root === null ? [] : [{ root, path: relative(root, realPath(path)), at }];
    });
    const home = session.project === null ? null : rootOf(session.project);
    return { session, home, edits, elsewhere: null };
  });
}

/** Files that a chat has edited by tools that name them, newest first. */
function editsOf(sql: Sql, session: string, limit: number): { readonly path: string; readonly at: number }[] {
  return sql.all(
    `SELECT body ->> 'path' AS path, max(at) AS at FROM journal WHERE session = ? AND kind = 'tool_end'
       AND body ->> 'action' IN ('edited', 'created', 'deleted') GROUP BY 1 ORDER BY max(seq) DESC LIMIT ?`,
    session,
    limit,
  );
}

export function hasEditedIn({ edits }: WorkingChat, root: string): boolean {
  return edits.some((edit) => edit.root === root);
}

/** Work trees of its edits, and where it has edited nothing yet the one in which it was started. */
export function rootsOf({ home, edits }: WorkingChat): string[] {
  const edited = [...new Set(edits.map(({ root }) => root))];
  return edited.length > 0 || home === null ? edited : [home];
}

/** With the number of its row, which never returns. */
export type NumberedConflict = ForeseenConflict & { readonly seq: number };

type Row = RowOf<typeof teamConflicts>;
type Side = ForeseenConflict["chats"][number];

const maxConflicts = 200;
const maxElsewhere = 200;

/** Lists those between living chats, newest first. */
export function openConflicts(sql: Sql, runtime: EventMachine): NumberedConflict[] {
  return toConflicts(sql, runtime, teamConflicts.select(sql, "ORDER BY seq DESC LIMIT ?", maxConflicts));
}

/** Lists the conflicts of one chat, which stands first in each, newest first. */
export function conflictsOf(sql: Sql, runtime: EventMachine, session: string): NumberedConflict[] {
  const where = "WHERE session = ? OR other = ? ORDER BY seq DESC LIMIT ?";
  const open = toConflicts(sql, runtime, teamConflicts.select(sql, where, session, session, maxConflicts));
  return open.map((one) => {
    const [first, second] = one.chats;
    return first.chat === session ? one : Object.assign(one, { chats: [second, first] as const });
  });
}

function toConflicts(sql: Sql, runtime: EventMachine, rows: readonly Row[]): NumberedConflict[] {
  if (rows.length === 0) return [];
  const elsewhere = others.listWithFiles(sql, maxElsewhere);
  const sideOf = (chat: string, of: Pick<Side, "root" | "did" | "lines">, isTree: boolean): Side | null => {
    const shortId = shortSessionId(sql, chat);
    const own = sessions.get(sql, chat);
    if (own !== null) {
      const known = { chat, shortId, title: sessions.displayTitle(own), client: clientTitle(own) };
      const edited = isTree ? editedIn(sql, chat, of.root) : [];
      return isAlive(runtime, own) ? { ...known, ...of, edited, savedAgeMs: null } : null;
    }
    const row = elsewhere.find(({ id }) => id === chat);
    const sent = row?.sealed.files?.sent;
    if (!row || !sent) return null;
    const known = { chat, shortId, title: row.title, client: clientTitle(row) };
    return { ...known, ...of, edited: [], savedAgeMs: runtime.now() - others.toLocalTime(row, sent.at) };
  };
  const pairOf = ({ session, other, root }: Row): string => [session, other, root].join("\0");
  const ofFiles = new Set(rows.filter(({ kind }) => kind === "file").map(pairOf));
  return rows.flatMap((row) => {
    const { seq, kind, path, at } = row;
    // The file that both have edited says more.
    if (kind === "tree" && ofFiles.has(pairOf(row))) return [];
    const one = sideOf(row.session, { root: row.root, did: row.did, lines: row.lines }, kind === "tree");
    const other = { root: row.otherRoot, did: row.otherDid, lines: row.otherLines };
    const two = one && sideOf(row.other, other, kind === "tree");
    return one && two ? [{ seq, kind, path, ageMs: runtime.now() - at, chats: [one, two] }] : [];
  });
}

const maxEditsOfChat = 100;
const maxShown = 5;

function editedIn(sql: Sql, chat: string, root: string): string[] {
  return editsOf(sql, chat, maxEditsOfChat)
    .map(({ path }) => relative(root, realPath(path)))
    .filter((path) => path !== ".." && !path.startsWith("../") && !path.startsWith("..\\") && !isAbsolute(path))
    .slice(0, maxShown);
}
