import { isWindowsPath } from "../../../platform/paths.ts";
import { notedEnd } from "../../../contract/ending.ts";
import { join } from "node:path";
import { isTransient } from "../../../contract/errors.ts";
import type { FileNote, WorkState } from "../../../contract/work-state.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { compareFiles } from "../../../snapshots/file-state.ts";
import { readHead } from "../../../snapshots/git-head.ts";
import { GitError, userGit } from "../../../snapshots/git.ts";
import { findMissing } from "../../../snapshots/restore-files.ts";
import { toPredecessor } from "../../sessions/checkpoints/capture.ts";
import { decide } from "../../sessions/life/claim.ts";
import { failureOf, standingOf } from "../../sessions/life/questions.ts";
import * as journal from "../../sessions/journal.ts";
import * as news from "../../sessions/news.ts";
import { emptyState } from "../../sessions/work-state.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import { inferCause } from "../../sessions/signals/crashes.ts";
import { formatEvents } from "../brief/brief-text.ts";
import type { Liveness } from "../incomplete/detect.ts";
import type { FilesElsewhere, Restoration } from "../incomplete/restoration.ts";
import { acquireLease, releaseLease, incompleteRefusal, leaseRefusal } from "../incomplete/session-lease.ts";
import type { SeenElsewhere, Reach } from "./candidates.ts";

interface Roots {
  /** Root of the project there; null: it had none. */
  readonly there: string | null;
  /** Root of the project here; null: it is not here. */
  readonly here: string | null;
}

