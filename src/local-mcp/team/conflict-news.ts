import { digest, label, pathOf } from "../sessions/entries.ts";
import type { BranchSwitch } from "../sessions/git-head.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import type { FileConflict } from "../../snapshots/merge-answer.ts";
import { age } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import { formatChat } from "./news-text.ts";

/** A living chat, as far as its work may meet that of others. */
export interface WorkingChat {
  readonly session: sessions.Session;
  /** Root of the work tree in which it was started. */
  readonly home: string | null;
  /** Its newest edit in each work tree, relative to the root. */
  readonly edited: ReadonlyMap<string, string>;
  /** Where it works, as people name it, and when it saved its files; null: on this machine. */
  readonly elsewhere: { readonly machine: string; readonly root: string; readonly at: number } | null;
}

/**
 * Tells each of two chats that is of this machine of the other one.
 * @param text for the first (0) or the second (1)
 */
export function tell(
  sql: Sql,
  at: number,
  two: readonly [WorkingChat, WorkingChat],
  text: (reader: 0 | 1, other: WorkingChat) => string,
): void {
  for (const reader of [0, 1] as const) {
    if (two[reader].elsewhere !== null) continue;
    const words = text(reader, two[reader === 0 ? 1 : 0]);
    news.add(sql, at, two[reader].session.id, `conflict:${at}:${digest(words)}`, { kind: "conflict", text: words });
  }
}

const maxFiles = 5;

/** [CF6] */
export function mergeNews(
  sql: Sql,
  { session, elsewhere }: WorkingChat,
  conflicts: readonly FileConflict[],
  reader: 0 | 1,
  { now, where }: { readonly now: number; readonly where: readonly [string, string] },
): string {
  const files = conflicts.slice(0, maxFiles).map((one) => `${pathOf(one.path)}${how(one, reader)}`);
  const more = conflicts.length > maxFiles ? ` and ${conflicts.length - maxFiles} more` : "";
  const saved = elsewhere === null ? "" : `, as it saved its files ${age(now - elsewhere.at)} ago,`;
  const there = `${pathOf(where[reader === 0 ? 1 : 0])}${saved}`;
  return `your changes and those of ${nameOf(sql, session)} in ${there} will not merge by themselves: ${files.join(", ")}${more}. ${advice(session)}, or merge early.`;
}

function how({ did, lines }: FileConflict, reader: 0 | 1): string {
  const [own, others] = reader === 0 ? did : [did[1], did[0]];
  if (own === "added" && others === "added") return " (added by both)";
  if (own === "deleted") return " (deleted here, changed there)";
  if (others === "deleted") return " (changed here, deleted there)";
  const range = lines[reader];
  return range === null ? "" : ` (your ${/^\d+$/.test(range) ? "line" : "lines"} ${range})`;
}

/** [CF7] */
export function treeNews(sql: Sql, { session, edited }: WorkingChat, root: string): string {
  const newest = pathOf(edited.get(root) ?? "");
  return `${nameOf(sql, session)} edits files in the same work tree ${pathOf(root)} as this chat, without reservations (its newest edit: ${newest}). Each may overwrite or commit what the other wrote. ${advice(session)}, or go on in a work tree of your own.`;
}

/** [CF8] Tells each chat of a work tree once of a switch. @param by whose call ran meanwhile */
export function switchNews(
  sql: Sql,
  at: number,
  root: string,
  { at: switchedAt, from, to }: BranchSwitch,
  present: readonly WorkingChat[],
  by: WorkingChat | undefined,
): void {
  const what = `the branch of the work tree ${pathOf(root)} went from ${label(from)} to ${label(to)}`;
  const key = `branch:${digest(`${root} ${switchedAt} ${from} ${to}`)}`;
  for (const chat of present) {
    const others = present.filter((one) => one !== chat).map(({ session }) => session);
    const [first] = others;
    if (first === undefined || news.has(sql, chat.session.id, key)) continue;
    const names = others.slice(0, maxFiles).map((one) => nameOf(sql, one));
    const text =
      chat === by
        ? `${what} while a call of this chat ran, and ${names.join(", ")} works there too: its files have changed under it. ${advice(first)}, or switch back and go on in a work tree of your own.`
        : by === undefined
          ? `${what}, and ${names.join(", ")} works there too; whose call did it is not known. Check your files and your branch before you edit or commit.`
          : `${what} while a call of ${nameOf(sql, by.session)} ran. Check your files and your branch before you edit or commit. ${advice(by.session)}.`;
    news.add(sql, at, chat.session.id, key, { kind: "conflict", text });
  }
}

function nameOf(sql: Sql, session: sessions.Session): string {
  return formatChat(sessions.displayTitle(session) ?? session.client, shortSessionId(sql, session.id));
}

function advice({ id }: sessions.Session): string {
  return `What may help: wait for it, ask it by shim_send to "${id}"`;
}
