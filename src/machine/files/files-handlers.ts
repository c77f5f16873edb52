import { existsSync } from "node:fs";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { toFileChange } from "../../snapshots/file-changes.ts";
import type { ReplacedFiles } from "../../snapshots/replace-files.ts";
import {
  compareSaved,
  diffSaved,
  replaceSaved,
  restoreFiles,
  withSaved,
  type Comparison,
  type ReadSnapshot,
  type SavedFiles,
} from "../../snapshots/restore-files.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import type { Saved } from "../../contract/machine/files.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { notUtf8 } from "../../platform/paths.ts";
import { formatAgo, pluralize } from "../../shared/format.ts";
import { askedWorkMs, displayPath } from "../../snapshots/git.ts";
import type { UndoneFile } from "../../snapshots/undo-history.ts";
import { type Reach, findById } from "../recovery/elsewhere/candidates.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import {
  findSnapshot,
  leftOutIn,
  newestSnapshot,
  sessionOfSnapshot,
  type StoredSnapshotRow,
} from "../sessions/session-content.ts";
import { shownNames } from "../sessions/session-identity.ts";
import { fetchFiles } from "../sharing/sealed-records.ts";
import { toLocalTime, type SessionElsewhere } from "../sharing/sessions-elsewhere.ts";
import { isUnanswered } from "../recovery/operations/recovery-handlers.ts";
import { findSessionOrCheckpoint, pathsIn, shortCheckpoint, shortSession } from "../recovery/resolve-id.ts";

export const fileHandlers: Pick<Handlers, "files.diff" | "files.restore"> = {
  "files.diff": (context, input) =>
    compare(context, input, async ({ facts }, snapshot, { compared, changes, notRestored }) => {
      const diff = await diffSaved(snapshot, facts.project, changes);
      return ok({ ...facts, notRestored, compared, changes: changes.map(toFileChange), diff });
    }),
  "files.restore": async (context, input) => {
    const { into, files } = input;
    if (into === undefined) return restoreIntoProject(context, input);
    if (files.length > 0) return fail("bad_input", "--into restores all files: leave the names out.");
    const found = await findSavedFiles(context, input);
    if (!found.ok) return found;
    const { facts, files: saved } = found.value;
    context.progress?.("Restoring the files ...");
    const stop = new AbortController();
    const forget = context.onInterrupt?.(() => stop.abort());
    const { signal } = stop;
    const written = withReason(await restoreFiles({ ...saved, into, timeoutMs: askedWorkMs, signal }));
    forget?.();
    if (stop.signal.aborted && !written.ok) return err(stoppedBefore);
    return written.ok ? ok({ ...facts, ...written.value, into, differing: null, backup: null }) : written;
  },
};

/** Ctrl-C stops it between two files, and what was done until then is said. */
async function restoreIntoProject(
  context: HandlerContext,
  input: Selection,
): Promise<Result<MachineOutput<"files.restore">>> {
  let isStopped = false;
  const forget = context.onInterrupt?.(() => (isStopped = true));
  const done = await compare(context, input, async ({ facts, short }, snapshot, { changes, notRestored }) => {
    const { project: top } = facts;
    const folder = `${top}-before-${short}`;
    let backup = folder;
    for (let at = 2; existsSync(backup); at += 1) backup = `${folder}-${at}`;
    const replaced = await replaceSaved(snapshot, { top, changes, backup, isStopped: () => isStopped });
    const count = replaced.written.length;
    if (count + replaced.notRestored.length < changes.length) return err(stopped(replaced, changes, top));
    const all = [...notRestored, ...replaced.notRestored];
    const written = replaced.written.map(({ path }) => displayPath(path));
    return ok({ ...facts, ...replaced, written, notRestored: all, into: null, differing: changes.length });
  });
  forget?.();
  // Ctrl-C ends git, too.
  return isStopped && !done.ok && done.error.code !== "interrupted" ? err(stoppedBefore) : done;
}

const stoppedBefore = { code: "interrupted", message: "it was stopped. Nothing was restored." } as const;

function stopped({ written, backup }: ReplacedFiles, { length }: readonly UndoneFile[], project: string) {
  if (written.length === 0) return stoppedBefore;
  const where = backup === null ? "" : ` What they replaced is in ${backup}.`;
  const message = `it was stopped: ${written.length} of ${pluralize(length, "file")} were restored in ${project}.${where} The same command restores the rest.`;
  return { code: "interrupted", message } as const;
}

type Selection = CheckedMachineInput<"files.diff">;

/** Compares the saved files with those of the project. */
async function compare<T>(
  context: HandlerContext,
  input: Selection,
  act: (saved: FoundFiles, snapshot: ReadSnapshot, compared: Comparison) => Promise<Result<T>>,
): Promise<Result<T>> {
  const found = await findSavedFiles(context, input);
  if (!found.ok) return found;
  const { facts, files } = found.value;
  const { project } = facts;
  if (!existsSync(project)) return fail("no_project", `${project} does not exist. --into names another folder.`);
  const chosen = pathsIn(project, input.folder, input.files);
  if (!chosen.ok) return chosen;
  context.progress?.("Comparing the files ...");
  const done = await withSaved({ ...files, timeoutMs: askedWorkMs }, async (snapshot) => {
    const compared = await compareSaved(snapshot, project, chosen.value);
    const [unknown] = compared.unknown;
    const message = `${unknown} is not among the saved files. Nothing was restored.`;
    return ok(unknown === undefined ? await act(found.value, snapshot, compared) : fail("not_found", message));
  });
  return done.ok ? done.value : withReason(done);
}

