import { isAbsolute, join, relative } from "node:path";
import type { CrashCause } from "../../../contract/readings.ts";
import type { Verification } from "../../../contract/verification.ts";
import type { FileNote, WorkState } from "../../../contract/work-state.ts";
import { isKnownTime, isPast } from "../../../shared/known-time.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { currentState } from "../../sessions/checkpoints/capture.ts";
import * as checkpoints from "../../sessions/checkpoints/checkpoints.ts";
import { isEdited } from "../../sessions/work-state.ts";
import { readHead, type GitHead } from "../../../snapshots/git-head.ts";
import * as notices from "../../../store/notices.ts";
import * as heldAtHandOver from "../../sessions/held-at-hand-over.ts";
import { predecessorsOf, type PastWork } from "../../sessions/checkpoints/predecessors.ts";
import { pathsNow } from "../../sessions/projects.ts";
import * as sessions from "../../sessions/sessions.ts";
import type { Session } from "../../sessions/sessions.ts";
import { changesIn, compareWithSnapshot, hasSnapshot, type ProjectChanges } from "../../../snapshots/changed-files.ts";
import { absentReason, compareFiles, stampOf, type FileComparison } from "../../../snapshots/file-state.ts";
import { snapshots, verifications } from "../../../store/session-tables.ts";
import { heldText } from "../../../shared/format.ts";
import { asSeen } from "../../sessions/ending/ending.ts";
import { chatFilesFirst, type StoredSnapshotRow, tasksOf, type TaskOfSession } from "../../sessions/session-content.ts";
import { isDead } from "../../sessions/life/presence.ts";
import type { Learnt } from "../learnt/learnt.ts";
import { pidsOfCommands } from "./commands-at-work.ts";

/** `repository`: SHIM's own that holds it; null: none was made. */
export type SnapshotNote = Pick<StoredSnapshotRow, "checkpointId" | "state" | "reason" | "commit" | "repository">;

export interface FilesElsewhere {
  /** Time of the stored files, epoch ms of this machine; null: none are stored. */
  readonly at: number | null;
  /** Commit that the files are based on and that is not here; null: none. */
  readonly missingCommit: string | null;
  /** Reason why newer files, or any, are missing; null: these are the newest. */
  readonly notThere: string | null;
}

export interface Elsewhere {
  readonly machine: string;
  /** Root of its project there; null: it had none. */
  readonly root: string | null;
  /** False if the chat was only silent, which may be due to the network. */
  readonly isCertain: boolean;
  readonly hasCommit: boolean | null;
  /** Everything until then has reached the workspace; epoch ms of this machine. */
  readonly syncedUntil: number;
  /** Entries after the checkpoint that have reached the workspace. */
  readonly unsaved: number;
  /** Data known not to have arrived; null: none. */
  readonly lost: string | null;
  /** Null if its machine sends none. */
  readonly uncommitted: FilesElsewhere | null;
}

export interface RestoredFile extends FileNote {
  readonly now: FileComparison;
  /** Known by nothing but the time of its last change. */
  readonly isByDate?: true;
  /** Changed by other means than the chat's file tools. */
  readonly isFoundByGit?: true;
  readonly isCommitted?: true;
}

export interface Restoration {
  readonly session: Session;
  /** Cause of the death; null while the session lives, and where it ended in order. */
  readonly cause: CrashCause | null;
  readonly causeDetail: string;
  readonly state: WorkState;
  readonly checkpoint: checkpoints.Checkpoint | null;
  /** When the store was found damaged since it began, epoch ms: entries until then may be lost. */
  readonly storeDamagedAt?: number;
  /** Time of the newest known event, epoch ms; 0: its transcript has no times. */
  readonly knownUntil: number;
  readonly files: readonly RestoredFile[];
  readonly head: GitHead | null;
  readonly snapshot: SnapshotNote | null;
  /** Whether its commit is in SHIM's repository; absent or null: not checked. */
  readonly isSnapshotThere?: boolean | null;
  /** The newest one that a user asked for; absent: none. */
  readonly verification?: Verification;
  /** Newest prompts that its brief may quote, besides the first; absent: the default. */
  readonly maxPrompts?: number;
  /** Start of the oldest session whose work it continues, epoch ms; absent: its own. */
  readonly workSince?: number;
  /** Times of the last edits, epoch ms: git cannot tell whose a change is. */
  readonly editedByOthers?: ReadonlyMap<string, number>;
  readonly elsewhere?: Elsewhere;
  /** Tasks that it had last; absent: not known. */
  readonly tasks?: readonly TaskOfSession[];
  /** Things that its chat held when it was handed over, in words; absent: none. */
  readonly held?: string;
  /** Moment at which the session is forked; absent: it is shown as it stands. */
  readonly fork?: ForkedAt;
  /** From its transcript; absent: none was read. */
  readonly learnt?: Learnt;
  /** Pids that run a command of unseen end now, by the id of its call; absent: not known. */
  readonly running?: ReadonlyMap<string, readonly number[]>;
}

