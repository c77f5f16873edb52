import { existsSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import * as checkpoints from "../local-mcp/checkpoints/checkpoints.ts";
import type { Runtime } from "../local-mcp/runtime.ts";
import { projectRoot } from "../local-mcp/sessions/git-head.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { shortCheckpointId, shortSessionId } from "../local-mcp/sessions/short-ids.ts";
import { age } from "../local-mcp/recovery/brief.ts";
import { ambiguous, notFound, type Refusal } from "./answer.ts";
import { oneLine } from "./screen-text.ts";

/** Ids and folders as users give them, and ids as users see them. [CL2] Any beginning of an id that fits one only will do. */

export function findSession(runtime: Runtime, given: string): Result<sessions.Session, Refusal> {
  const found = lookUp(runtime, given, "ses_", sessions.byPrefix);
  return pick(found, given, {
    what: "session",
    list: "shim sessions",
    describe: (one) => sessionLine(runtime, one),
  });
}

export function findCheckpoint(runtime: Runtime, given: string): Result<checkpoints.Checkpoint, Refusal> {
  const found = lookUp(runtime, given, "cp_", checkpoints.byPrefix);
  return pick(found, given, {
    what: "checkpoint",
    list: "shim checkpoints",
    describe: (one) => checkpointLine(runtime, one),
  });
}

/** [CL78] As much of the id as tells the session from all others of this machine. */
export function shortSession(runtime: Runtime, id: string): string {
  return runtime.store.read((sql) => shortSessionId(sql, id), id);
}

/** [CL78] As much of the id as tells the checkpoint from all others of this machine. */
export function shortCheckpoint(runtime: Runtime, id: string): string {
  return runtime.store.read((sql) => shortCheckpointId(sql, id), id);
}

function sessionLine(runtime: Runtime, session: sessions.Session): string {
  const seen = `${age(runtime.now() - session.lastSeenAt)} ago`;
  return `${shortSession(runtime, session.id)}  ${seen}  ${oneLine(sessions.displayTitle(session) ?? "untitled", 60)}`;
}

function checkpointLine(runtime: Runtime, { id, at, trigger, sessionId }: checkpoints.Checkpoint): string {
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  const title = (session && sessions.displayTitle(session)) ?? "untitled";
  const saved = `${age(runtime.now() - at)} ago`;
  return `${shortCheckpoint(runtime, id)}  ${saved}  ${trigger}  ${oneLine(title, 60)}`;
}

/** An ambiguous id is answered with so many candidates. */
const mostCandidates = 8;

interface Named {
  readonly id: string;
}

function lookUp<T extends Named>(
  runtime: Runtime,
  given: string,
  prefix: string,
  byPrefix: (sql: Sql, prefix: string, limit: number) => T[],
): T[] {
  if (given === "") return [];
  return runtime.store.read((sql) => {
    const found = byPrefix(sql, given, mostCandidates + 1);
    return found.length > 0 ? found : byPrefix(sql, `${prefix}${given}`, mostCandidates + 1);
  }, []);
}

interface Kind<T> {
  readonly what: string;
  /** The command that lists them. */
  readonly list: string;
  /** One line that tells a candidate from the others. */
  readonly describe: (one: T) => string;
}

/** [CL79] */
function pick<T extends Named>(found: readonly T[], given: string, kind: Kind<T>): Result<T, Refusal> {
  const { what, list, describe } = kind;
  const [first, second] = found;
  if (!first) return notFound(`there is no ${what} "${oneLine(given, 80)}". \`${list}\` lists them.`);
  if (!second || first.id === given) return ok(first);
  const shown = found.slice(0, mostCandidates);
  const more = found.length > shown.length ? ["and more"] : [];
  const lines = [...shown.map(describe), ...more].map((line) => `\n  ${line}`);
  return ambiguous(
    `"${given}" is the beginning of several ${what}s; give more of the id:${lines.join("")}`,
    shown.map(({ id }) => id),
  );
}

/** The project that a folder given by the user belongs to, as sessions name it. */
export function projectOf(runtime: Runtime, cwd: string, folder: string): string {
  const path = resolve(cwd, folder);
  const real = existsSync(path) ? realpathSync(path) : path;
  const candidates = [...new Set([path, real, projectRoot(path) ?? path, projectRoot(real) ?? real])];
  const isKnown = (project: string): boolean =>
    runtime.store.read((sql) => sessions.list(sql, { project, limit: 1 }).length > 0, false);
  return candidates.find(isKnown) ?? projectRoot(path) ?? path;
}
