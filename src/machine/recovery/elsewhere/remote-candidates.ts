import type { CoordinatorClient } from "../../../coordinator-client/coordinator-client.ts";
import { currentState } from "../../checkpoints/capture.ts";
import * as checkpoints from "../../checkpoints/checkpoints.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import type { Takeover } from "../../../store/sync-tables.ts";
import { livenessOf, type ChatObservation, type Liveness } from "../incomplete/liveness.ts";
import type { RemoteContext } from "./remote-context.ts";
import { callTimeoutMs } from "../incomplete/session-lease.ts";

/** A session of another machine, as far as the coordinator was asked about it. */
export interface SeenElsewhere {
  readonly row: SessionElsewhere;
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
  return Promise.all(
    listRows(context, project)
      .slice(0, limit)
      .map((row) => see(context, row)),
  );
}

async function see(context: RemoteContext, row: SessionElsewhere): Promise<SeenElsewhere> {
  // A decision of its own machine needs no answer of the coordinator.
  if (elsewhere.isSettled(row)) return { row, liveness: null, taken: null };
  const liveness = await assessLiveness(context, row);
  const isContinued = liveness.isOver && (await isTaken(context, row));
  return { row, liveness, taken: isContinued ? row.taken : null };
}

/** Newest first; an absent `project` means all. */
export async function findElsewhere(context: RemoteContext, project?: string, limit = 20): Promise<DeadElsewhere[]> {
  const deadSessions: DeadElsewhere[] = [];
  for (const row of listRows(context, project)) {
    if (deadSessions.length >= limit) break;
    if (elsewhere.isSettled(row) || !elsewhere.hasContent(row)) continue;
    const { liveness, taken } = await see(context, row);
    if (liveness?.isOver && taken === null) deadSessions.push({ row, liveness, taken });
  }
  return deadSessions;
}

function listRows({ runtime, workspace }: RemoteContext, project: string | undefined): SessionElsewhere[] {
  return runtime.store.read((sql) => elsewhere.listOfOthers(sql, workspace, project), []);
}

export async function assessLiveness(
  { runtime, link }: Pick<RemoteContext, "runtime" | "link">,
  { id, lastSeenAt, deathAt }: SessionElsewhere,
): Promise<Liveness> {
  const sent = { silenceMs: runtime.now() - lastSeenAt, hasDied: deathAt !== null };
  return livenessOf(await observeChat(link, id), sent);
}

async function observeChat(link: Pick<CoordinatorClient, "call">, chat: string): Promise<ChatObservation> {
  const answer = await link.call("chats.get", { chat }, callTimeoutMs);
  if (answer.ok) return answer.value;
  if (answer.error.code === "unknown_chat") return { status: "unknown" };
  return { status: "unreachable", why: answer.error.message };
}

/** A dead successor counts only with a checkpoint, and a last state that continues it. */
export async function isTaken({ runtime, link }: RemoteContext, { id, taken }: SessionElsewhere): Promise<boolean> {
  if (taken === null) return false;
  const { status } = await observeChat(link, taken.chat);
  if (status !== "offline" && status !== "unknown") return true;
  return runtime.store.read((sql) => {
    const there = elsewhere.findNewest(sql, taken.chat);
    if (checkpoints.latest(sql, taken.chat) === null && !there?.sealed.checkpoint) return false;
    const state = currentState(sql, taken.chat) ?? (there && elsewhere.findState(sql, there));
    return state?.continues?.session === id;
  }, false);
}
