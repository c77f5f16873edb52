import { join } from "node:path";
import type { WorkState, FileNote } from "../../contract/work-state.ts";
import { compareFiles } from "../../snapshots/file-state.ts";
import { GitError, userGit, run } from "../../snapshots/git.ts";
import { findMissing } from "../../snapshots/restore-files.ts";
import type { Checkpoint } from "../checkpoints/checkpoints.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import { readHead } from "../sessions/git-head.ts";
import type { JournalRow } from "../sessions/journal.ts";
import { foldWithinBudget, emptyState } from "../sessions/work-state.ts";
import { inferCause } from "../signals/crash-cause.ts";
import type { SessionContent } from "../sharing/record-contents.ts";
import { fetchCheckpoint, type RemoteCheckpoint } from "../sharing/fetch-records.ts";
import { fetchHeader } from "../sharing/fetch-records.ts";
import type { RemoteSession } from "../sharing/remote-sessions.ts";
import { formatEvents } from "./brief-text.ts";
import type { Liveness } from "./liveness.ts";
import type { DeadElsewhere } from "./remote-candidates.ts";
import type { RemoteContext } from "./remote-context.ts";
import { localClock, toSession, unsavedSince } from "./remote-session.ts";
import type { FilesElsewhere, Restoration } from "./restoration.ts";

const gitTimeoutMs = 5_000;

/** Leaves out what does not answer. @param here root of the same project; null: absent */
export async function inspectElsewhere(
  context: RemoteContext,
  { row, liveness }: Pick<DeadElsewhere, "row" | "liveness">,
  here: string | null,
): Promise<Restoration> {
  const newest = await fetchNewest(context, row);
  const unsaved = unsavedSince(row, newest?.content ?? null);
  const state = stateOf(row, newest);
  const session = toSession(row);
  const { inside, external } = mapFiles(state.files, { there: session.project, here });
  const files = [...compareFiles(inside), ...external];
  const head = here === null ? null : readHead(here);
  const [hasCommit, uncommitted] = await Promise.all([
    isHere(context, here, commitOf(row, newest)),
    filesOf(context, row, here),
  ]);
  return {
    session: { ...session, project: here },
    ...causeOf(row, state, unsaved, liveness),
    state,
    files,
    head,
    checkpoint: newest && toCheckpoint(newest),
    maxPrompts: context.runtime.config.brief.prompts,
    knownUntil: session.lastSeenAt,
    snapshot: null,
    elsewhere: {
      machine: row.machine,
      root: row.content.project,
      isCertain: liveness.isCertain,
      hasCommit,
      syncedUntil: localClock(row)(row.content.sealedAt),
      unsaved: unsaved.length,
      lost: lossText(row, newest, unsaved.length),
      uncommitted,
    },
    tasks: row.content.tasks ?? [],
  };
}

function commitOf({ content }: RemoteSession, newest: RemoteCheckpoint | null): string | null {
  return newest?.content.state.git?.commit ?? content.git?.commit ?? null;
}

/** Null if no checkpoint has reached the workspace, or it cannot be fetched now. */
async function fetchNewest({ mirror, runtime }: RemoteContext, row: RemoteSession): Promise<RemoteCheckpoint | null> {
  const fetched = await fetchCheckpoint(mirror, row);
  if (fetched.ok) return fetched.value;
  const fields = { session: row.session, code: fetched.error.code };
  runtime.log("warn", "no checkpoint of a session of another machine", fields);
  return null;
}

export function stateOf(row: RemoteSession, newest: RemoteCheckpoint | null): WorkState {
  // Without a checkpoint only the title says something of the goal.
  const base = newest?.content.state ?? { ...emptyState, goal: row.content.title };
  const { state } = foldWithinBudget(base, unsavedSince(row, newest?.content ?? null));
  return withLocalTimes(state, localClock(row));
}

