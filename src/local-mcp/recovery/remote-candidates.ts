import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { WorkState } from "../../contract/work-state.ts";
import { isTaskPrompt } from "../../contract/task-prompt.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isClosedWithNothingOpen } from "../sessions/closed-sessions.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import type { PullDeps } from "../sync/pull.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import { livenessOf, type Liveness, type ChatObservation } from "./remote-liveness.ts";
import { isFree } from "./remote-notes.ts";
import { localClock, isLocalSession } from "./remote-session.ts";

export interface RemoteContext {
  readonly runtime: Runtime;
  readonly link: Pick<CoordinatorClient, "self" | "call">;
  readonly mirror: PullDeps;
  readonly chatId: string;
  readonly machine: string;
}

export interface DeadRemoteSession {
  readonly row: RemoteSession;
  readonly liveness: Liveness;
}

export const callTimeoutMs = 5_000;

/** [RE20] Newest first; an absent `project` means all. */
export async function findElsewhere(
  context: RemoteContext,
  project?: string,
  limit = 20,
): Promise<DeadRemoteSession[]> {
  const { runtime, mirror } = context;
  const filter = project === undefined ? {} : { project };
  const rows = runtime.store.read((sql) => candidateRows(sql, mirror, filter), []);
  const deadSessions: DeadRemoteSession[] = [];
  for (const row of rows) {
    if (deadSessions.length >= limit) break;
    const liveness = await assessLiveness(context, row);
    if (liveness.isOver && !(await isTaken(context, row))) deadSessions.push({ row, liveness });
  }
  return deadSessions;
}

function candidateRows(
  sql: Sql,
  { workspace, device }: PullDeps,
  filter: { readonly project?: string },
): RemoteSession[] {
  const ids = new Set<string>();
  return remoteSessions.list(sql, workspace, filter).filter((row) => {
    // A copied home shows one session twice: the newer one comes first.
    if (ids.has(row.session)) return false;
    ids.add(row.session);
    return row.device !== device && isUnfinished(row) && !isLocalSession(sql, row);
  });
}

function isUnfinished({ isEnded, content }: RemoteSession): boolean {
  const isSettled = content.recovery === "recovered" || content.recovery === "dismissed";
  const hasContent = content.newest !== null || content.unsaved.count > 0 || content.toolCalls > 0;
  return !isEnded && !isSettled && hasContent;
}

export async function assessLiveness(
  { runtime, link }: Pick<RemoteContext, "runtime" | "link">,
  row: RemoteSession,
): Promise<Liveness> {
  const silenceMs = runtime.now() - localClock(row)(row.content.lastSeenAt);
  return livenessOf(await observeChat(link, row.session), silenceMs);
}

async function observeChat(link: Pick<CoordinatorClient, "call">, chat: string): Promise<ChatObservation> {
  const answer = await link.call("chats.get", { chat }, callTimeoutMs);
  if (answer.ok) return answer.value;
  if (answer.error.code === "unknown_chat") return { status: "unknown" };
  return { status: "unreachable", why: answer.error.message };
}

/** [RE98] A dead successor counts only if its last state says that it continued the session. */
export async function isTaken(context: RemoteContext, row: RemoteSession): Promise<boolean> {
  const { taken } = row;
  if (taken === null) return false;
  const claimant = await observeChat(context.link, taken.chat);
  const isGone = claimant.status === "offline" || claimant.status === "unknown";
  return !isGone || (await hasContinued(context, taken.chat, row.session));
}

async function hasContinued({ runtime, mirror }: RemoteContext, chat: string, session: string): Promise<boolean> {
  const { own, row } = runtime.store.read((sql) => findClaimant(sql, mirror.workspace, chat), unknownClaimant);
  if (own) return own.continues?.session === session;
  if (!row) return false;
  const newest = await fetchCheckpoint(mirror, row);
  // While this is unknown, no successor is better than two.
  return !newest.ok || newest.value?.content.state.continues?.session === session;
}

interface ClaimantState {
  readonly own: WorkState | null;
  readonly row: RemoteSession | null;
}

const unknownClaimant: ClaimantState = { own: null, row: null };

function findClaimant(sql: Sql, workspace: string, chat: string): ClaimantState {
  const saved = checkpoints.latest(sql, chat);
  const own = saved && checkpoints.findState(sql, saved.seq);
  return { own, row: remoteSessions.list(sql, workspace, { session: chat })[0] ?? null };
}

/** [RE101] Excludes old sessions, those of tasks, and those continued by another chat here. */
export function offerable(
  { runtime, chatId }: RemoteContext,
  deadSessions: readonly DeadRemoteSession[],
): DeadRemoteSession[] {
  const now = runtime.now();
  const { offerMaxAgeMs } = runtime.config;
  return deadSessions.filter(
    ({ row }) =>
      now - localClock(row)(row.content.lastSeenAt) <= offerMaxAgeMs &&
      !isClosedWithNothingOpen(row.content) &&
      // Its worker continues it; it has no chat in the workspace, so it may be alive.
      !isTaskPrompt(row.content.title ?? "") &&
      runtime.store.read((sql) => isFree(sql, runtime.processes, now, row.session, chatId), false),
  );
}
