import { existsSync, realpathSync } from "node:fs";
import type { Fork } from "../../contract/machine/forks.ts";
import type { CheckedMachineInput } from "../../contract/machine/operations.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { age, oneLine } from "../../shared/format.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { askedWorkMs } from "../../snapshots/git.ts";
import { restoreFiles } from "../../snapshots/restore-files.ts";
import { restoreWorktree } from "../../snapshots/worktrees.ts";
import {
  filesAt,
  listMoments,
  readFilesOfSession,
  lackOf,
  stateOfMoment,
  toForkFiles,
  toForkMoment,
  type FilesOfSession,
  type Moment,
  type SavedFiles,
} from "./moments.ts";
import { leftOutIn } from "../sessions/session-content.ts";
import type { PastState } from "../sessions/checkpoints/capture.ts";
import { brief } from "../recovery/brief/brief.ts";
import { clientToStart, planFork } from "../recovery/relaunch.ts";
import { movePath, restoreAt } from "../recovery/incomplete/restoration.ts";
import * as sessions from "../sessions/sessions.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import { inNewWorktree, type WrittenFiles } from "./new-worktree.ts";
import { catchUpWith } from "../recovery/operations/recovery-handlers.ts";
import { findHere, namesOf, projectOfFolder, shortCheckpoint, shortSession } from "../recovery/resolve-id.ts";

export const forkHandlers: Pick<Handlers, "forks.list" | "forks.create"> = {
  async "forks.list"(context, input) {
    const found = await findForked(context, input);
    if (!found.ok) return found;
    const { runtime, session, files } = found.value;
    return ok({ ...namesOf(runtime, session), moments: files.moments.map((one) => toForkMoment(files, one)) });
  },
  async "forks.create"(context, input) {
    const into = clientToStart(input.client);
    if (!into.ok) return into;
    const found = await findForked(context, input);
    if (!found.ok) return found;
    const { runtime, session, files } = found.value;
    const moment = pickMoment(files.moments, input.at);
    if (!moment.ok) return moment;
    const past = runtime.store.read((sql) => stateOfMoment(sql, session.id, files.moments, moment.value), null);
    if (past === null) {
      const deleted = `the events until prompt ${moment.value.number} are deleted by now`;
      const { copiedFrom } = moment.value;
      return fail("no_snapshot", `${(copiedFrom !== null && lackOf(moment.value)) || deleted}.`);
    }
    const saved = filesAt(files, moment.value);
    if (saved === null) return noFiles(files, moment.value);
    context.progress?.("Writing the files ...");
    const written = await writeFork(runtime, { session, saved, into: input.into });
    if (!written.ok) return err({ ...written.error, message: `${written.error.message}${hintOf(written.error.code)}` });
    return ok(
      forkOf(runtime, { session, files, past, moment: moment.value, saved, written: written.value }, into.value),
    );
  },
};

interface Forked {
  readonly runtime: Runtime;
  readonly session: sessions.Session;
  readonly files: FilesOfSession;
}

/** The session with the newest of its events. */
async function findForked(
  context: HandlerContext,
  { session: given, folder }: Pick<CheckedMachineInput<"forks.list">, "session" | "folder">,
): Promise<Result<Forked>> {
  const runtime = await context.runtime();
  const found = given === undefined ? findNewest(runtime, folder) : await findHere(context, given);
  if (!found.ok) return found;
  const { id } = found.value;
  await catchUpWith(context, { session: id });
  const none: FilesOfSession = { moments: [], saved: [], calls: [] };
  const files = runtime.store.read((sql) => readFilesOfSession(sql, id), none);
  if (files.moments.length > 0) return ok({ runtime, session: found.value, files });
  return fail("not_found", `no prompt of session ${id} is stored.`);
}

function findNewest(runtime: Runtime, folder: string): Result<sessions.Session> {
  const project = projectOfFolder(runtime, folder);
  const newest = runtime.store.read((sql) => {
    for (const session of sessions.each(sql, { project })) if (listMoments(sql, session.id).length > 0) return session;
    return null;
  }, null);
  if (newest) return ok(newest);
  return fail("not_found", `no session of ${project} has a prompt. \`shim sessions\` lists all.`);
}

/** By its number, a beginning of its words, or `last`. */
export function pickMoment(moments: readonly Moment[], at: string): Result<Moment> {
  const wanted = normalized(at);
  const last = moments.at(-1);
  if (wanted === "last" && last) return ok(last);
  const isNumber = /^\d+$/.test(wanted);
  const matches = moments.filter(({ number, text }) =>
    isNumber ? number === Number(wanted) : wanted !== "" && normalized(text).startsWith(wanted),
  );
  const [first, second] = matches;
  if (first && !second) return ok(first);
  if (!first) {
    const what = isNumber ? `there is no prompt ${wanted}` : `no prompt begins with "${oneLine(at, 80)}"`;
    return fail(
      "not_found",
      `${what}: the newest is ${last?.number ?? 0}. \`shim fork --list\` shows all; \`--session\` names a session.`,
    );
  }
  const lines = matches.slice(0, 8).map(({ number, text }) => `\n  ${number}  ${oneLine(text, 80)}`);
  const message = `several prompts begin with "${oneLine(at, 80)}"; give the number:${lines.join("")}`;
  return err({ code: "ambiguous", message, candidates: matches.map(({ number }) => String(number)) });
}

