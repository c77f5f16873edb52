import { GitError, gitOutside, run } from "../snapshots/git.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { askMs, type Found, type Reach } from "./remote-find.ts";
import { remoteRestoration } from "./remote-restoration.ts";
import type { Restoration } from "./restoration.ts";

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
  const [hasCommit, tasks] = await Promise.all([isHere(reach, here, commit), tasksOf(reach, row.session)]);
  return remoteRestoration({ row, fate, newest, here, hasCommit, tasks });
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
