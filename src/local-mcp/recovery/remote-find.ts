import type { WorkState } from "../../contract/work-state.ts";
import { isOfTask } from "../../contract/task-prompt.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import type { ChatLink } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import { isClosedWithNothingOpen } from "../sessions/closed-sessions.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import type { Around } from "../sync/pull.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import { fateOf, type Fate, type Seen } from "./remote-fate.ts";
import { isFree } from "./remote-notes.ts";
import { clockOf, isOwn } from "./remote-session.ts";

/** The means by which one chat reads and takes sessions of other machines. */
export interface Reach {
  readonly runtime: Runtime;
  readonly link: Pick<ChatLink, "self" | "call">;
  /** For reading mirrors. */
  readonly mirror: Around;
  /** The chat that asks: its session. */
  readonly asking: string;
  /** The name of this machine in the workspace. */
  readonly machine: string;
}

/** A session of another machine that no chat continues, and whether it is over. */
export interface Found {
  readonly row: RemoteSession;
  readonly fate: Fate;
}

/** Time limit of one call to the coordinator, in ms. */
export const askMs = 5_000;

/**
 * [RE20] The sessions of other machines that died unfinished, newest first: without an end, over by the coordinator's knowledge of their chats,
 * continued by no chat, and with something to recover. A session that this machine has itself is not among them.
 *
 * @param project name of a project in the workspace; absent: all
 */
export async function findElsewhere(reach: Reach, project?: string, limit = 20): Promise<Found[]> {
  const { runtime, mirror } = reach;
  const filter = project === undefined ? {} : { project };
  const rows = runtime.store.read((sql) => candidates(sql, mirror, filter), []);
  const found: Found[] = [];
  for (const row of rows) {
    if (found.length >= limit) break;
    const fate = await judge(reach, row);
    if (fate.isOver && !(await isTaken(reach, row))) found.push({ row, fate });
  }
  return found;
}

function candidates(sql: Sql, { workspace, device }: Around, filter: { readonly project?: string }): RemoteSession[] {
  const ids = new Set<string>();
  return remoteSessions.list(sql, workspace, filter).filter((row) => {
    // A copied home shows one session twice: the newer one comes first.
    if (ids.has(row.session)) return false;
    ids.add(row.session);
    return row.device !== device && isUnfinished(row) && !isOwn(sql, row);
  });
}

/** By its own machine: no chat there continues it, and its user has not dismissed it. */
function isUnfinished({ isEnded, content }: RemoteSession): boolean {
  const isSettled = content.recovery === "recovered" || content.recovery === "dismissed";
  const hasContent = content.newest !== null || content.unsaved.count > 0 || content.toolCalls > 0;
  return !isEnded && !isSettled && hasContent;
}

export async function judge({ runtime, link }: Pick<Reach, "runtime" | "link">, row: RemoteSession): Promise<Fate> {
  const silence = runtime.now() - clockOf(row)(row.content.lastSeenAt);
  return fateOf(await seen(link, row.session), silence);
}

async function seen(link: Pick<ChatLink, "call">, chat: string): Promise<Seen> {
  const answer = await link.call("chats.get", { chat }, askMs);
  if (answer.ok) return answer.value;
  if (answer.error.code === "unknown_chat") return { status: "unknown" };
  return { status: "unreachable", why: answer.error.message };
}

/**
 * [RE23] A session is taken while the chat of its taker lives. If that is over, too, the taker counts only when its own last state says that it
 * continued the session: then the taker is to be recovered.
 */
export async function isTaken(reach: Reach, row: RemoteSession): Promise<boolean> {
  const { taken } = row;
  if (taken === null) return false;
  const taker = await seen(reach.link, taken.chat);
  const isGone = taker.status === "offline" || taker.status === "unknown";
  return !isGone || (await wentOn(reach, taken.chat, row.session));
}

async function wentOn({ runtime, mirror }: Reach, chat: string, session: string): Promise<boolean> {
  const { own, row } = runtime.store.read((sql) => takerIn(sql, mirror.workspace, chat), nobody);
  if (own) return own.continues?.session === session;
  if (!row) return false;
  const newest = await fetchCheckpoint(mirror, row);
  // Not known: it is better that no chat continues it than two.
  return !newest.ok || newest.value?.content.state.continues?.session === session;
}

interface Taker {
  readonly own: WorkState | null;
  readonly row: RemoteSession | null;
}

const nobody: Taker = { own: null, row: null };

/** The taker as this machine has stored it, or as its mirror says. */
function takerIn(sql: Sql, workspace: string, chat: string): Taker {
  const saved = checkpoints.latest(sql, chat);
  const own = saved && checkpoints.soundStateOf(sql, saved.seq);
  return { own, row: remoteSessions.list(sql, workspace, { session: chat })[0] ?? null };
}

/** [RE24] The sessions that may be offered to the chat that asks: recent, not of a task, and continued by no other chat of this machine. */
export function offerable({ runtime, asking }: Reach, found: readonly Found[]): Found[] {
  const now = runtime.now();
  const { offerMaxAgeMs } = runtime.config;
  return found.filter(
    ({ row }) =>
      now - clockOf(row)(row.content.lastSeenAt) <= offerMaxAgeMs &&
      !isClosedWithNothingOpen(row.content) &&
      // Its worker continues it; it has no chat in the workspace, so it may be alive.
      !isOfTask(row.content.title ?? "") &&
      runtime.store.read((sql) => isFree(sql, runtime.processes, now, row.session, asking), false),
  );
}
