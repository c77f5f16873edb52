import { GitError, userGit, run } from "../../snapshots/git.ts";
import { findMissing } from "../../snapshots/restore-received.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import { fetchHeader } from "../sync/fetch-files.ts";
import type { SessionContent } from "../sync/content-schema.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { callTimeoutMs, type DeadRemoteSession, type RemoteContext } from "./remote-candidates.ts";
import { remoteRestoration } from "./remote-restoration.ts";
import { localClock } from "./remote-session.ts";
import type { FilesElsewhere, Restoration } from "./restoration.ts";

const gitTimeoutMs = 5_000;
/** A brief must not wait for hundreds of answers. */
const maxHistories = 10;

/** Leaves out a source that does not answer; the brief says so. */
export async function gatherRestoration(
  context: RemoteContext,
  { row, liveness }: DeadRemoteSession,
  here: string | null,
): Promise<Restoration> {
  const fetched = await fetchCheckpoint(context.mirror, row);
  if (!fetched.ok)
    context.runtime.log("warn", "no checkpoint of a session of another machine", {
      session: row.session,
      code: fetched.error.code,
    });
  const newest = fetched.ok ? fetched.value : null;
  const commit = newest?.content.state.git?.commit ?? row.content.git?.commit ?? null;
  const [hasCommit, uncommitted, tasks] = await Promise.all([
    isHere(context, here, commit),
    filesOf(context, row, here),
    tasksOf(context, row.session),
  ]);
  return remoteRestoration({ row, liveness, newest, here, hasCommit, uncommitted, tasks });
}

/** [RE28] Counts only files that were requested and opened. */
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

/** Searches only the first tasks of the queue. */
async function tasksOf(context: RemoteContext, chat: string): Promise<string[]> {
  const [own, queued, running] = await Promise.all([
    listTasks(context, { chat }),
    listTasks(context, { state: "queued" }),
    listTasks(context, { state: "running" }),
  ]);
  const others = [...queued, ...running].filter((task) => task.chat !== chat && task.progress !== null);
  const heldTasks = await Promise.all(others.slice(0, maxHistories).map((task) => ifHeldBy(context, task, chat)));
  return [
    ...own.map((task) => `${taskLabel(task)}: still assigned to it; it is queued again once its chat counts as gone`),
    ...heldTasks.flatMap((task) => (task === null ? [] : [`${taskLabel(task)}: ${formatState(task)}`])),
  ];
}

async function listTasks(
  { link }: RemoteContext,
  filter: { readonly chat: string } | { readonly state: "queued" | "running" },
): Promise<readonly TaskLine[]> {
  const answer = await link.call("tasks.list", { ...filter, limit: 50 }, callTimeoutMs);
  return answer.ok ? answer.value.tasks : [];
}

async function ifHeldBy({ link }: RemoteContext, task: TaskLine, chat: string): Promise<TaskLine | null> {
  const answer = await link.call("tasks.history", { task: task.task }, callTimeoutMs);
  return answer.ok && answer.value.attempts.some((one) => one.chat === chat) ? task : null;
}

function taskLabel({ task, type }: TaskLine): string {
  return `task ${task} (${type})`;
}

function formatState({ state, chat }: TaskLine): string {
  return state === "queued" ? "queued again, for any chat" : `now with chat ${chat ?? "nobody"}`;
}
