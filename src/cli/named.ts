import { existsSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import * as checkpoints from "../local-mcp/checkpoints/checkpoints.ts";
import type { Runtime } from "../local-mcp/runtime.ts";
import { projectRoot } from "../local-mcp/sessions/git-head.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { ambiguous, notFound, type Refusal } from "./answer.ts";

/** What a user means by an id or a folder. [CL2] Any beginning of an id that fits one only will do. */

export function findSession(runtime: Runtime, given: string): Result<sessions.Session, Refusal> {
  const found = lookUp(runtime, given, "ses_", sessions.byPrefix);
  return pick(found, given, "session", "shim sessions");
}

export function findCheckpoint(runtime: Runtime, given: string): Result<checkpoints.Checkpoint, Refusal> {
  const found = lookUp(runtime, given, "cp_", checkpoints.byPrefix);
  return pick(found, given, "checkpoint", "shim checkpoints");
}

interface Named {
  readonly id: string;
}

function lookUp<T extends Named>(
  runtime: Runtime,
  given: string,
  prefix: string,
  byPrefix: (sql: Sql, prefix: string) => T[],
): T[] {
  if (given === "") return [];
  return runtime.store.read((sql) => {
    const found = byPrefix(sql, given);
    return found.length > 0 ? found : byPrefix(sql, `${prefix}${given}`);
  }, []);
}

function pick<T extends Named>(found: readonly T[], given: string, what: string, list: string): Result<T, Refusal> {
  const [first, second] = found;
  if (!first) return notFound(`there is no ${what} "${given}". \`${list}\` lists them.`);
  if (!second || first.id === given) return ok(first);
  const ids = found.map(({ id }) => id);
  return ambiguous(
    `"${given}" is the beginning of several ${what}s, such as ${ids.join(" and ")}. Give more of it.`,
    ids,
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