export interface ForkedAt {
  /** Number of the prompt, and of the newest one. */
  readonly prompt: number;
  readonly prompts: number;
  /** Project of the session itself. */
  readonly project: string | null;
  /** Facts about the state and the files of the moment. */
  readonly notes: readonly string[];
}

/** A session at an earlier moment, with its files of then in a folder of their own. */
export interface PastMoment extends Pick<Restoration, "state" | "checkpoint" | "snapshot"> {
  /** Epoch ms. */
  readonly at: number;
  /** Root of the project in that folder. */
  readonly folder: string;
  readonly fork: ForkedAt;
}

function restoration(sql: Sql, runtime: Runtime, session: Session): Restoration | null {
  const { config } = runtime;
  const state = currentState(sql, session.id);
  if (!state) return null;
  const { files, ...work } = withMoved(pathsNow(sql, session), workOf(sql, session, state));
  const received = session.origin === sessions.givenOrigin ? heldAtHandOver.read(sql, session.id) : null;
  const seen = asSeen(sql, runtime, session);
  const { cause, detail } = (isDead(runtime, session) && seen.ending) || { cause: null, detail: null };
  const storeDamagedAt = notices.storeDamagedAt(sql) ?? 0;
  return {
    session: seen,
    cause,
    causeDetail: detail ?? "",
    state,
    ...work,
    files: compareFiles(files),
    head: session.project ? readHead(session.project) : null,
    checkpoint: checkpoints.latest(sql, session.id),
    maxPrompts: config.brief.prompts,
    knownUntil: isUndated(state, runtime.now()) ? 0 : session.lastSeenAt,
    snapshot: newestSnapshot(sql, session.id),
    tasks: tasksOf(sql, session.id),
    ...(storeDamagedAt >= session.startedAt ? { storeDamagedAt } : {}),
    ...(received ? { held: heldText(received) } : {}),
    ...omitUndefined({
      verification: verifications.find(sql, { session: session.id }) ?? undefined,
      running: pidsOfCommands(runtime, session, state) ?? undefined,
    }),
  };
}

interface Work {
  readonly files: readonly FileNote[];
  readonly workSince: number;
  readonly editedByOthers: ReadonlyMap<string, number>;
}

function withMoved(moved: (path: string) => string, { files, editedByOthers, ...work }: Work): Work {
  return {
    ...work,
    files: files.map(({ skipped, ...file }) => {
      const path = moved(file.path);
      // Noted while its folder was gone already, which says nothing of the file.
      const isKept = skipped !== undefined && (path === file.path || skipped !== absentReason);
      return Object.assign({}, file, { path }, isKept ? { skipped } : {});
    }),
    editedByOthers: new Map([...editedByOthers].map(([path, at]) => [moved(path), at])),
  };
}

/** Its work, with that of the sessions which it continues. */
function workOf(sql: Sql, session: Session, state: WorkState): Work {
  const predecessors = predecessorsOf(sql, { session, state });
  const chain = [session, ...predecessors.map((one) => one.session)];
  const workSince = Math.min(...chain.map(({ startedAt }) => startedAt));
  const editedByOthers = filesOfOthers(sql, chain, workSince);
  return { files: withInherited(predecessors, state), workSince, editedByOthers };
}

const maxInheritedFiles = 100;

/** Adds edited files that the session has not edited itself, oldest first. */
function withInherited(predecessors: readonly PastWork[], { files }: WorkState): FileNote[] {
  const own = new Map(files.map((file) => [file.path, file]));
  const edited = predecessors.toReversed().flatMap(({ state }) => state.files.filter(isEdited));
  const newest = [...new Map(edited.map((file) => [file.path, file])).values()];
  const inherited = newest.filter(({ path }) => !isOwnEdit(own.get(path))).slice(-maxInheritedFiles);
  const inheritedPaths = new Set(inherited.map(({ path }) => path));
  return [
    ...inherited.map((file) => withOwnHash(file, own.get(file.path))),
    ...files.filter(({ path }) => !inheritedPaths.has(path)),
  ];
}

