import { inNews } from "../../contract/limits.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { label } from "../../redaction/redact.ts";
import type { EventMachine } from "../../runtime/runtime.ts";
import { oneLine, age } from "../../shared/format.ts";
import { beginningOf } from "../../shared/shorten.ts";
import type { Sql } from "../../shared/sql.ts";
import type { BranchSwitch } from "../../snapshots/git-head.ts";
import { sentNotifications } from "../../store/machine-tables.ts";
import { digest, pathOf } from "../sessions/entries.ts";
import * as news from "../sessions/news.ts";
import { compactionText, type News } from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { neutralize } from "../sessions/text/neutralize.ts";
import { conflictsOf, type NumberedConflict, type WorkingChat } from "./conflicts.ts";

/** A notification as a model or a person reads it. The texts of other chats in it are untrusted. */
export function newsText(news: News): string {
  if ("title" in news) return `${formatTask(news)}${formatTaskEvent(news)}`;
  switch (news.kind) {
    case "message":
      return `message from ${formatChat(news.fromName, news.from)}${formatTopic(news)}: ${indentLines(news.text)}`;
    case "report_refused":
      return `the report on task ${news.task} was rejected: ${quotable(news.reason, inNews.reason)}`;
    case "leader_changed":
      return `${quotable(news.name, inNews.name)} is led by ${formatLeader(news)} now`;
    case "continued_elsewhere":
      return `session ${quotable(news.session, inNews.name)} is worked on by chat ${quotable(news.by, inNews.name)} on ${quotable(news.machine, inNews.name)} now`;
    case "offer":
      return `session ${quotable(news.session, inNews.name)} of ${quotable(news.machine, inNews.name)} died unfinished`;
    case "compaction":
      return compactionText;
    case "user_message":
      return `message of the user from ${news.by}: ${beginningOf(indentLines(news.text), inNews.notice)}`;
    case "conflict":
    case "notice":
      return beginningOf(indentLines(news.text), inNews.notice);
    default:
      // A kind of a newer program.
      return "";
  }
}

function formatTaskEvent(news: Extract<News, { readonly title: string }>): string {
  if (news.kind === "task_available") return ", of a type that this chat asked for, can be taken now: shim_next";
  const what = news.kind === "claim_lost" ? "is no longer this chat's" : "was cancelled";
  return ` ${what}: ${quotable(news.reason, inNews.reason)}`;
}

function formatTopic({ topic }: Extract<News, { kind: "message" }>): string {
  return topic === null ? "" : ` on ${quotable(topic, inNews.name)}`;
}

function formatTask({ task, title }: { readonly task: number; readonly title: string }): string {
  return `task ${task} ("${quotable(title, inNews.title)}")`;
}

function formatLeader({ leader, isSelf }: Extract<News, { kind: "leader_changed" }>): string {
  if (isSelf) return "this chat";
  return leader === null ? "nobody" : `chat ${quotable(leader, inNews.name)}`;
}

export function formatChat(name: string, id: string): string {
  return `"${quotable(name, inNews.name)}" (chat ${quotable(id, inNews.name)})`;
}

/** Untrusted text: one line, nothing that ends a quotation. */
function quotable(text: string, max: number): string {
  return oneLine(neutralize(text).replaceAll('"', " "), max);
}

/** Untrusted text: its lines must not resemble list items. */
export function indentLines(text: string): string {
  return neutralize(text).replaceAll(/\r\n?|[\n\u2028\u2029]/g, "\n  ");
}

type Reader = "model" | "user";

/** Open conflicts that are new to this reader, by other chat; from now on they are known. */
function unread(
  sql: Sql,
  runtime: EventMachine,
  session: string,
  reader: Reader,
  open: readonly NumberedConflict[],
): NumberedConflict[][] {
  const fresh = open.filter(({ seq, kind }) => {
    if (kind === "apart") return false;
    const key = digest(`conflict:${seq}:${session}:${reader}`);
    return sentNotifications.insert(sql, { key, at: runtime.now() }, "ON CONFLICT DO NOTHING") > 0;
  });
  return [...Map.groupBy(fresh.toReversed(), pairOf).values()];
}

function pairOf({ kind, chats: [own, other] }: NumberedConflict): string {
  return [kind, other.chat, own.root].join("\0");
}

