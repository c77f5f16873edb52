import { GitError, gitOutside, run } from "../snapshots/git.ts";
import { missingIn } from "../snapshots/restore-received.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import { fetchHeader } from "../sync/fetch-files.ts";
import type { SessionContent } from "../sync/contents.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { askMs, type Found, type Reach } from "./remote-find.ts";
import { remoteRestoration } from "./remote-restoration.ts";
import { clockOf } from "./remote-session.ts";
import type { FilesElsewhere, Restoration } from "./restoration.ts";

/** Time limit of a git command. */
const gitMs = 5_000;
/** Tasks whose history is read, so that a brief does not wait for hundreds of answers. */
const maxHistories = 10;

/**
 * Gathers what is known of a session of another machine: its newest checkpoint, its commit, its tasks. A source that does not answer is left
 * out, and the brief says so.
 *
 * @param here root of the same project on this machine; null: it is not here
 */
export async function gatherRestoration(reach: Reach, { row, fate }: Found, here: string | null): Promise<Restoration> {
  const fetched = await fetchCheckpoint(reach.mirror, row);
  if (!fetched.ok)
    reach.runtime.log("warn", "no checkpoint of a session of another machine", {
      session: row.session,
      code: fetched.error.code,
    });
  const newest = fetched.ok ? fetched.value : null;
  const commit = newest?.content.state.git?.commit ?? row.content.git?.commit ?? null;
  const [hasCommit, uncommitted, tasks] = await Promise.all([
    isHere(reach, here, commit),
    filesOf(reach, row, here),
    tasksOf(reach, row.session),
  ]);
  return remoteRestoration({ row, fate, newest, here, hasCommit, uncommitted, tasks });
}

/** [RE28] Only what was asked for and opened counts as there. */
async function filesOf(reach: Reach, row: RemoteSession, here: string | null): Promise<FilesElsewhere | null> {
  const { files = null } = row.content;
  const there = await fetchHeader(reach.mirror, row);
  if (!there.ok) return files && { at: null, missingCommit: null, notThere: whyNone(files, there.error.message) };
  const { at, needs } = there.value;
  const [missing = null] = here === null ? [] : await missingHere(reach, here, needs);
  const newer = files?.notSent && files.notSent.at > at ? files.notSent.reason : null;
  return { at: clockOf(row)(at), missingCommit: missing, notThere: newer };
}

/** What was never sent cannot be found. */
function whyNone({ sent, notSent }: NonNullable<SessionContent["files"]>, answer: string): string {
  return sent === null && notSent ? notSent.reason : answer;
}

/** None where git gives no answer. */
async function missingHere({ runtime }: Reach, folder: string, needs: readonly string[]): Promise<string[]> {
  try {
    return await missingIn(gitOutside(runtime.env, folder, AbortSignal.timeout(gitMs)), needs);
  } catch (error) {
    if (error instanceof GitError) return [];
    throw error;
  }
}

/** Null: git gave no answer. */
async function isHere({ runtime }: Reach, folder: string | null, commit: string | null): Promise<boolean | null> {
  if (folder === null || commit === null || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  const git = gitOutside(runtime.env, folder, AbortSignal.timeout(gitMs));
  try {
    return (await run(git, ["cat-file", "-e", `${commit}^{commit}`], "", [0, 1, 128])).code === 0;
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

/** The tasks that the chat still has, and open ones that it had, among the first tasks of the queue. */
async function tasksOf(reach: Reach, chat: string): Promise<string[]> {
  const [own, queued, running] = await Promise.all([
    listed(reach, { chat }),
    listed(reach, { state: "queued" }),
    listed(reach, { state: "running" }),
  ]);
  const others = [...queued, ...running].filter((task) => task.chat !== chat && task.progress !== null);
  const had = await Promise.all(others.slice(0, maxHistories).map((task) => ifHeldBy(reach, task, chat)));
  return [
    ...own.map((task) => `${named(task)}: still assigned to it; it is queued again once its chat counts as gone`),
    ...had.flatMap((task) => (task === null ? [] : [`${named(task)}: ${stateOf(task)}`])),
  ];
}

async function listed(
  { link }: Reach,
  filter: { readonly chat: string } | { readonly state: "queued" | "running" },
): Promise<readonly TaskLine[]> {
  const answer = await link.call("tasks.list", { ...filter, limit: 50 }, askMs);
  return answer.ok ? answer.value.tasks : [];
}

async function ifHeldBy({ link }: Reach, task: TaskLine, chat: string): Promise<TaskLine | null> {
  const answer = await link.call("tasks.history", { task: task.task }, askMs);
  return answer.ok && answer.value.attempts.some((one) => one.chat === chat) ? task : null;
}

function named({ task, type }: TaskLine): string {
  return `task ${task} (${type})`;
}

function stateOf({ state, chat }: TaskLine): string {
  return state === "queued" ? "queued again, for any chat" : `now with chat ${chat ?? "nobody"}`;
}