function normalized(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim().toLowerCase();
}

/** Names the nearest prompts whose files are saved. */
function noFiles(files: FilesOfSession, { number }: Moment): Result<never> {
  const withFiles = files.moments.filter((one) => filesAt(files, one) !== null).map((one) => one.number);
  const nearest = [withFiles.findLast((one) => one < number), withFiles.find((one) => one > number)];
  const numbers = nearest.filter((one) => one !== undefined);
  const others =
    numbers.length === 0
      ? "Of no other prompt, either: git is not installed, the project is too large, or snapshots are switched off."
      : `The nearest prompts with saved files: ${numbers.join(", ")}.`;
  const why = `no saved files are certain to be those of prompt ${number}`;
  return fail("no_snapshot", `${why}: calls that may have changed files lie in between. ${others}`);
}

interface ForkTarget {
  readonly session: sessions.Session;
  readonly saved: SavedFiles;
  readonly into: string | undefined;
}

/** A worktree beside those of tasks, or a copy in the folder that was named. */
async function writeFork(runtime: Runtime, { session, saved, into }: ForkTarget): Promise<Result<WrittenFiles>> {
  const { env, processes } = runtime;
  const { repository, commit, project, head } = saved;
  const input = { env, processes, repository, commit, timeoutMs: askedWorkMs };
  if (into !== undefined) {
    const written = await restoreFiles({ ...input, into });
    if (!written.ok) return written;
    return ok({ folder: realpathSync(into), branch: null, notRestored: written.value.notRestored });
  }
  const name = `fork-${shortSession(runtime, session.id)}`;
  return inNewWorktree(runtime, { name, of: null, project, head }, (folder, branch, marked) =>
    restoreWorktree({ ...input, env: marked, project, head, folder, branch }),
  );
}

function hintOf(code: string): string {
  const isOfWorktree = code === "not_a_work_tree" || code === "commit_missing";
  return isOfWorktree
    ? ": --into <folder> makes a copy of the files instead. Nothing was changed."
    : ". Nothing was changed.";
}

interface MadeFork {
  readonly session: sessions.Session;
  readonly files: FilesOfSession;
  readonly past: PastState;
  readonly moment: Moment;
  readonly saved: SavedFiles;
  readonly written: WrittenFiles;
}

function forkOf(
  runtime: Runtime,
  { session, files, past, moment, saved, written }: MadeFork,
  into: Parameters<typeof planFork>[1]["into"],
): Fork {
  const { moments } = files;
  const { folder, branch, notRestored } = written;
  const { state, checkpoint } = past;
  const prompts = moments.at(-1)?.number ?? moment.number;
  const { checkpointId, repository, commit } = saved;
  const snapshot = { checkpointId, state: "done", reason: null, repository, commit };
  const notes = [filesNote(runtime, { moment, saved, written })];
  const fork = { prompt: moment.number, prompts, project: session.project, notes };
  const from = restoreAt(runtime, session, { state, checkpoint, snapshot, at: moment.at, folder, fork });
  const text = brief(from, runtime.now(), "fork");
  const cwd = session.cwd === null ? folder : movePath(session.cwd, session.project, folder);
  return {
    ...namesOf(runtime, session),
    prompt: { ...toForkMoment(files, moment), files: toForkFiles(saved, moment) },
    prompts,
    branch,
    folder,
    base: branch === null ? null : saved.head,
    leftOut: leftOutIn(parseObject(saved.detail)),
    notRestored,
    brief: text,
    start: planFork(session, { brief: text, into, cwd: existsSync(cwd) ? cwd : folder }, runtime),
  };
}

function filesNote(
  runtime: Runtime,
  { moment, saved, written }: Pick<MadeFork, "moment" | "saved" | "written">,
): string {
  const { checkpointId, at, journalSeq } = saved;
  const when =
    journalSeq >= (moment.seq ?? 0)
      ? `${age(at - moment.at)} after that prompt, before a call that may change files`
      : `${age(moment.at - at)} before that prompt, with no call since that may change files`;
  const where = written.branch === null ? "a copy without git" : `branch ${written.branch}, nothing of it committed`;
  const short = shortCheckpoint(runtime, checkpointId);
  return `files of this folder: as saved ${when} (checkpoint ${short}); ${where}; files that git ignores are not in it`;
}