/** Every `at`, and every name that ends in `At`, is a time; `state` is the chat's own data. */
function withLocalTimes({ state, statedAt, ...work }: WorkState, clock: (at: number) => number): WorkState {
  const toLocal = (name: string, value: unknown): unknown =>
    typeof value === "number" && (name === "at" || name.endsWith("At")) ? clock(value) : value;
  const times = Object.entries(statedAt).map(([name, at]) => [name, clock(at)]);
  return {
    ...(JSON.parse(JSON.stringify(work), toLocal) as Omit<WorkState, "state" | "statedAt">),
    state,
    statedAt: Object.fromEntries(times),
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

const noCheckpointText = "its checkpoints (none could be fetched): this is from its list entry";

function formatLostEvents(lost: number): string | null {
  return lost > 0 ? `${formatEvents(lost)} after the last checkpoint` : null;
}

function toCheckpoint({ at, content }: RemoteCheckpoint): Checkpoint {
  const { id, session, hash, journalSeq, rawBytes, redactions, summary } = content;
  // Only shown: a newer program may have more triggers.
  const trigger = content.trigger as Trigger;
  return { seq: 0, id, session: session, at, trigger, hash, journalSeq, rawBytes, redactions, summary };
}

function causeOf(
  { content }: RemoteSession,
  state: WorkState,
  unsaved: readonly JournalRow[],
  liveness: Liveness,
): Pick<Restoration, "cause" | "causeDetail"> {
  if (!liveness.isOver) return { cause: null, causeDetail: liveness.detail };
  const { death } = content;
  // The session's own machine has seen more of the death than it has sent.
  if (death) return { cause: death.cause, causeDetail: `${death.detail} ${liveness.detail}` };
  const last = unsaved.findLast(({ entry }) => ["failure", "turn_end", "prompt"].includes(entry.kind))?.entry;
  const { cause, detail } = inferCause({
    readings: content.readings,
    endedAt: content.lastSeenAt,
    lastFailure: last?.kind === "failure" ? { limit: last.limit ?? null } : null,
    detachReason: content.detachReason,
    isSameBoot: liveness.isAttested ? true : null,
    oomKillsBefore: null,
    oomKillsNow: null,
    hadRunningTool: state.runningTools.length > 0,
  });
  return { cause, causeDetail: `${detail} ${liveness.detail}` };
}

/** Counts only files that were requested and opened. */
async function filesOf(
  context: RemoteContext,
  row: RemoteSession,
  here: string | null,
): Promise<FilesElsewhere | null> {
  const { files = null } = row.content;
  const there = await fetchHeader(context.mirror, row);
  if (!there.ok) return files && { at: null, missingCommit: null, notThere: whyNone(files, there.error.message) };
  const { at, needs } = there.value;
  const [missing = null] = here === null ? [] : await missingHere(context, here, needs);
  const newer = files?.notSent && files.notSent.at > at ? files.notSent.reason : null;
  return { at: localClock(row)(at), missingCommit: missing, notThere: newer };
}

function whyNone({ sent, notSent }: NonNullable<SessionContent["files"]>, answer: string): string {
  return sent === null && notSent ? notSent.reason : answer;
}

/** Returns none if git gives no answer. */
async function missingHere({ runtime }: RemoteContext, folder: string, needs: readonly string[]): Promise<string[]> {
  try {
    return await findMissing(userGit(runtime.env, folder, AbortSignal.timeout(gitTimeoutMs)), needs);
  } catch (error) {
    if (error instanceof GitError) return [];
    throw error;
  }
}

/** Returns null if git gives no answer. */
async function isHere(
  { runtime }: RemoteContext,
  folder: string | null,
  commit: string | null,
): Promise<boolean | null> {
  if (folder === null || commit === null || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  const git = userGit(runtime.env, folder, AbortSignal.timeout(gitTimeoutMs));
  try {
    return (await run(git, ["cat-file", "-e", `${commit}^{commit}`], "", [0, 1, 128])).code === 0;
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

interface Roots {
  /** Root of the project there; null: it had none. */
  readonly there: string | null;
  /** Null if the project is not here. */
  readonly here: string | null;
}

/** Pure. Counts both separators, since the other machine may run Windows. */
export function mapPath(path: string, { there, here }: Roots): string | null {
  if (there === null || here === null) return null;
  const root = there.replace(/(?<![/\\])[/\\]+$/, "");
  const rest = path.slice(root.length);
  if (root === "" || !path.startsWith(root) || !/^[/\\]/.test(rest)) return null;
  const parts = rest.split(isWindows(root) ? /[/\\]+/ : /\/+/).filter((part) => part !== "");
  if (parts.length === 0 || parts.some((part) => part === "." || part === "..")) return null;
  return join(here, ...parts);
}

/** A backslash is a separator on Windows only. */
function isWindows(root: string): boolean {
  return /^[a-z]:|^\\\\/i.test(root);
}

const externalReason = "outside of its project there";

interface MappedFiles {
  readonly inside: readonly FileNote[];
  /** Paths of the other machine: this one has nothing to compare them with. */
  readonly external: readonly (FileNote & { readonly now: "unknown" })[];
}

export function mapFiles(files: readonly FileNote[], roots: Roots): MappedFiles {
  const mapped: { inside: FileNote[]; external: (FileNote & { now: "unknown" })[] } = { inside: [], external: [] };
  for (const file of files) {
    const path = mapPath(file.path, roots);
    if (path === null) mapped.external.push({ ...file, hash: null, skipped: externalReason, now: "unknown" });
    else mapped.inside.push({ ...file, path });
  }
  return mapped;
}