function isOwnEdit(file: FileNote | undefined): boolean {
  return file !== undefined && isEdited(file);
}

/** A file that the session has only named was hashed again by its checkpoint. */
function withOwnHash(file: FileNote, own: FileNote | undefined): FileNote {
  return own && own.hash !== null ? { ...own, action: file.action } : file;
}

/** @param chain the session, and those whose work it continues */
function filesOfOthers(sql: Sql, chain: readonly Session[], workSince: number): ReadonlyMap<string, number> {
  const project = chain[0]?.project ?? null;
  if (project === null) return new Map();
  const rows = sql.all<{ path: string; at: number }>(
    `SELECT json_extract(body, '$.path') AS path, max(at) AS at FROM journal
     WHERE session IN (SELECT id FROM sessions WHERE project = ? AND lastSeenAt >= ?
         AND id NOT IN (SELECT value FROM json_each(?)))
       AND kind = 'tool_end' AND json_extract(body, '$.action') IN ('edited', 'created') GROUP BY path`,
    project,
    workSince,
    JSON.stringify(chain.map(({ id }) => id)),
  );
  return new Map(rows.map(({ path, at }) => [path, at]));
}

/** An edit is on the disk before its event is recorded; clocks of files are coarse. */
const editSlackMs = 2_000;

/** With what git and the newest snapshot say of its files. */
export function restore(runtime: Runtime, session: Session): Restoration | null {
  const from = runtime.store.read((sql) => restoration(sql, runtime, session), null);
  return from && observed(runtime.env, from);
}

/** @returns null: nothing is known of the session on this machine */
export function restoreById(runtime: Runtime, id: string): Restoration | null {
  const session = runtime.store.read((sql) => sessions.get(sql, id), null);
  return session && restore(runtime, session);
}

/** Restores an earlier moment: files are compared with those of its folder. */
export function restoreAt(runtime: Runtime, session: Session, past: PastMoment): Restoration {
  const { store, env } = runtime;
  const { state, checkpoint, snapshot, at, folder, fork } = past;
  const moved = (path: string): string => movePath(path, session.project, folder);
  const own: Work = { files: state.files, workSince: session.startedAt, editedByOthers: new Map() };
  const { files, workSince, ...work } = store.read((sql) => workOf(sql, session, state), own);
  const editedByOthers = new Map([...work.editedByOthers].map(([path, editedAt]) => [moved(path), editedAt]));
  // Times of files say nothing in a new folder.
  const here = files.map(({ stamp: _stamp, ...file }) => Object.assign(file, { path: moved(file.path) }));
  const from: Restoration = {
    session: { ...session, project: folder },
    cause: null,
    causeDetail: "",
    state: { ...state, calls: movedCalls(state, session.project, folder) },
    checkpoint,
    knownUntil: at,
    files: compareFiles(here),
    head: readHead(folder),
    snapshot,
    maxPrompts: runtime.config.brief.prompts,
    workSince,
    editedByOthers,
    fork,
  };
  return observed(env, from);
}

/** A chat that reads another folder in its last calls may work there. */
export function movedCalls({ calls }: WorkState, project: string | null, folder: string | null): WorkState["calls"] {
  if (project === null || folder === null) return calls;
  return calls.map((call) => ({ ...call, input: call.input.replaceAll(`${project}/`, `${folder}/`) }));
}

/** The path in a copy of the project; outside of the project it stays. */
export function movePath(path: string, project: string | null, folder: string): string {
  const inside = project === null || !isAbsolute(path) ? ".." : relative(project, path);
  return inside.startsWith("..") || isAbsolute(inside) ? path : join(folder, inside);
}

/** Adds what git and snapshots say. Not to be called in a transaction, which would wait for git. */
function observed(env: NodeJS.ProcessEnv, from: Restoration): Restoration {
  return withVerified(env, withChanges(withSnapshot(env, from), changesSince(env, from)));
}

function withSnapshot(env: NodeJS.ProcessEnv, from: Restoration): Restoration {
  const { state, repository = null, commit = null } = from.snapshot ?? {};
  if (state !== "done" || repository === null || commit === null) return from;
  return { ...from, isSnapshotThere: hasSnapshot(env, { repository, commit }) };
}

