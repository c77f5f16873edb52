import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import { takeSnapshot, type Snapshot } from "./take-snapshot.ts";

interface Pending {
  readonly checkpointId: string;
  readonly project: string;
}

/**
 * Saves the files of checkpoints that wait for it: of these sessions, and of sessions whose own process took longer than a minute
 * (it is gone). [GS20] One process takes each, in turn; a snapshot that fails is kept with its reason.
 */
export async function takePending(runtime: Runtime, sessionIds: readonly string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const next = claim(runtime, sessionIds);
    if (!next) return;
    const snapshot = await takeSnapshot({
      env: runtime.env,
      processes: runtime.processes,
      project: next.project,
      snapshots: runtime.paths.snapshots,
      checkpointId: next.checkpointId,
      now: runtime.now(),
      limits: runtime.config.snapshots,
      signal,
    });
    runtime.store.write((sql) => keep(sql, next.checkpointId, snapshot, signal.aborted));
  }
}

const orphanedMs = 60_000;

function claim(runtime: Runtime, sessionIds: readonly string[]): Pending | null {
  const now = runtime.now();
  const look = (sql: Sql): Pending | null => find(sql, sessionIds, now - orphanedMs);
  if (!runtime.store.read(look, null)) return null;
  return runtime.store.write((sql) => {
    const found = look(sql);
    if (found) sql.run("UPDATE snapshots SET state = 'running', at = ? WHERE checkpoint_id = ?", now, found.checkpointId);
    return found;
  });
}

function find(sql: Sql, sessionIds: readonly string[], orphanedBefore: number): Pending | null {
  const marks = sessionIds.map(() => "?").join(", ") || "NULL";
  const [row] = sql.all<Pending>(
    `SELECT checkpoint_id AS checkpointId, project FROM snapshots
     WHERE state IN ('pending', 'running') AND (at < ? OR (state = 'pending' AND session_id IN (${marks}))) ORDER BY at LIMIT 1`,
    orphanedBefore,
    ...sessionIds,
  );
  return row ?? null;
}

/** An aborted one waits again: another process may take it. */
function keep(sql: Sql, checkpointId: string, snapshot: Snapshot, isAborted: boolean): void {
  if (snapshot.state !== "done") {
    const state = isAborted ? "pending" : snapshot.state;
    sql.run("UPDATE snapshots SET state = ?, reason = ? WHERE checkpoint_id = ?", state, snapshot.reason, checkpointId);
    return;
  }
  const { repository, head, branch, commit, ...detail } = snapshot;
  sql.run(
    `UPDATE snapshots SET state = 'done', reason = NULL, repository = ?, head = ?, branch = ?, commit_id = ?, detail = ?
     WHERE checkpoint_id = ?`,
    repository,
    head,
    branch,
    commit,
    JSON.stringify(detail),
    checkpointId,
  );
}
