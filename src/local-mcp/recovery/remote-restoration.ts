import type { Statement, WorkState } from "../../contract/work-state.ts";
import type { Checkpoint, Trigger } from "../checkpoints/checkpoints.ts";
import { readHead } from "../sessions/git-head.ts";
import type { JournalRow } from "../sessions/journal.ts";
import { emptyState, fold, upgradeState } from "../sessions/work-state.ts";
import { inferCause } from "../signals/crash-cause.ts";
import { compareFiles } from "../../snapshots/file-state.ts";
import type { RemoteCheckpoint } from "../sync/fetch-checkpoint.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import { formatEvents } from "./remote-brief.ts";
import type { Liveness } from "./remote-liveness.ts";
import { mapFiles } from "./remote-paths.ts";
import { localClock, toSession, unsavedSince } from "./remote-session.ts";
import type { Elsewhere, FilesElsewhere, Restoration } from "./restoration.ts";
import { score } from "./score.ts";

export interface RemoteFacts {
  readonly row: RemoteSession;
  readonly liveness: Liveness;
  /** Null if none has reached the workspace, or it cannot be fetched now. */
  readonly newest: RemoteCheckpoint | null;
  /** Root of the same project here; null: absent. */
  readonly here: string | null;
  readonly hasCommit: boolean | null;
  readonly uncommitted: FilesElsewhere | null;
  readonly tasks: readonly string[];
}

/** [RE21] */
export function remoteRestoration(facts: RemoteFacts): Restoration {
  const { row, liveness, newest, here } = facts;
  const session = toSession(row);
  const unsaved = unsavedSince(row, newest?.content ?? null);
  const state = stateOf(row, newest);
  const { inside, external } = mapFiles(state.files, { there: session.project, here });
  const files = [...compareFiles(inside), ...external];
  const head = here === null ? null : readHead(here);
  const restorable = { state, files, head, checkpoint: newest && toCheckpoint(newest) };
  return {
    session: { ...session, project: here },
    ...causeOf(row, state, unsaved, liveness),
    ...restorable,
    knownUntil: session.lastSeenAt,
    snapshot: null,
    score: score(restorable),
    elsewhere: toElsewhere(facts, unsaved),
  };
}

export function stateOf(row: RemoteSession, newest: RemoteCheckpoint | null): WorkState {
  // Without a checkpoint only the title says something of the goal.
  const base = newest?.content.state ?? { ...emptyState, goal: row.content.title };
  const state = upgradeState(fold(base, unsavedSince(row, newest?.content ?? null)));
  return withLocalTimes(state, localClock(row));
}

function withLocalTimes(state: WorkState, clock: (at: number) => number): WorkState {
  const withLocalTime = <T extends { readonly at: number | null }>(one: T): T =>
    one.at === null ? one : { ...one, at: clock(one.at) };
  const withLocalTimeIfAny = <T extends { readonly at: number }>(one: T | undefined | null): T | null =>
    one ? withLocalTime(one) : null;
  const { requests, orders, decided, takenBack, plan, clientGoal, said, ...rest } = state;
  const statement = <T extends Statement>(one: T): T => {
    const [taken, followed] = [withLocalTimeIfAny(one.takenBack), withLocalTimeIfAny(one.followedBy)];
    return {
      ...withLocalTime(one),
      ...(taken ? { takenBack: taken } : {}),
      ...(followed ? { followedBy: followed } : {}),
    };
  };
  const times = Object.entries(said ?? {}).map(([name, at]) => [name, typeof at === "number" ? clock(at) : at]);
  return {
    ...rest,
    conversation: state.conversation.map(withLocalTime),
    lastError: withLocalTimeIfAny(state.lastError),
    ...(requests ? { requests: requests.map(withLocalTime) } : {}),
    ...(orders ? { orders: orders.map(statement) } : {}),
    ...(decided ? { decided: decided.map(statement) } : {}),
    ...(takenBack ? { takenBack: takenBack.map(withLocalTime) } : {}),
    ...(plan ? { plan: withLocalTime(plan) } : {}),
    ...(clientGoal ? { clientGoal: withLocalTime(clientGoal) } : {}),
    ...(said ? { said: Object.fromEntries(times) } : {}),
  };
}

function toElsewhere(facts: RemoteFacts, unsaved: readonly JournalRow[]): Elsewhere {
  const { row, liveness, newest, hasCommit, uncommitted, tasks } = facts;
  const { machine, content } = row;
  return {
    machine,
    root: content.project,
    isCertain: liveness.isCertain,
    hasCommit,
    syncedUntil: localClock(row)(content.sealedAt),
    unsaved: unsaved.length,
    lost: lossText(row, newest, unsaved.length),
    uncommitted,
    tasks,
  };
}

function lossText({ content }: RemoteSession, newest: RemoteCheckpoint | null, came: number): string | null {
  if (newest === null)
    return content.newest === null ? formatLostEvents(content.unsaved.count - came) : noCheckpointText;
  if (newest.isBehind) return "a newer checkpoint than this one, which its machine has taken";
  // A checkpoint that was sent after the session holds the entries before it.
  const isLater = newest.content.at > (content.newest?.at ?? 0);
  return isLater ? null : formatLostEvents(content.unsaved.count - came);
}

const noCheckpointText = "its checkpoints (none could be fetched): this is what its list entry tells";

function formatLostEvents(lost: number): string | null {
  return lost > 0 ? `${formatEvents(lost)} after the last checkpoint` : null;
}

function toCheckpoint({ at, content }: RemoteCheckpoint): Checkpoint {
  const { id, session, hash, journalSeq, rawBytes, redactions, summary } = content;
  // Only shown: a newer program may have more triggers.
  const trigger = content.trigger as Trigger;
  return { seq: 0, id, sessionId: session, at, trigger, hash, journalSeq, rawBytes, redactions, summary };
}

function causeOf(
  { content }: RemoteSession,
  state: WorkState,
  unsaved: readonly JournalRow[],
  liveness: Liveness,
): Pick<Restoration, "cause" | "causeDetail"> {
  if (!liveness.isOver) return { cause: null, causeDetail: liveness.detail };
  const last = unsaved.findLast(({ entry }) => ["failure", "turn_end", "prompt"].includes(entry.kind))?.entry;
  const { cause, detail } = inferCause({
    readings: content.readings,
    endedAt: content.lastSeenAt,
    lastStopFailure: last?.kind === "failure" ? last.text : null,
    lastError: null,
    detachReason: content.detachReason,
    isSameBoot: null,
    oomKillsBefore: null,
    oomKillsNow: null,
    hadRunningTool: state.runningTools.length > 0,
  });
  return { cause, causeDetail: `${detail} ${liveness.detail}` };
}
