import * as checkpoints from "../checkpoints/checkpoints.ts";
import * as remoteSessions from "../sharing/remote-sessions.ts";
import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { fetchCheckpoint } from "../sharing/fetch-records.ts";
import type { PullDeps } from "../sharing/pull.ts";
import type { RemoteSession, Takeover } from "../sharing/remote-sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import { livenessOf, type ChatObservation, type Liveness } from "./liveness.ts";
import type { RemoteContext } from "./remote-context.ts";
import { localClock, isLocalSession } from "./remote-session.ts";
import { callTimeoutMs } from "./session-lease.ts";

/** A session of another machine, as far as the coordinator was asked about it. */
export interface SeenElsewhere {
  readonly row: RemoteSession;
  /** The coordinator's answer; null where its own machine has decided. */
  readonly liveness: Liveness | null;
  /** The chat of a third machine, or of this one, that continues it. */
  readonly taken: Takeover | null;
}

export interface DeadElsewhere extends SeenElsewhere {
  readonly liveness: Liveness;
}

/** Newest first, whatever became of them; an absent `project` means all. */
export async function listElsewhere(
  context: RemoteContext,
  project: string | undefined,
  limit: number,
): Promise<SeenElsewhere[]> {
  const { store } = context.runtime;
  const rows = store.read((sql) => listRows(sql, context.mirror, project), []).slice(0, limit);
  return Promise.all(rows.map((row) => see(context, row)));
}

async function see(context: RemoteContext, row: RemoteSession): Promise<SeenElsewhere> {
  // A decision of its own machine needs no answer of the coordinator.
  if (row.isEnded || isSettled(row)) return { row, liveness: null, taken: null };
  const liveness = await assessLiveness(context, row);
  const isContinued = liveness.isOver && (await isTaken(context, row));
  return { row, liveness, taken: isContinued ? row.taken : null };
}

/** Newest first; an absent `project` means all. */
export async function findElsewhere(context: RemoteContext, project?: string, limit = 20): Promise<DeadElsewhere[]> {
  const { runtime, mirror } = context;
  const rows = runtime.store.read((sql) => listRows(sql, mirror, project).filter(isUnfinished), []);
  const deadSessions: DeadElsewhere[] = [];
  for (const row of rows) {
    if (deadSessions.length >= limit) break;
    const liveness = await assessLiveness(context, row);
    if (liveness.isOver && !(await isTaken(context, row))) deadSessions.push({ row, liveness, taken: null });
  }
  return deadSessions;
}

function listRows(sql: Sql, { workspace, device }: PullDeps, project: string | undefined): RemoteSession[] {
  const ids = new Set<string>();
  return remoteSessions.list(sql, workspace, project === undefined ? {} : { project }).filter((row) => {
    // A copied home shows one session twice: the newer one comes first.
    if (ids.has(row.session)) return false;
    ids.add(row.session);
    return row.device !== device && !isLocalSession(sql, row);
  });
}

function isUnfinished(row: RemoteSession): boolean {
  return !row.isEnded && !isSettled(row) && hasSomeContent(row);
}

export function isSettled({ content: { recovery } }: RemoteSession): boolean {
  return recovery === "recovered" || recovery === "dismissed";
}

export function hasSomeContent({ content }: RemoteSession): boolean {
  return content.newest !== null || content.unsaved.count > 0 || content.toolCalls > 0;
}

export async function assessLiveness(
  { runtime, link }: Pick<RemoteContext, "runtime" | "link">,
  row: RemoteSession,
): Promise<Liveness> {
  const silenceMs = runtime.now() - localClock(row)(row.content.lastSeenAt);
  return livenessOf(await observeChat(link, row.session), { silenceMs, hasDied: row.content.death !== undefined });
}

async function observeChat(link: Pick<CoordinatorClient, "call">, chat: string): Promise<ChatObservation> {
  const answer = await link.call("chats.get", { chat }, callTimeoutMs);
  if (answer.ok) return answer.value;
  if (answer.error.code === "unknown_chat") return { status: "unknown" };
  return { status: "unreachable", why: answer.error.message };
}

/** A dead successor counts only if its last state says that it continued the session. */
export async function isTaken(context: RemoteContext, row: RemoteSession): Promise<boolean> {
  const { taken } = row;
  if (taken === null) return false;
  const claimant = await observeChat(context.link, taken.chat);
  const isGone = claimant.status === "offline" || claimant.status === "unknown";
  return !isGone || (await hasContinued(context, taken.chat, row.session));
}

async function hasContinued({ runtime, mirror }: RemoteContext, chat: string, session: string): Promise<boolean> {
  const own = runtime.store.read((sql) => {
    const saved = checkpoints.latest(sql, chat);
    return saved && checkpoints.findState(sql, saved.seq);
  }, null);
  if (own) return own.continues?.session === session;
  const [row] = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace, { session: chat }), []);
  if (!row) return false;
  const newest = await fetchCheckpoint(mirror, row);
  // While this is unknown, no successor is better than two.
  return !newest.ok || newest.value?.content.state.continues?.session === session;
}
