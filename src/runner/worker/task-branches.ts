import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { OutputOf } from "../../contract/operations.ts";
import { WorkResult } from "../../contract/tasks.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { firstOf, oneLine, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { readDiff, type CommitDiff, mergeWork, type Author } from "../../snapshots/commit-work.ts";
import { GitError, run, text, type Git } from "../../snapshots/git.ts";
import {
  currentBranch,
  hasRemote,
  resolveCommit,
  openRepository,
  type UserRepository,
} from "../../snapshots/user-repository.ts";
import { TaskFolderError, type InputWork } from "./executor.ts";
import { describeCommit, fetchMissing, readInputWork, type GetTask } from "./task-inputs.ts";

type Task = OutputOf<"tasks.get">;

/** An error says why the work of a task could not be shown or merged; nothing was changed. */
type Answer<T> = Result<T>;

export interface Checkout {
  readonly env: NodeJS.ProcessEnv;
  /** In a work tree of the repository. */
  readonly folder: string;
  /** Remote that missing commits are fetched from. */
  readonly remote: string | undefined;
}

interface TaskDiff extends CommitDiff {
  readonly task: number;
  readonly branch: string;
  readonly base: string;
  readonly commit: string;
}

/** The task's own changes, without the results that it began with. */
export function diffTask(checkout: Checkout, found: Task): Promise<Answer<TaskDiff>> {
  return withRepository(checkout, async (repository) => {
    const missing = whyNoBranch(found);
    if (missing !== null) return fail("no_branch", `task ${found.task} has no branch: ${missing}.`);
    const { branch, commit, base, machine = null } = WorkResult.parse(found.result);
    const work = { task: found.task, branch: branch ?? "", commit, machine };
    const unavailable = await fetchCommits(repository, [work], checkout.remote);
    if (unavailable) return unavailable;
    const { git } = repository;
    const start = base ?? (await text(git, ["merge-base", "HEAD", commit]));
    const diff = await readDiff(git, start, commit);
    return ok({ task: found.task, branch: work.branch, base: start, commit, ...diff });
  });
}

/** @returns why a task has left no branch; null: it has one */
function whyNoBranch({ task, state, reason, detail, dependsOn, joinRule, result }: Task): string | null {
  const why = detail === null ? "" : `: ${detail}`;
  if (state === "dead") return `it is dead (${reason ?? "no reason"})${why}`;
  if (state === "cancelled") return `it was cancelled${why}`;
  if (state !== "done") return `it is ${state}${state === "blocked" ? `, and waits for ${dependsOn.join(", ")}` : ""}`;
  if (joinRule !== null)
    return `the coordinator joined the results of ${dependsOn.join(", ")} (${joinRule}), which merges no branches; shim task merge ${task} merges theirs`;
  const { data } = WorkResult.safeParse(result);
  if (!data) return "it was not done in a worktree of a repository";
  return data.branch === null ? "nothing was changed" : null;
}

/** The work of a task, or of the parts that the coordinator joined. */
async function findWork(get: GetTask, found: Task): Promise<Answer<readonly InputWork[]>> {
  const isJoined = found.state === "done" && found.joinRule !== null;
  const missing = isJoined ? null : whyNoBranch(found);
  if (missing !== null) return fail("no_branch", `task ${found.task} has nothing to merge: ${missing}.`);
  try {
    const works = await readInputWork(get, [{ task: found.task, state: "done", result: null, isLeftOut: true }]);
    return works.length > 0 ? ok(works) : fail("no_branch", `no part of task ${found.task} has left a branch.`);
  } catch (error) {
    if (!(error instanceof TaskFolderError)) throw error;
    return fail("no_result", `${error.message}.`);
  }
}

export interface MergedTask {
  readonly task: number;
  readonly tasks: readonly number[];
  readonly works: readonly InputWork[];
  readonly into: string;
  readonly before: string;
  readonly commit: string;
}

/** Merges a task, or the parts of a job, into the current branch, all or none. */
export async function mergeTask(
  checkout: Checkout,
  get: GetTask,
  found: Task,
  now: number,
): Promise<Answer<MergedTask>> {
  const works = await findWork(get, found);
  return works.ok ? mergeWorks(checkout, found.task, works.value, now) : works;
}