function withReason<T>(outcome: Result<T>): Result<T> {
  return outcome.ok ? outcome : fail(outcome.error.code, `${outcome.error.message}. Nothing was restored.`);
}

/** Saved files, of this machine or of another. */
interface FoundFiles {
  readonly facts: Omit<Saved, "notRestored">;
  /** Names the folder of the replaced files. */
  readonly short: string;
  readonly files: SavedFiles;
}

/** Files of this machine, else of another one. */
async function findSavedFiles(context: HandlerContext, { id, folder }: Selection): Promise<Result<FoundFiles>> {
  const runtime = await context.runtime();
  const found = id === undefined ? findNewest(runtime, folder) : findOwn(runtime, id);
  if (found.ok) return ok(sourceOf(runtime, found.value));
  if (id === undefined || found.error.code !== "not_found") return found;
  const reach = await context.others.read(runtime, context.progress, folder);
  const row = reach && findById(reach, id);
  return row ? receive(context, reach, row) : found;
}

type SavedRow = StoredSnapshotRow & { readonly repository: string; readonly commit: string };

function isSaved(row: StoredSnapshotRow | null): row is SavedRow {
  return row?.state === "done";
}

function findNewest(runtime: Runtime, folder: string): Result<SavedRow> {
  const root = projectRoot(folder);
  const row = root === null ? null : newestOf(runtime, { project: root });
  if (isSaved(row)) return ok(row);
  const what = notUtf8(folder) ?? "no files of this project are saved";
  const message = `${what}. \`shim sessions\` lists the sessions.`;
  return fail("not_found", message);
}

function findOwn(runtime: Runtime, id: string): Result<SavedRow> {
  const found = findSessionOrCheckpoint(runtime, id);
  if (!found.ok) return found;
  const { session, checkpoint } = found.value;
  const row = session
    ? newestOf(runtime, { session: session.id })
    : runtime.store.read((sql) => findSnapshot(sql, checkpoint.id), null);
  if (isSaved(row)) return ok(row);
  const message = session
    ? "no files were saved with this session."
    : `${missingText(runtime, row)}${otherText(runtime, checkpoint.session)}`;
  return fail("no_snapshot", message);
}

function newestOf(runtime: Runtime, where: Parameters<typeof newestSnapshot>[1]): StoredSnapshotRow | null {
  return runtime.store.read((sql) => newestSnapshot(sql, where), null);
}

function sourceOf(runtime: Runtime, { repository, commit, ...row }: SavedRow): FoundFiles {
  const { env, processes } = runtime;
  return {
    facts: {
      project: row.project,
      checkpoint: row.checkpointId,
      session: sessionOf(runtime, row.checkpointId),
      savedAt: row.at,
      leftOut: leftOutIn(row.detail),
      origin: null,
    },
    short: shortCheckpoint(runtime, row.checkpointId),
    files: { env, processes, repository, commit },
  };
}

function sessionOf(runtime: Runtime, checkpointId: string): Saved["session"] {
  return runtime.store.read(
    (sql) => {
      const id = sessionOfSnapshot(sql, checkpointId) ?? "";
      return { id, ...shownNames(sql, id) };
    },
    { id: "", shortId: "", title: null },
  );
}

function missingText({ now }: Runtime, snapshot: StoredSnapshotRow | null): string {
  if (!snapshot) return "no files were saved with this checkpoint: it has no project, or snapshots are switched off.";
  if (snapshot.state === "pending" || snapshot.state === "running")
    return `the files of this checkpoint (${formatAgo(now(), snapshot.at)}) are not saved yet. The host of this machine saves them within a minute of the checkpoint, or no more: try again after that.`;
  return `the files of this checkpoint were not saved: ${snapshot.reason ?? snapshot.state}. Files are never saved later, so they cannot be restored.`;
}

function otherText(runtime: Runtime, session: string): string {
  const other = newestOf(runtime, { session });
  return other
    ? ` The newest files of the session: \`shim restore ${shortCheckpoint(runtime, other.checkpointId)}\`.`
    : "";
}

async function receive({ progress }: HandlerContext, reach: Reach, row: SessionElsewhere): Promise<Result<FoundFiles>> {
  const { runtime, here } = reach;
  const { id: session, machine } = row;
  if (here === null || here.project !== row.projectName) {
    const there = `${row.project ?? "no project"} on ${machine}`;
    const message = `this folder is not the project of ${session} (${there}): run this in that project's folder on this machine.`;
    return fail("project_elsewhere", message);
  }
  progress?.("Fetching the files from the workspace ...");
  const files = await fetchFiles(reach, row);
  if (!files.ok) {
    const message = `${files.error.message}. Nothing was restored.`;
    return fail(isUnanswered(files.error) ? "edge_unreachable" : "no_snapshot", message);
  }
  const { header, bundle } = files.value;
  const { env, processes, paths } = runtime;
  const { commit, needs, checkpoint, leftOut } = header;
  const short = shortSession(runtime, session);
  const named = { id: session, shortId: short, title: row.title };
  const savedAt = toLocalTime(row, header.at);
  return ok({
    facts: { project: here.root, checkpoint, leftOut, session: named, savedAt, origin: { machine } },
    short,
    files: { env, processes, snapshots: paths.snapshots, project: here.root, commit, needs, bundle },
  });
}