/** Pure. Counts both separators, since the other machine may run Windows. */
export function mapPath(path: string, { there, here }: Roots): string | null {
  if (there === null || here === null) return null;
  const root = there.replace(/(?<![/\\])[/\\]+$/, "");
  const rest = path.slice(root.length);
  if (root === "" || !path.startsWith(root) || !/^[/\\]/.test(rest)) return null;
  // A backslash is a separator on Windows only.
  const parts = rest.split(isWindowsPath(there) ? /[/\\]+/ : /\/+/).filter((part) => part !== "");
  if (parts.length === 0 || parts.some((part) => part === "." || part === "..")) return null;
  return join(here, ...parts);
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

const gitTimeoutMs = 5_000;

/** Its files are compared where its project is here. Leaves out what does not answer. */
export async function restoreElsewhere(reach: Reach, { row, liveness }: SeenElsewhere): Promise<Restoration> {
  const { store, config } = reach.runtime;
  const here = reach.here?.project === row.projectName ? reach.here.root : null;
  const state = store.read((sql) => elsewhere.findState(sql, row), null) ?? emptyState;
  const { inside, external } = mapFiles(state.files, { there: row.project, here });
  const [hasCommit, uncommitted] = await Promise.all([
    isCommitHere(reach, here, state.git?.commit ?? null),
    filesOf(reach, row, here),
  ]);
  const { checkpoint, unsaved, sealedAt, tasks } = row.sealed;
  return {
    session: { ...elsewhere.toSession(row), project: here },
    ...causeOf(row, state, liveness),
    state,
    files: [...compareFiles(inside), ...external],
    head: here === null ? null : readHead(here),
    checkpoint: checkpoint && { ...checkpoint, seq: 0, session: row.id, journalSeq: 0 },
    maxPrompts: config.brief.prompts,
    knownUntil: row.lastSeenAt,
    snapshot: null,
    elsewhere: {
      machine: row.machine,
      root: row.project,
      isCertain: liveness?.isCertain ?? true,
      hasCommit,
      syncedUntil: elsewhere.toLocalTime(row, sealedAt),
      unsaved: unsaved.came,
      lost: lossText(row),
      uncommitted,
    },
    tasks: tasks ?? [],
  };
}

function lossText({ sealed: { unsaved, missingCheckpoint } }: SessionElsewhere): string | null {
  if (missingCheckpoint !== undefined)
    return `its newest checkpoint (${missingCheckpoint}): this is from its list entry`;
  const lost = unsaved.count - unsaved.came;
  return lost > 0 ? `${formatEvents(lost)} after the last checkpoint` : null;
}

function causeOf(
  { readings, lastSeenAt, ending }: SessionElsewhere,
  state: WorkState,
  liveness: Liveness | null,
): Pick<Restoration, "cause" | "causeDetail"> {
  const { cause: known = null, detail: why = null } = notedEnd(ending) ?? {};
  if (liveness === null) return { cause: known, causeDetail: why ?? "" };
  if (!liveness.isOver) return { cause: null, causeDetail: liveness.detail };
  // The session's own machine has seen more of the death than it has sent.
  if (known !== null) return { cause: known, causeDetail: `${why ?? ""} ${liveness.detail}` };
  const { cause, detail } = inferCause({
    readings,
    endedAt: lastSeenAt,
    lastFailure: failureOf(state.life),
    reason: ending?.reason ?? null,
    isSameBoot: liveness.isAttested ? true : null,
    oomKillsBefore: null,
    oomKillsNow: null,
    hadRunningTool: standingOf(state.life) === "running",
  });
  return { cause, causeDetail: `${detail} ${liveness.detail}` };
}

/** Counts only files that were requested and opened. */
async function filesOf(reach: Reach, row: SessionElsewhere, here: string | null): Promise<FilesElsewhere | null> {
  const { files = null } = row.sealed;
  // A fifth of the schemas that a host has: many have no other machine.
  const there = await (await import("../../sharing/sealed-records.ts")).fetchHeader(reach, row);
  if (!there.ok) return files && { at: null, missingCommit: null, notThere: whyNone(files, there.error.message) };
  const { at, needs } = there.value;
  const [missing = null] = (await missingHere(reach, here, needs)) ?? [];
  const newer = files?.notSent && files.notSent.at > at ? files.notSent.reason : null;
  return { at: elsewhere.toLocalTime(row, at), missingCommit: missing, notThere: newer };
}

function whyNone({ sent, notSent }: NonNullable<SessionElsewhere["sealed"]["files"]>, answer: string): string {
  return sent === null && notSent ? notSent.reason : answer;
}

async function isCommitHere(reach: Reach, here: string | null, commit: string | null): Promise<boolean | null> {
  if (commit === null || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  const missing = await missingHere(reach, here, [commit]);
  return missing && missing.length === 0;
}

/** Returns null if the project is not here, or git gives no answer. */
async function missingHere(
  { runtime }: Reach,
  folder: string | null,
  commits: readonly string[],
): Promise<readonly string[] | null> {
  if (folder === null) return null;
  try {
    return await findMissing(userGit(runtime.env, folder, AbortSignal.timeout(gitTimeoutMs)), commits);
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

/**
 * Makes the session this chat's for all machines; a repetition completes one that was cut off.
 *
 * @returns the fencing token of the session's lease
 */
export async function takeOver(reach: Reach, row: SessionElsewhere): Promise<Result<number>> {
  const { link, call, runtime } = reach;
  const { device, id: session, machine } = row;
  const { self } = link;
  if (!self) {
    const message = "this chat is not registered in the workspace yet; call again in a moment";
    return err({ code: "not_registered", message });
  }
  const lease = await acquireLease(link, session);
  if (!lease.ok) {
    const { code, message, holder } = lease.error;
    if (code === "lease_held") return err(leaseRefusal(session, machine, holder));
    const why = `${session} was not taken, since the coordinator of the workspace did not answer (${message}). Nothing has changed; call again.`;
    return err({ code, message: why });
  }
  const taken = await call("sync.take", { self, device, session, token: lease.value });
  if (!taken.ok) {
    if (!isTransient(taken.error)) await releaseLease(link, session, lease.value);
    return err(incompleteRefusal(session, machine, taken.error));
  }
  const at = runtime.now();
  const successor = self.chat;
  runtime.store.write((sql) => {
    const state = elsewhere.findState(sql, row) ?? emptyState;
    elsewhere.setTakeover(sql, row, { chat: successor, machine: reach.machine });
    decide(sql, runtime, { session, action: "taken", by: successor, isGranted: true });
    const inheritedWork = toPredecessor({ session, state });
    for (const { key, at: writtenAt, by, text } of row.sealed.words ?? [])
      news.add(sql, writtenAt, successor, key, { kind: "user_message", by, text });
    journal.append(sql, successor, at, `continues:${session}`, { kind: "continues", ...inheritedWork });
  });
  return ok(lease.value);
}

/** For all machines: the session has no successor any more. */
export async function giveBack({ runtime, call }: Reach, row: SessionElsewhere): Promise<Result<boolean>> {
  const { device, id: session } = row;
  const given = await call("sync.give-back", { device, session });
  if (!given.ok && given.error.code !== "unknown_key") return given;
  runtime.store.write((sql) => {
    elsewhere.setTakeover(sql, row, null);
    decide(sql, runtime, { session, action: "undone" });
  });
  return ok(true);
}
