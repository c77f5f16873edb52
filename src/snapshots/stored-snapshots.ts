import type { Sql } from "../shared/sql.ts";
import { runApart, type Runtime } from "../runtime/runtime.ts";
import { isPaused } from "../store/pause.ts";
import { snapshots } from "../store/session-tables.ts";
import * as snapshotDrops from "../store/snapshot-drops.ts";
import { dropSnapshots } from "./drop-snapshots.ts";
import type { Snapshot } from "./repository.ts";
import { takeSnapshot } from "./take-snapshot.ts";
import { takeUnchanged } from "./unchanged.ts";

const triggerSql = "(SELECT trigger FROM checkpoints c WHERE c.id = s.checkpointId)";
/** SQL conditions on a snapshot `s` that must be taken before its files can change. */
const isBeforeTool = `${triggerSql} IN ('before_tool', 'turn')`;
const isAwaited = `${triggerSql} IN ('before_tool', 'turn', 'compact')`;
const isOfTurn = `${triggerSql} = 'turn'`;

/** Well below the ten seconds that the client gives a hook. */
export const maxAwaitMs = 6_000;

/** Requests of one project that one reading of it serves. */
interface OpenRequests {
  readonly project: string;
  /** Oldest first. */
  readonly checkpointIds: readonly string[];
}

/** Reads one small index: every tool call begins with it. */
export function findAwaited(sql: Sql, now: number): OpenRequests | null {
  const [first] = sql.all<{ project: string }>(
    `SELECT s.project FROM snapshots s
     WHERE s.state = 'pending' AND s.at > ? AND ${isAwaited} ORDER BY s.at LIMIT 1`,
    now - maxAwaitMs,
  );
  return first === undefined
    ? null
    : openRequests(sql, first.project, `(NOT ${isOfTurn} OR s.at > ?)`, now - maxAwaitMs);
}

function openRequests(sql: Sql, project: string, condition: string, since: number): OpenRequests | null {
  const rows = sql.all<{ checkpointId: string }>(
    `SELECT s.checkpointId FROM snapshots s
     WHERE s.state = 'pending' AND s.project = ? AND ${condition} ORDER BY s.at, s.checkpointId`,
    project,
    since,
  );
  return rows.length === 0 ? null : { project, checkpointIds: rows.map((row) => row.checkpointId) };
}

/** Time in which a project whose files took too long to save holds up no other turn. */
const restAfterLateMs = 3_600_000;

/** Whether the files of a turn's start came too late the last time, within an hour. */
export function isTooSlowForTurns(sql: Sql, project: string, now: number): boolean {
  const [last] = sql.all<{ state: string }>(
    `SELECT s.state FROM snapshots s WHERE s.project = ? AND s.at > ? AND ${isOfTurn} ORDER BY s.at DESC LIMIT 1`,
    project,
    now - restAfterLateMs,
  );
  return last?.state === "failed";
}

/**
 * Reads each project in which a checkpoint waits for its files, beside each other; an overdue one
 * fails, since its files may have changed.
 *
 * @param sessionIds whose projects; null: all
 */
export async function takePending(
  runtime: Runtime,
  sessionIds: readonly string[] | null,
  signal: AbortSignal,
): Promise<void> {
  failOverdue(runtime);
  const projects = runtime.store.read((sql) => projectsOf(sql, sessionIds), []);
  await Promise.all(projects.map((project) => takeAll(runtime, (sql, now) => findPending(sql, now, project), signal)));
}

function projectsOf(sql: Sql, sessionIds: readonly string[] | null): string[] {
  const rows = sql.all<{ project: string; session: string }>(
    "SELECT project, session FROM snapshots WHERE state = 'pending'",
  );
  const wanted = rows.filter(({ session }) => sessionIds === null || sessionIds.includes(session));
  return [...new Set(wanted.map(({ project }) => project))];
}

/** Takes what a hook waits for; no other process takes a tool's meanwhile. */
export async function takeAwaited(runtime: Runtime, maxMs = maxAwaitMs): Promise<void> {
  await takeAll(runtime, findAwaited, AbortSignal.timeout(maxMs));
}

const maxPendingMs = 60_000;

type FindRequests = (sql: Sql, now: number) => OpenRequests | null;

