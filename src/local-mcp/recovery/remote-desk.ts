import { err, ok, type Result } from "../../shared/result.ts";
import type { Trouble } from "../link/chat-link.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";
import { offerOf } from "./offer-news.ts";
import { isTaken, judge, offerable, type Found, type Reach } from "./remote-find.ts";
import { gatherRestoration } from "./remote-gather.ts";
import { noteOf } from "./remote-notes.ts";
import { noteOffered } from "./remote-offer.ts";
import { takeOver } from "./remote-take.ts";
import type { Restoration } from "./restoration.ts";

/** Queries of chats and commands about sessions of other machines. */

/**
 * The session for the chat that asks: the one that it was offered, else the newest of its project, which is then offered to it.
 *
 * @param project its name in the workspace; null: the chat has none
 * @param root its folder here
 */
export async function offered(
  reach: Reach,
  found: readonly Found[],
  { project, root }: { readonly project: string | null; readonly root: string | null },
): Promise<Restoration | null> {
  const free = offerable(reach, found).filter(({ row }) => project !== null && row.project === project);
  const { store } = reach.runtime;
  const mine = free.find(({ row }) => store.read((sql) => noteOf(sql, row.session)?.by === reach.asking, false));
  const first = mine ?? free[0];
  if (!first) return null;
  const from = await gatherRestoration(reach, first, root);
  markOffered(reach, first.row, from);
  return from;
}

/** The answer delivers the offer, so that the chat's next hook does not. */
function markOffered({ runtime, asking }: Reach, { session, machine }: RemoteSession, from: Restoration): void {
  const at = runtime.now();
  const key = `offer:${session}`;
  runtime.store.write((sql) => {
    const isNew = news.add(sql, at, asking, key, offerOf(from, session, machine, runtime.config.recovery));
    const rows = news.undelivered(sql, asking, 1_000).filter((row) => row.key === key);
    news.markDelivered(sql, at, rows);
    if (isNew && noteOf(sql, session) === null) noteOffered(sql, at, session, asking, from);
  });
}

/** By id, or a beginning of one (at least 4 characters) that only it has. */
export function named({ runtime, mirror }: Pick<Reach, "runtime" | "mirror">, given: string): RemoteSession | null {
  const rows = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace), []);
  const others = rows.filter(({ device }) => device !== mirror.device);
  const exact = others.find(({ session }) => session === given);
  if (exact || given.length < 4) return exact ?? null;
  const fitting = others.filter(({ session }) => session.startsWith(given));
  const ids = new Set(fitting.map(({ session }) => session));
  return ids.size === 1 ? (fitting[0] ?? null) : null;
}

export async function restorationOf(reach: Reach, row: RemoteSession, root: string | null): Promise<Restoration> {
  return gatherRestoration(reach, { row, fate: await judge(reach, row) }, root);
}

/** [RE23] Like `takeOver`, for a session that may have ended, may live, or may be continued by another chat. */
export async function takeNamed(reach: Reach, row: RemoteSession): Promise<Result<null, Trouble>> {
  const refused = (why: string): Result<null, Trouble> =>
    err({ code: "not_to_take", message: `${row.session} ${why}` });
  if (row.isEnded) return refused("was finished: there is nothing to go on with.");
  if (row.taken?.chat === reach.asking) return ok(null);
  const fate = await judge(reach, row);
  if (!fate.isOver) return refused(`is not known to be dead. ${fate.detail}`);
  if (await isTaken(reach, row)) {
    const { chat, machine } = row.taken ?? { chat: "another chat", machine: "another machine" };
    return refused(
      `is continued by chat ${chat} on ${machine}. If the user wants it here: \`shim resume --undo ${row.session}\` there, then again.`,
    );
  }
  return takeOver(reach, row);
}
