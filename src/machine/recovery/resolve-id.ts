import { existsSync, realpathSync } from "node:fs";
import { relative, resolve, sep } from "node:path";
import type { Named } from "../../contract/machine/operation.ts";
import * as checkpoints from "../sessions/checkpoints/checkpoints.ts";
import { findById } from "./elsewhere/candidates.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import { shortCheckpointId, shortSessionId } from "../sessions/session-identity.ts";
import { formatAgo, oneLine } from "../../shared/format.ts";
import type { HandlerContext } from "./handler-context.ts";

/** Accepts any unique prefix of an id. */
export function findSession(runtime: Runtime, idOrPrefix: string): Result<sessions.Session> {
  return pickOne(sessionsBy(runtime, idOrPrefix), idOrPrefix, {
    what: "session",
    list: "shim sessions",
    describe: (one) => sessionLine(runtime, one),
  });
}

type Here = Pick<HandlerContext, "runtime" | "others" | "progress">;

export async function findHere(context: Here, id: string): Promise<Result<Session>> {
  const found = findSession(await context.runtime(), id);
  return found.ok ? found : unlessElsewhere(context, id, found);
}

/** Names the machine of a session that is not here: only its brief and its files can be. */
export async function unlessElsewhere<T extends Result<never>>(
  { runtime, others, progress }: Here,
  id: string,
  refused: T,
): Promise<T | Result<never>> {
  const context =
    refused.ok || refused.error.code !== "not_found" ? null : await others.read(await runtime(), progress);
  const row = context && findById(context, id);
  if (!row) return refused;
  const what = `session ${row.id} is of ${row.machine}, where its client keeps it`;
  const ways = `Here \`shim resume ${id}\` starts a new chat with its brief, and \`shim restore ${id}\` has its files`;
  return err({ code: "not_found", message: `${what}: do this on that machine. ${ways}.` });
}

/** Reads something of the session that an id, or its beginning, names. */
export async function readSession<T>(
  context: Here,
  id: string,
  body: (sql: Sql, runtime: Runtime, session: Session) => T,
): Promise<Result<T>> {
  const runtime = await context.runtime();
  const found = await findHere(context, id);
  if (!found.ok) return found;
  const gone = err({ code: "not_found", message: `session ${id} was deleted meanwhile.` } as const);
  return runtime.store.read<Result<T>>((sql) => ok(body(sql, runtime, found.value)), gone);
}

export function findCheckpoint(runtime: Runtime, idOrPrefix: string): Result<checkpoints.Checkpoint> {
  return pickOne(checkpointsBy(runtime, idOrPrefix), idOrPrefix, {
    what: "checkpoint",
    list: "shim sessions show <session>",
    describe: (one) => checkpointLine(runtime, one),
  });
}

type SessionOrCheckpoint =
  | { readonly id: string; readonly session: sessions.Session; readonly checkpoint?: undefined }
  | { readonly id: string; readonly session?: undefined; readonly checkpoint: checkpoints.Checkpoint };

/** A text that begins both ids means the session: ids of one minute may begin alike. */
export function findSessionOrCheckpoint(runtime: Runtime, idOrPrefix: string): Result<SessionOrCheckpoint> {
  const ofSessions = sessionsBy(runtime, idOrPrefix).map((session) => ({ id: session.id, session }));
  const found: SessionOrCheckpoint[] =
    ofSessions.length > 0
      ? ofSessions
      : checkpointsBy(runtime, idOrPrefix).map((checkpoint) => ({ id: checkpoint.id, checkpoint }));
  return pickOne(found, idOrPrefix, {
    what: "session or checkpoint",
    list: "shim sessions",
    describe: ({ session, checkpoint }) =>
      session ? sessionLine(runtime, session) : `checkpoint ${checkpointLine(runtime, checkpoint)}`,
  });
}

/** A session as answers name it. */
export function namesOf(runtime: Runtime, session: Session): Named {
  const { id, machine } = session;
  return { session: id, shortId: shortSession(runtime, id), title: sessions.displayTitle(session), machine };
}

export function shortSession(runtime: Runtime, id: string): string {
  return runtime.store.read((sql) => shortSessionId(sql, id), id);
}

