import { join, sep } from "node:path";
import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { isTransient } from "../../contract/errors.ts";
import { messageOf } from "../../shared/error.ts";
import type { Sql } from "../../shared/sql.ts";
import { readTaskEnds, type TaskEnd } from "../../coordinator-client/local/task-ends.ts";
import type { RowOf } from "../../shared/table.ts";
import { sessions as sessionRows } from "../../store/session-tables.ts";
import { teamClaims } from "../../store/team-tables.ts";
import { NeedsHostError } from "../../store/store-error.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as recoveries from "../sessions/recoveries.ts";
import type { FinishedTask } from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import * as news from "../sessions/news.ts";
import { isNod } from "../text/excerpt.ts";
import { formatFinishedTask } from "./brief-text.ts";
import { isDead } from "./liveness.ts";
import { localWorkspace } from "../../coordinator-client/edge-config.ts";
import { deathWindowMs } from "./tasks-at-death.ts";

interface TaskAtDeath {
  readonly session: string;
  readonly task: number;
  readonly type: string;
  readonly at: number;
}

const maxTasks = 20;
const askTimeoutMs = 5_000;

/** [RE70] Finds dead sessions whose tasks another chat has done, or that were cancelled. */
export function recordFinishedHere(runtime: Runtime): void {
  try {
    recordFinished(runtime, finishedHere(runtime));
  } catch (error) {
    unknownEnds(runtime, error);
  }
}

/** Whether {@link recordFinishedHere} finds any. */
export function hasFinishedHere(runtime: Runtime): boolean {
  try {
    return finishedHere(runtime).length > 0;
  } catch (error) {
    if (error instanceof NeedsHostError) throw error;
    unknownEnds(runtime, error);
    return false;
  }
}

/** A needless offer is better than none. */
function unknownEnds({ log }: Runtime, error: unknown): void {
  log("warn", "whether tasks of dead sessions were finished is not known", { error: messageOf(error) });
}

function finishedHere(runtime: Runtime): FinishedSession[] {
  const tasks = runtime.store.read((sql) => tasksAtDeath(sql, runtime, localWorkspace), []);
  if (tasks.length === 0) return [];
  const { driver, busyMs } = runtime.store.context;
  return finishedSessions(tasks, readTaskEnds({ home: runtime.paths.home, driver, busyMs }, taskNumbers(tasks)));
}

/** Asks the coordinator of a workspace for the same. */
export async function recordFinishedTasks(runtime: Runtime, workspace: string, link: CoordinatorClient): Promise<void> {
  const tasks = runtime.store.read((sql) => tasksAtDeath(sql, runtime, workspace), []);
  const ends = new Map<number, TaskEnd>();
  for (const task of taskNumbers(tasks)) {
    const end = await fetchTaskEnd(link, task);
    // The coordinator does not answer now.
    if (end === "unknown") break;
    if (end !== "open") ends.set(task, end);
  }
  recordFinished(runtime, finishedSessions(tasks, ends));
}

async function fetchTaskEnd(link: CoordinatorClient, task: number): Promise<TaskEnd | "open" | "unknown"> {
  const found = await link.call("tasks.get", { task }, askTimeoutMs);
  if (!found.ok) return isTransient(found.error) ? "unknown" : "open";
  const { state } = found.value;
  if (state === "cancelled") return { state, by: null };
  if (state !== "done") return "open";
  const history = await link.call("tasks.history", { task }, askTimeoutMs);
  if (!history.ok) return "unknown";
  return { state, by: history.value.attempts.find(({ end }) => end === "done")?.chat ?? null };
}

function taskNumbers(tasks: readonly TaskAtDeath[]): number[] {
  return [...new Set(tasks.map(({ task }) => task))].slice(0, maxTasks);
}

function tasksAtDeath(sql: Sql, { processes, now, paths }: Runtime, workspace: string): TaskAtDeath[] {
  const held = heldAtDeath(sql, workspace);
  const lost = lostAtDeath(sql, workspace).filter(
    (one) => !held.some(({ session, task }) => session === one.session && task === one.task),
  );
  const all = [...held, ...lost, ...(workspace === localWorkspace ? workerTasks(sql, join(paths.home, "work")) : [])];
  return all.filter(({ session, task }) => {
    const known = sessions.get(sql, session);
    return known !== null && isDead(known, processes, now()) && !recoveries.hasFinished(sql, session, task);
  });
}

const isOpen = "s.endedAt IS NULL AND (s.recovery IS NULL OR s.recovery = 'offered')";

const claims = teamClaims.pick("session", "task", "at", "body");

