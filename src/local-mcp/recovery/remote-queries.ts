import { err, ok, type Result } from "../../shared/result.ts";
import type { CallError } from "../../coordinator-client/chat-link.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import * as news from "../sessions/news.ts";
import { toOffer } from "./offer-news.ts";
import { isTaken, assessLiveness, offerable, type DeadRemoteSession, type RemoteContext } from "./remote-candidates.ts";
import { gatherRestoration } from "./remote-gather.ts";
import { noteOf } from "./remote-notes.ts";
import { recordOffered } from "./remote-offer.ts";
import { takeOver } from "./remote-takeover.ts";
import type { Restoration } from "./restoration.ts";

/** Returns the session already offered to the chat, else offers it the newest of its project. */
export async function offerNewest(
  context: RemoteContext,
  deadSessions: readonly DeadRemoteSession[],
  { project, root }: { readonly project: string | null; readonly root: string | null },
): Promise<Restoration | null> {
  const offerableSessions = offerable(context, deadSessions).filter(
    ({ row }) => project !== null && row.project === project,
  );
  const { store } = context.runtime;
  const alreadyOffered = offerableSessions.find(({ row }) =>
    store.read((sql) => noteOf(sql, row.session)?.by === context.chatId, false),
  );
  const first = alreadyOffered ?? offerableSessions[0];
  if (!first) return null;
  const from = await gatherRestoration(context, first, root);
  markOffered(context, first.row, from);
  return from;
}

/** The answer delivers the offer, so that the chat's next hook does not. */
function markOffered({ runtime, chatId }: RemoteContext, { session, machine }: RemoteSession, from: Restoration): void {
  const at = runtime.now();
  const key = `offer:${session}`;
  runtime.store.write((sql) => {
    const isNew = news.add(sql, at, chatId, key, toOffer(from, session, machine, runtime.config.recovery));
    const rows = news.undelivered(sql, chatId, 1_000).filter((row) => row.key === key);
    news.markDelivered(sql, at, rows);
    if (isNew && noteOf(sql, session) === null) recordOffered(sql, at, session, chatId, from);
  });
}

/** Accepts a unique beginning of at least 4 characters. */
export function findById(
  { runtime, mirror }: Pick<RemoteContext, "runtime" | "mirror">,
  idOrPrefix: string,
): RemoteSession | null {
  const rows = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace), []);
  const others = rows.filter(({ device }) => device !== mirror.device);
  const exact = others.find(({ session }) => session === idOrPrefix);
  if (exact || idOrPrefix.length < 4) return exact ?? null;
  const matching = others.filter(({ session }) => session.startsWith(idOrPrefix));
  const ids = new Set(matching.map(({ session }) => session));
  return ids.size === 1 ? (matching[0] ?? null) : null;
}

export async function restore(context: RemoteContext, row: RemoteSession, root: string | null): Promise<Restoration> {
  return gatherRestoration(context, { row, liveness: await assessLiveness(context, row) }, root);
}

/** [RE23] Refuses a session that has ended, may live, or is continued by another chat. */
export async function takeOverIfFree(context: RemoteContext, row: RemoteSession): Promise<Result<null, CallError>> {
  const refuse = (why: string): Result<null, CallError> =>
    err({ code: "not_to_take", message: `${row.session} ${why}` });
  if (row.isEnded) return refuse("was finished: there is nothing to go on with.");
  if (row.taken?.chat === context.chatId) return ok(null);
  const liveness = await assessLiveness(context, row);
  if (!liveness.isOver) return refuse(`is not known to be dead. ${liveness.detail}`);
  if (await isTaken(context, row)) {
    const { chat, machine } = row.taken ?? { chat: "another chat", machine: "another machine" };
    return refuse(
      `is continued by chat ${chat} on ${machine}. If the user wants it here: \`shim resume --undo ${row.session}\` there, then again.`,
    );
  }
  return takeOver(context, row);
}