/** A finished reading serves each request that was there when it began. */
async function takeAll(runtime: Runtime, find: FindRequests, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const next = claim(runtime, find);
    const checkpointId = next?.checkpointIds.at(-1);
    if (next === null || checkpointId === undefined) return;
    const input = {
      env: { ...runtime.env },
      project: next.project,
      snapshots: runtime.paths.snapshots,
      checkpointId,
      alsoFor: next.checkpointIds.slice(0, -1),
      now: runtime.now(),
      limits: runtime.config.snapshots,
    };
    const unchanged = await takeUnchanged({ ...input, processes: runtime.processes, signal }, "small");
    const snapshot = unchanged ?? (await runApart(runtime, "takeSnapshot", takeSnapshot, input, signal));
    runtime.store.write((sql) => {
      for (const id of next.checkpointIds) recordSnapshot(sql, runtime.now(), id, snapshot, signal.aborted);
    });
  }
}

function claim(runtime: Runtime, find: FindRequests): OpenRequests | null {
  const now = runtime.now();
  if (!runtime.store.read((sql) => find(sql, now), null)) return null;
  return runtime.store.write((sql) => {
    const found = find(sql, now);
    if (found === null || isPaused(sql, now, found.project)) return null;
    for (const checkpointId of found.checkpointIds)
      snapshots.update(sql, { checkpointId }, { state: "running", at: now });
    return found;
  });
}

function failOverdue(runtime: Runtime): void {
  const overdueSql = "state IN ('pending', 'running') AND at < ?";
  const before = runtime.now() - maxPendingMs;
  const isAny = runtime.store.read(
    (sql) => sql.all(`SELECT 1 FROM snapshots WHERE ${overdueSql} LIMIT 1`, before).length > 0,
    false,
  );
  if (!isAny) return;
  const reason = "the host had ended, or had no time to save the files within a minute";
  runtime.store.write((sql) =>
    sql.run(`UPDATE snapshots SET state = 'skipped', reason = ? WHERE ${overdueSql}`, reason, before),
  );
}

/** A tool that still waits for its files takes them itself. */
function findPending(sql: Sql, now: number, project: string): OpenRequests | null {
  return openRequests(sql, project, `NOT ${isOfTurn} AND NOT (${isBeforeTool} AND s.at > ?)`, now - 2 * maxAwaitMs);
}

/** An aborted snapshot stays pending, but not that of a turn: its files change now. */
function recordSnapshot(sql: Sql, now: number, checkpointId: string, snapshot: Snapshot, isAborted: boolean): void {
  const running = { checkpointId, state: "running" };
  if (snapshot.state !== "done") {
    const isLate = sql.all(`SELECT 1 FROM snapshots s WHERE checkpointId = ? AND ${isOfTurn}`, checkpointId).length > 0;
    const next = isAborted && !isLate ? "pending" : snapshot.state;
    snapshots.update(sql, running, { state: next, reason: snapshot.reason });
    return;
  }
  const { state, repository, head, branch, commit, ...detail } = snapshot;
  const change = { state, reason: null, repository, head, branch, commit, detail };
  // The checkpoint was deleted meanwhile, so the files are dropped, too.
  if (snapshots.update(sql, running, change) > 0) return;
  snapshots.insert(
    sql,
    { checkpointId, session: "", at: now, state: "drop", project: "", repository },
    "ON CONFLICT (checkpointId) DO UPDATE SET state = 'drop', repository = excluded.repository",
  );
}

/** Snapshots that are dropped between two reads of the marked ones. */
const portion = 500;

interface DropOptions {
  readonly maxGarbage: number;
  /** True: repeats until none is left but those that failed, without haste. */
  readonly isAll?: boolean;
}

export interface DropReport {
  readonly dropped: number;
  /** Stay marked for the next call. */
  readonly failures: readonly { readonly repository: string; readonly message: string }[];
}

/** Drops the snapshots that are marked for it, those of an earlier try included. */
export async function dropMarked(runtime: Runtime, { maxGarbage, isAll = false }: DropOptions): Promise<DropReport> {
  const { env, store } = runtime;
  const failures: DropReport["failures"][number][] = [];
  const timeoutMs = isAll ? 600_000 : 60_000;
  for (let dropped = 0; ;) {
    const failed = failures.map(({ repository }) => repository);
    const marked = store.read((sql) => snapshotDrops.list(sql, portion, failed), []);
    for (const [repository, group = []] of Object.entries(Object.groupBy(marked, (one) => one.repository))) {
      const checkpointIds = group.map((one) => one.checkpointId);
      const input = { env: { ...env }, repository, checkpointIds, maxGarbage, timeoutMs };
      const result = await runApart(runtime, "dropSnapshots", dropSnapshots, input);
      if (!result.ok) {
        failures.push({ repository, message: result.error.message });
        continue;
      }
      store.write((sql) => snapshotDrops.remove(sql, checkpointIds));
      dropped += checkpointIds.length;
    }
    if (!isAll || marked.length === 0) return { dropped, failures };
  }
}