function heldAtDeath(sql: Sql, workspace: string): TaskAtDeath[] {
  const rows = sql.all<RowOf<typeof claims>>(
    `SELECT ${claims.columns("c")} FROM team_claims c JOIN sessions s ON s.id = c.session
     WHERE c.workspace = ? AND ${isOpen} ORDER BY c.at DESC LIMIT ?`,
    workspace,
    maxTasks,
  );
  return claims.decode(rows).map(({ session, task, at, body: { type } }) => ({ session, task, type, at }));
}

/** Counts losses near the death only: a server may outlive its killed client and see them. */
function lostAtDeath(sql: Sql, workspace: string): TaskAtDeath[] {
  return sql.all<{ session: string; task: number; type: string; at: number }>(
    `SELECT n.session, json_extract(n.body, '$.task') AS task, json_extract(n.body, '$.title') AS type, n.at
     FROM sessions s JOIN team_news n ON n.session = s.id
     WHERE n.kind = 'claim_lost' AND json_extract(n.body, '$.workspace') = ? AND n.at >= s.lastSeenAt - ? AND ${isOpen}
     ORDER BY n.at DESC LIMIT ?`,
    workspace,
    deathWindowMs,
    maxTasks,
  );
}

/** The prompt with which a worker gives a client its task. */
const workerPrompt = /^Do task (\d{1,16}) \(([\w.:-]{1,64})\):/;

const taskSessions = sessionRows.pick("id", "title", "cwd", "startedAt");

function workerTasks(sql: Sql, work: string): TaskAtDeath[] {
  const rows = taskSessions.select(
    sql,
    `WHERE endedAt IS NULL AND (recovery IS NULL OR recovery = 'offered')
       AND title >= 'Do task ' AND title < 'Do task!' AND cwd IS NOT NULL ORDER BY lastSeenAt DESC LIMIT ?`,
    maxTasks,
  );
  return rows.flatMap(({ id: session, title, cwd, startedAt: at }) => {
    const [, task, type] = workerPrompt.exec(title ?? "") ?? [];
    const isOwn = cwd?.startsWith(`${work}${sep}`) === true && task !== undefined && type !== undefined;
    return isOwn ? [{ session, task: Number(task), type, at }] : [];
  });
}

interface FinishedSession {
  readonly session: string;
  readonly finished: readonly FinishedTask[];
  /** When it had the last of them. */
  readonly at: number;
}

/** Sessions whose tasks have all ended. */
function finishedSessions(tasks: readonly TaskAtDeath[], ends: ReadonlyMap<number, TaskEnd>): FinishedSession[] {
  return [...Map.groupBy(tasks, (one) => one.session)].flatMap(([session, own]) => {
    const finished = own.flatMap(({ task, type }): FinishedTask[] => {
      const end = ends.get(task);
      // Its own result is no news, and it may have worked on something else.
      return end && end.by !== session ? [{ task, type, ...end }] : [];
    });
    return finished.length < own.length ? [] : [{ session, finished, at: Math.max(...own.map((one) => one.at)) }];
  });
}

function recordFinished({ store, now }: Runtime, found: readonly FinishedSession[]): void {
  for (const one of found) store.write((sql) => recordFinishedFor(sql, now(), one));
}

function recordFinishedFor(sql: Sql, now: number, { session: id, finished, at }: FinishedSession): void {
  const session = sessions.get(sql, id);
  if (!session || session.endedAt !== null) return;
  const by = finished.findLast((one) => one.by !== null)?.by ?? null;
  recoveries.add(sql, { at: now, session: id, action: "finished", by, finished });
  notifySuccessor(sql, now, session, finished);
  // Requests of the user since then are not done by that.
  if (hasLaterRequest(sql, id, at)) return;
  sessions.setRecovery(sql, now, id, by === null ? "dismissed" : "recovered", by);
}

function hasLaterRequest(sql: Sql, id: string, at: number): boolean {
  const prompts = currentState(sql, id)?.prompts ?? [];
  return prompts.some((one) => one.at > at && !isNod(one.text) && !workerPrompt.test(one.text));
}

/** The chat that was offered the session may be about to repeat the work. */
function notifySuccessor(
  sql: Sql,
  now: number,
  { id, recovery, recoveryBy }: Session,
  finished: readonly FinishedTask[],
): void {
  if (recovery !== "offered" || recoveryBy === null) return;
  const finishedText = finished.map(formatFinishedTask).join("; ");
  news.add(sql, now, recoveryBy, `finished:${id}`, {
    kind: "notice",
    text: `Of session ${id}, which this chat was offered: ${finishedText}`,
  });
}
