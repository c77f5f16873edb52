import type { WorkState } from "../../contract/work-state.ts";
import { isOfTask } from "../automation/claude/prompt.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import type { ChatLink } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import type { Around } from "../sync/pull.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import { fateOf, type Fate, type Seen } from "./remote-fate.ts";
import { isFree } from "./remote-notes.ts";
import { clockOf, isOwn } from "./remote-session.ts";

/** The other machines of the workspace, as one chat of this one sees them. */
export interface Reach {
  readonly runtime: Runtime;
  readonly link: Pick<ChatLink, "self" | "call">;
  /** How mirrors are read. */
  readonly mirror: Around;
  /** The chat that asks: its session. */
  readonly asking: string;
  /** How this machine is called in the workspace. */
  readonly machine: string;
}

/** A session of another machine that nobody goes on with, and whether it is over. */
export interface Found {
  readonly row: RemoteSession;
  readonly fate: Fate;
}

/** How long one question to the coordinator may take, in ms. */
export const askMs = 5_000;

/**
 * [RE20] The sessions of other machines that died unfinished, newest first: not ended, over by what the coordinator knows of their chats, gone on
 * with by nobody, and with something to recover. A session that this machine has itself is not among them.
 *
 * @param project only those of one that the workspace calls so; absent: all
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

/** What its own machine has done about it counts: another chat there goes on with it, or its user wants none of it. */
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
 * [RE23] Whoever has taken it goes on with it while its chat lives. When that is over, too, it counts only when its own state says that it did:
 * then that one is what is to be recovered.
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
  // Nobody can tell: better nobody goes on with it than two.
  return !newest.ok || newest.value?.content.state.continues?.session === session;
}

interface Taker {
  readonly own: WorkState | null;
  readonly row: RemoteSession | null;
}

const nobody: Taker = { own: null, row: null };

/** A chat of this machine, by what it has saved; or one of another. */
function takerIn(sql: Sql, workspace: string, chat: string): Taker {
  const saved = checkpoints.latest(sql, chat);
  const own = saved && checkpoints.soundStateOf(sql, saved.seq);
  return { own, row: remoteSessions.list(sql, workspace, { session: chat })[0] ?? null };
}

/** [RE24] Of those that were found, what may be offered to the chat that asks: recent ones, of no task, that no other chat of this machine has. */
export function offerable({ runtime, asking }: Reach, found: readonly Found[]): Found[] {
  const now = runtime.now();
  const { offerMaxAgeMs } = runtime.config;
  return found.filter(
    ({ row }) =>
      now - clockOf(row)(row.content.lastSeenAt) <= offerMaxAgeMs &&
      // Its worker goes on with it; no chat stands for it, so that it may also be alive.
      !isOfTask(row.content.title ?? "") &&
      runtime.store.read((sql) => isFree(sql, runtime.processes, now, row.session, asking), false),
  );
}