/** Merges commits into the current branch, all or none. */
function mergeWorks(
  checkout: Checkout,
  task: number,
  works: readonly InputWork[],
  now: number,
): Promise<Answer<MergedTask>> {
  return withRepository(checkout, async (opened) => {
    const { git, repository } = opened;
    const branch = await cleanBranch(opened);
    if (!branch.ok) return branch;
    const { name: into, commit: before } = branch.value;
    const unavailable = await fetchCommits(opened, works, checkout.remote);
    if (unavailable) return unavailable;
    const author = (await readIdentity(git)) ?? undefined;
    const deps = { env: checkout.env, repository, now, ...omitUndefined({ author }) };
    const { commit, conflicts } = await mergeWork(deps, before, works, false);
    const [conflict] = conflicts;
    if (conflict) {
      const { work, files } = conflict;
      return fail(
        "merge_conflict",
        `${work.branch} conflicts in ${pluralize(files.length, "file")} (${files.join(", ")}); nothing was changed. To resolve it by hand on ${into}: git merge ${work.commit}`,
      );
    }
    const { code, stderr } = await run(git, ["merge", ...fastForward, commit], "", [0, 1, 128]);
    if (code !== 0) return fail("git_refused", `nothing was changed: ${oneLine(stderr)}`);
    return ok({ task, tasks: works.map((one) => one.task), works, into, before, commit });
  });
}

async function withRepository<T>(
  { env, folder }: Checkout,
  body: (found: UserRepository) => Promise<Answer<T>>,
): Promise<Answer<T>> {
  try {
    return await body(await openRepository(env, folder));
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return fail("no_git", `${error.message}; the work of tasks is in git branches.`);
    const isNowhere = error.message.includes("not a git repository");
    const advice = isNowhere ? " Run the command in the repository that the task's worker used." : "";
    return fail("git_failed", `${error.message}.${advice}`);
  }
}

/** @returns why a commit is not in the repository afterwards; null: all are there */
async function fetchCommits(
  { git, top }: UserRepository,
  works: readonly InputWork[],
  remote: string | undefined,
): Promise<ReturnType<typeof fail> | null> {
  if (remote !== undefined && !(await hasRemote(git, remote)))
    return fail("bad_input", `${top} has no remote ${remote}; \`git remote\` lists them.`);
  const [missing] = await fetchMissing(git, remote ?? null, works);
  if (!missing) return null;
  const { task, branch, reason } = missing;
  const why = reason === null ? "; --remote <name> fetches it where its worker has pushed it" : `: ${reason}`;
  return fail("no_commit", `${describeCommit(missing)} (task ${task}, branch ${branch}) is not in ${top}${why}.`);
}

const operationMarkers = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"];
const maxShown = 10;

/** Refuses a dirty work tree and a half-done operation. */
async function cleanBranch({ git, top }: UserRepository): Promise<Answer<{ name: string; commit: string }>> {
  const gitDir = resolve(top, await text(git, ["rev-parse", "--absolute-git-dir"]));
  const inProgress = operationMarkers.find((name) => existsSync(join(gitDir, name)));
  if (inProgress !== undefined)
    return fail("not_clean", `${top} has an operation in progress (${inProgress}). Finish it first.`);
  const name = await currentBranch(git);
  if (name === null) return fail("no_branch", `${top} is on no branch. Check one out first: git switch <branch>.`);
  const { stdout } = await run(git, ["status", "--porcelain", "--untracked-files=no"]);
  const changed = stdout.toString("utf8").split("\n").filter(Boolean);
  if (changed.length === 0) return ok({ name, commit: await resolveCommit(git, "HEAD") });
  const paths = changed.map((line) => line.slice(3));
  return fail(
    "not_clean",
    `${top} has changes that are not committed: ${firstOf(paths, maxShown)}. Commit or stash them first.`,
  );
}

const fastForward = ["--ff-only", "--quiet", "--no-verify-signatures", "--no-autostash", "--no-overwrite-ignore"];

/** The user's committer identity; null: git knows none. */
async function readIdentity(git: Git): Promise<Author | null> {
  const { code, stdout } = await run(git, ["var", "GIT_COMMITTER_IDENT"], "", [0, 1, 128]);
  const found = /^(.+) <([^<>]*)> \d+ [+-]\d{4}$/.exec(stdout.toString("utf8").trim());
  return code === 0 && found?.[1] && found[2] ? { name: found[1], email: found[2] } : null;
}