export function shortCheckpoint(runtime: Runtime, id: string): string {
  return runtime.store.read((sql) => shortCheckpointId(sql, id), id);
}

function sessionLine(runtime: Runtime, session: sessions.Session): string {
  const seen = formatAgo(runtime.now(), session.lastSeenAt);
  return `${shortSession(runtime, session.id)}  ${seen}  ${oneLine(sessions.displayTitle(session) ?? "untitled", 60)}`;
}

function checkpointLine(runtime: Runtime, { id, at, trigger, session: sessionId }: checkpoints.Checkpoint): string {
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  const title = (session && sessions.displayTitle(session)) ?? "untitled";
  const saved = formatAgo(runtime.now(), at);
  return `${shortCheckpoint(runtime, id)}  ${saved}  ${trigger}  ${oneLine(title, 60)}`;
}

const maxCandidates = 8;

type ByPrefix<T> = (sql: Sql, prefix: string, limit: number) => T[];

function findByPrefix<T>({ store }: Runtime, idOrPrefix: string, prefix: string, byPrefix: ByPrefix<T>): T[] {
  if (idOrPrefix === "") return [];
  return store.read((sql) => {
    const found = byPrefix(sql, idOrPrefix, maxCandidates + 1);
    return found.length > 0 ? found : byPrefix(sql, `${prefix}${idOrPrefix}`, maxCandidates + 1);
  }, []);
}

function sessionsBy(runtime: Runtime, idOrPrefix: string): sessions.Session[] {
  return findByPrefix(runtime, idOrPrefix, "ses_", sessions.byPrefix);
}

function checkpointsBy(runtime: Runtime, idOrPrefix: string): checkpoints.Checkpoint[] {
  return findByPrefix(runtime, idOrPrefix, "cp_", checkpoints.byPrefix);
}

interface ItemKind<T> {
  readonly what: string;
  /** Command that lists them. */
  readonly list: string;
  readonly describe: (one: T) => string;
}

/** The only one of what an id, or its beginning, may mean. */
export function pickOne<T extends { readonly id: string }>(
  matches: readonly T[],
  idOrPrefix: string,
  { what, list, describe }: ItemKind<T>,
): Result<T> {
  const [first, second] = matches;
  if (!first) {
    const message = `there is no ${what} "${oneLine(idOrPrefix, 80)}". \`${list}\` lists them.`;
    return err({ code: "not_found", message });
  }
  if (!second || first.id === idOrPrefix) return ok(first);
  const listed = matches.slice(0, maxCandidates);
  const more = matches.length > listed.length ? ["and more"] : [];
  const lines = [...listed.map(describe), ...more].map((line) => `\n  ${line}`);
  const several = what.replaceAll(/session|checkpoint|experiment|chat|phone/g, "$&s");
  const message = `"${idOrPrefix}" matches several ${several}; give more of the id:${lines.join("")}`;
  return err({ code: "ambiguous", message, candidates: listed.map(({ id }) => id) });
}

/** Paths in the project; none: all of it. @param files absolute, or relative to the folder */
export function pathsIn(project: string, folder: string, files: readonly string[]): Result<string[]> {
  const paths = files.map((file) => relative(project, resolve(folder, file)).split(sep).join("/"));
  const foreign = paths.findIndex((path) => path === ".." || path.startsWith("../"));
  if (foreign >= 0) return err({ code: "bad_input", message: `${files[foreign]} is not in ${project}.` });
  return ok(paths.filter((path) => path !== ""));
}

/** The project of a folder that an input may name. */
export function projectGiven(runtime: Runtime, folder: string | undefined): string | undefined {
  return folder === undefined ? undefined : projectOfFolder(runtime, folder);
}

/** @param path absolute */
export function projectOfFolder(runtime: Runtime, path: string): string {
  const real = existsSync(path) ? realpathSync.native(path) : path;
  const candidates = [...new Set([path, real, projectRoot(path) ?? path, projectRoot(real) ?? real])];
  const isKnown = (project: string): boolean =>
    runtime.store.read((sql) => sessions.list(sql, { project, limit: 1 }).length > 0, false);
  return candidates.find(isKnown) ?? projectRoot(path) ?? path;
}
