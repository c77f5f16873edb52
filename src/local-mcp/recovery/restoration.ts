import type { CrashCause } from "../../contract/readings.ts";
import type { FileNote, WorkState } from "../../contract/work-state.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Processes } from "../processes.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { readHead, type GitHead } from "../sessions/git-head.ts";
import type { Session } from "../sessions/sessions.ts";
import { compareFiles, type FileComparison } from "../snapshots/file-state.ts";
import { causeOf, isDead } from "./detect.ts";
import { score, type RestoreScore } from "./score.ts";

export interface SnapshotNote {
  readonly checkpointId: string;
  readonly state: string;
  readonly reason: string | null;
  readonly commit: string | null;
}

/** Of a session of another machine: what its brief says of that, and what could be found out from here. */
export interface Elsewhere {
  readonly machine: string;
  /** Root of its project there; null: it had none. */
  readonly root: string | null;
  /** Whoever decides for the workspace says that its chat is gone; else nothing was heard of it, which may be the network's doing. */
  readonly isCertain: boolean;
  /** Whether the commit that it stood at is in the repository here; null: not known. */
  readonly hasCommit: boolean | null;
  /** Until when all that it did has reached the workspace, epoch ms of this machine. */
  readonly syncedUntil: number;
  /** Things that happened after the checkpoint, and reached the workspace with the session. */
  readonly unsaved: number;
  /** What its machine is known to have had, and did not come over; null: nothing. */
  readonly lost: string | null;
  /** What it had of the workspace's tasks, and what has become of that: one line each. */
  readonly tasks: readonly string[];
}

/** Everything that can be said of a session that died, checked against what is there now. */
export interface Restoration {
  readonly session: Session;
  /** Null while the session lives. */
  readonly cause: CrashCause | null;
  readonly causeDetail: string;
  readonly state: WorkState;
  readonly checkpoint: checkpoints.Checkpoint | null;
  /** The newest thing known of it, epoch ms: the age of the brief counts from here. */
  readonly knownUntil: number;
  readonly files: readonly (FileNote & { readonly now: FileComparison })[];
  readonly head: GitHead | null;
  readonly snapshot: SnapshotNote | null;
  readonly score: RestoreScore;
  /** Only of a session of another machine. */
  readonly elsewhere?: Elsewhere;
}

/** The seeds' SessionRestorer: the state of the last checkpoint and all that the journal tells since, verified. Null for an unknown session. */
export function restoration(sql: Sql, processes: Processes, session: Session, now: number): Restoration | null {
  const state = currentState(sql, session.id);
  if (!state) return null;
  const files = compareFiles(state.files);
  const head = session.project ? readHead(session.project) : null;
  const snapshot = newestSnapshot(sql, session.id);
  const known = { state, files, head, checkpoint: checkpoints.latest(sql, session.id) };
  const { cause, causeDetail } = isDead(session, processes, now)
    ? causeOf(sql, session, processes)
    : { cause: null, causeDetail: "" };
  return { session, cause, causeDetail, ...known, knownUntil: session.lastSeenAt, snapshot, score: score(known) };
}

function newestSnapshot(sql: Sql, sessionId: string): SnapshotNote | null {
  const [row] = sql.all<SnapshotNote>(
    `SELECT checkpoint_id AS checkpointId, state, reason, commit_id AS "commit" FROM snapshots
     WHERE session_id = ? ORDER BY state = 'done' DESC, at DESC LIMIT 1`,
    sessionId,
  );
  return row ?? null;
}