/**
 * Adds what the chat has to learn now to its news: nothing of it can be out of date.
 *
 * @param open the chat's conflicts
 */
export function addConflictNews(
  sql: Sql,
  runtime: EventMachine,
  session: string,
  open: readonly NumberedConflict[] = conflictsOf(sql, runtime, session),
): void {
  for (const group of unread(sql, runtime, session, "model", open)) {
    const [first] = group;
    if (first)
      news.add(sql, runtime.now(), session, `conflict:${first.seq}`, { kind: "conflict", text: toNews(group) });
  }
}

/** @returns null when the user knows of all */
export function conflictLine(
  sql: Sql,
  runtime: EventMachine,
  session: string,
  open: readonly NumberedConflict[],
): string | null {
  const lines = unread(sql, runtime, session, "user", open).map(toLine);
  return lines.length === 0 ? null : withShimCommand(lines.join("\n"), () => shimCommand(runtime));
}

const maxFiles = 5;

function toNews(group: readonly NumberedConflict[]): string {
  const [
    {
      kind,
      chats: [, other],
    },
  ] = group as [NumberedConflict];
  const who = formatChat(other.title ?? other.client, other.shortId);
  const apart = `${advice({ id: other.chat })}, or go on in a work tree of your own.`;
  if (kind === "tree")
    return `${who} edits files in the same work tree ${pathOf(other.root)} as this chat, without reservations (its newest edit: ${other.edited[0] ?? "not known"}). Each may overwrite or commit what the other wrote. ${apart}`;
  if (kind === "file")
    return `${who} has edited in ${pathOf(other.root)} what this chat has edited, too, and it is not committed: ${files(group, () => "")}. Each may overwrite or commit what the other wrote. ${apart}`;
  const saved = other.savedAgeMs === null ? "" : `, as it saved its files ${age(other.savedAgeMs)} ago,`;
  return `your changes and those of ${who} in ${pathOf(other.root)}${saved} will not merge by themselves: ${files(group, how)}. ${advice({ id: other.chat })}, or merge early.`;
}

function files(group: readonly NumberedConflict[], note: (one: NumberedConflict) => string, max = maxFiles): string {
  const named = group.slice(0, max).map((one) => `${one.path}${note(one)}`);
  return named.join(", ") + (group.length > max ? ` and ${group.length - max} more` : "");
}

function how({ chats: [own, other] }: NumberedConflict): string {
  if (own.did === "added" && other.did === "added") return " (added by both)";
  if (own.did === "deleted") return " (deleted here, changed there)";
  if (other.did === "deleted") return " (changed here, deleted there)";
  return own.lines === null ? "" : ` (your ${/^\d+$/.test(own.lines) ? "line" : "lines"} ${own.lines})`;
}

const maxFilesInLine = 3;

function toLine(group: readonly NumberedConflict[]): string {
  const [
    {
      kind,
      ageMs,
      chats: [, other],
    },
  ] = group as [NumberedConflict];
  const where = other.savedAgeMs === null ? "" : ` in ${pathOf(other.root)}`;
  const name = formatChat(other.title ?? "untitled", other.shortId);
  const who = `${name} of ${other.client}${where}`;
  const since = `(${age(ageMs)} ago)`;
  const changed = files(group, () => "", maxFilesInLine);
  const more = "`shim team conflicts` shows both.";
  if (kind === "tree")
    return `SHIM: ${who} edits files in the same work tree as this chat ${since}; its newest: ${other.edited[0] ?? "not known"}. Each may overwrite what the other wrote: let one finish first, or give it a work tree of its own. ${more}`;
  const what =
    kind === "file"
      ? `this chat and ${who} have both edited ${group.length === 1 ? "it" : "them"}`
      : `the changes of this chat and of ${who} do not merge`;
  const advised =
    kind === "file"
      ? "Let one finish and commit before the other goes on."
      : "Let one commit, and the other merge that.";
  return `SHIM: conflict in ${changed} ${since}: ${what}. ${advised} ${more}`;
}

/** Tells each chat of a work tree once of a switch. @param by whose call ran meanwhile */
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

function advice({ id }: Pick<sessions.Session, "id">): string {
  return `What may help: wait for it, ask it by shim_send to "${id}"`;
}