/** Files that no checkpoint has hashed, such as those that a command wrote. */
function withVerified(env: NodeJS.ProcessEnv, from: Restoration): Restoration {
  const unknown = from.files.filter(({ now, isCommitted }) => now === "unknown" && !isCommitted);
  const bySnapshot = compareByContent(env, from, unknown);
  const verified = (file: RestoredFile): RestoredFile => {
    if (!unknown.includes(file)) return file;
    const now = bySnapshot.get(file.path) ?? "unknown";
    return { ...file, ...(now === "unknown" ? compareDate(file, from.knownUntil) : { now }) };
  };
  return { ...from, files: from.files.map(verified) };
}

function compareByContent(
  env: NodeJS.ProcessEnv,
  { session, snapshot, knownUntil }: Restoration,
  files: readonly RestoredFile[],
): ReadonlyMap<string, FileComparison> {
  const { repository = null, commit = null } = snapshot ?? {};
  if (session.project === null || repository === null || commit === null || files.length === 0) return new Map();
  const known = { repository, commit, project: session.project };
  const paths = files.map(({ path }) => path);
  return compareWithSnapshot(env, known, paths, knownUntil) ?? new Map<string, FileComparison>();
}

/** Neither the newest prompt nor the newest words have a time that is over. */
function isUndated({ prompts, words }: WorkState, now: number): boolean {
  const newest = [prompts.at(-1), words.at(-1)].flatMap((remark) => remark?.at ?? []);
  return newest.length > 0 && !newest.some((at) => isPast(now, at));
}

/** Returns null for a file that the chat did not edit, or that has no date. */
function compareDate(file: RestoredFile, knownUntil: number): Pick<RestoredFile, "now" | "isByDate"> | null {
  const stamp = isEdited(file) && file.action !== "deleted" ? stampOf(file.path) : null;
  if (stamp === null || !isKnownTime(knownUntil)) return null;
  return { now: stamp.modifiedMs > knownUntil + editSlackMs ? "changed" : "same", isByDate: true };
}

function changesSince(env: NodeJS.ProcessEnv, from: Restoration): ProjectChanges | null {
  const { session, state, files } = from;
  const { project, startedAt } = session;
  if (project === null) return null;
  const edited = files.filter(isEdited).map(({ path }) => path);
  const commit = state.firstGit?.commit ?? null;
  const knownHead = from.head?.commit ?? null;
  return changesIn(env, { project, startedAt: from.workSince ?? startedAt, commit, knownHead, edited });
}

/** Adds files that changed by any means, newest last. */
function withChanges(from: Restoration, changes: ProjectChanges | null): Restoration {
  if (changes === null) return from;
  const knownPaths = new Set(from.files.map(({ path }) => path));
  const dirty = new Set(changes.open.map(({ path }) => path));
  const notedFiles = from.files.map((file): RestoredFile => {
    if (!isEdited(file) && dirty.has(file.path)) return { ...file, isFoundByGit: true };
    const isAsLeft =
      file.now === "deleted" ? changes.committed.has(file.path) : !/^(?:missing|changed)$/.test(file.now);
    const isClean = isEdited(file) && changes.clean.has(file.path) && isAsLeft;
    return isClean ? { ...file, isCommitted: true } : file;
  });
  const removed = from.files.flatMap((file) => (file.isRemoved ? [`${file.path}/`] : []));
  const isRemoved = (path: string): boolean => removed.some((folder) => path.startsWith(folder));
  const isOfAnother = (path: string, modifiedMs: number | null): boolean => {
    const at = from.editedByOthers?.get(path);
    return at !== undefined && (modifiedMs ?? 0) <= at + editSlackMs;
  };
  const uncommittedFiles = changes.open
    .filter(({ path, modifiedMs }) => !knownPaths.has(path) && !isOfAnother(path, modifiedMs))
    .toReversed()
    .map(({ path, modifiedMs }): RestoredFile => {
      const now = modifiedMs !== null ? "unknown" : isRemoved(path) ? "deleted" : "missing";
      return { path, hash: null, action: "noted", now, isFoundByGit: true };
    });
  const committed = [...changes.committed]
    .filter((path) => !knownPaths.has(path) && !dirty.has(path) && !isOfAnother(path, null))
    .map((path): RestoredFile => ({ path, hash: null, action: "noted", now: "same", isCommitted: true }));
  const files = [...committed, ...notedFiles, ...uncommittedFiles];
  return { ...from, files };
}

const snapshotNotes = snapshots.pick("checkpointId", "state", "reason", "commit", "repository");

function newestSnapshot(sql: Sql, sessionId: string): SnapshotNote | null {
  const rest = `WHERE session = ? ORDER BY state = 'done' DESC, ${chatFilesFirst}, at DESC LIMIT 1`;
  return snapshotNotes.select(sql, rest, sessionId)[0] ?? null;
}
