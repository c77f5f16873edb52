import { existsSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { OutputOf, InputOf } from "../../contract/operations.ts";
import { WorkResult } from "../../contract/work-result.ts";
import { fail, type Failure } from "../../shared/failure.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import {
  GitError,
  run,
  text,
  type Git,
  displayPath,
  repositoryGit,
  splitRaw,
  withAuthor,
} from "../../snapshots/git.ts";
import type { WorktreeOptions } from "./worktrees.ts";
import { TaskFolderError, type MergedInputs } from "./executor.ts";
import {
  commonGitFolder,
  currentBranch,
  gitInFolder,
  hasRemote,
  readDiff,
  resolveCommit,
  worktreeTop,
  type CommitDiff,
  fetchCommit,
  findCommit,
} from "./work-git.ts";
import { tmpdir } from "node:os";
import * as z from "zod";
import type { Json } from "../../contract/json.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";

/** Work of another task, as its result names it. */
export interface InputWork {
  readonly task: number;
  /** The branch may be in another repository. */
  readonly branch: string;
  readonly commit: string;
  readonly machine: string | null;
}

export type GetTask = (
  input: InputOf<"tasks.get">,
) => Promise<Result<OutputOf<"tasks.get">, { readonly message: string }>>;

/** Ends chains of joins. */
const maxRead = 200;

type Input = Pick<ClaimedTask["inputs"][number], "task" | "state" | "result" | "isLeftOut">;

/**
 * Lists each commit once, in dependency order; a join by the coordinator has those of its parts.
 *
 * @throws {TaskFolderError} if a result cannot be read
 */
export async function readInputWork(get: GetTask, inputs: readonly Input[]): Promise<InputWork[]> {
  const workByTask = new Map<number, InputWork | null>();
  const read = async (task: number): Promise<void> => {
    if (workByTask.has(task)) return;
    if (workByTask.size >= maxRead)
      throw new TaskFolderError(`more than ${maxRead} results of other tasks belong to its inputs`, false);
    const answer = await get({ task });
    if (!answer.ok)
      throw new TaskFolderError(`the result of task ${task} cannot be read: ${answer.error.message}`, true);
    const { state, result, joinRule, dependsOn } = answer.value;
    workByTask.set(task, state === "done" && joinRule === null ? parseWork(task, result) : null);
    for (const part of state === "done" && joinRule !== null ? dependsOn : []) await read(part);
  };
  for (const { task, state, result, isLeftOut } of inputs) {
    if (state !== "done") continue;
    const isDirect = !isLeftOut && !JoinedResult.safeParse(result).success;
    if (isDirect) workByTask.set(task, parseWork(task, result));
    else await read(task);
  }
  return [...workByTask.values()].filter((work) => work !== null);
}

const JoinedResult = z.object({ value: z.unknown(), isComplete: z.boolean() });

function parseWork(task: number, result: Json): InputWork | null {
  const { data } = WorkResult.safeParse(result);
  if (!data || data.branch === null) return null;
  return { task, branch: data.branch, commit: data.commit, machine: data.machine ?? null };
}

/** `reason`: git's; null where no remote was named. */
type MissingWork = InputWork & { readonly reason: string | null };

/** Fetches the commits that are not here. @returns those that are still missing */
export async function fetchMissing(
  git: Git,
  remote: string | null,
  works: readonly InputWork[],
): Promise<MissingWork[]> {
  const missing: MissingWork[] = [];
  for (const work of works) {
    if ((await findCommit(git, work.commit)) !== null) continue;
    const reason = remote === null ? null : await fetchCommit(git, remote, work.branch, work.commit);
    if (remote === null || reason !== null) missing.push({ ...work, reason });
  }
  return missing;
}

export function describeCommit({ commit, machine }: InputWork): string {
  return `commit ${commit.slice(0, 12)}${machine === null ? "" : ` of machine ${machine}`}`;
}

export interface Author {
  readonly name: string;
  readonly email: string;
}

export interface MergeDeps {
  readonly env: NodeJS.ProcessEnv;
  /** Output of `git rev-parse --git-common-dir`. */
  readonly repository: string;
  readonly now: number;
  /** Default: SHIM. */
  readonly author?: Author;
}

interface Conflict {
  readonly work: InputWork;
  readonly files: string[];
}

const mergedName = "before";
/** POSIX extended expression. */
const conflictMark = `^(<{7,}|>{7,}) (${mergedName}|task-[0-9]+)`;

/**
 * Writes only objects: no branch, index or work tree changes. Git runs in an empty
 * repository that borrows the objects, so that the repository's hooks, merge drivers and filters do
 * not run.
 *
 * @param keepsConflicts merges conflicting work with its markers; otherwise the merge ends
 * @returns a commit that contains `start` and every work
 * @throws {GitError} if a commit is missing, or two have no common history
 */
export async function mergeWork(
  deps: MergeDeps,
  start: string,
  works: readonly InputWork[],
  keepsConflicts: boolean,
): Promise<{ readonly commit: string; readonly conflicts: readonly Conflict[] }> {
  const scratch = mkdtempSync(join(tmpdir(), "shim-merge-"));
  try {
    const git = await openScratchGit(deps, scratch, start);
    let commit = start;
    const conflicts: Conflict[] = [];
    for (const work of works) {
      const merge = await mergeOne(git, deps, commit, work);
      if (merge.files) conflicts.push({ work, files: merge.files });
      if (merge.files && !keepsConflicts) break;
      commit = merge.commit;
    }
    return { commit, conflicts };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function openScratchGit({ env, repository }: MergeDeps, scratch: string, start: string): Promise<Git> {
  const gitDir = join(scratch, "git");
  const workTree = join(scratch, "tree");
  mkdirSync(workTree);
  const { signal } = gitInFolder(env, repository);
  const format = start.length > 40 ? "sha256" : "sha1";
  const scratchGit = repositoryGit(env, { gitDir, workTree }, signal);
  await run(scratchGit, ["init", "--quiet", "--template=", `--object-format=${format}`, "--initial-branch=none"]);
  // Only the repository knows where the history of a shallow clone ends.
  const shallow = join(repository, "shallow");
  if (existsSync(shallow)) copyFileSync(shallow, join(gitDir, "shallow"));
  return { ...scratchGit, env: { ...scratchGit.env, GIT_OBJECT_DIRECTORY: join(repository, "objects") } };
}

/** `files`: those in conflict; null: none. */
async function mergeOne(
  git: Git,
  { now, author }: MergeDeps,
  commit: string,
  work: InputWork,
): Promise<{ readonly commit: string; readonly files: string[] | null }> {
  if (await isAncestor(git, work.commit, commit)) return { commit, files: null };
  if (await isAncestor(git, commit, work.commit)) return { commit: work.commit, files: null };
  const name = `task-${work.task}`;
  await run(git, ["update-ref", `refs/heads/${mergedName}`, commit]);
  await run(git, ["update-ref", `refs/heads/${name}`, work.commit]);
  // Without a work tree git does not read `.gitattributes`. Exit code 1: there is none.
  await run(git, ["checkout", "--quiet", commit, "--", ":(glob)**/.gitattributes"], "", [0, 1]);
  // Conflict markers show these branch names.
  const args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", mergedName, name];
  const { code, stdout } = await run(git, args, "", [0, 1]);
  const [tree = "", ...files] = splitRaw(stdout);
  const message = `shim: merge ${name}${code === 1 ? ", with conflicts" : ""}`;
  const merge = [tree, "-p", commit, "-p", work.commit, "-m", message];
  const mergeCommit = await text(withAuthor(git, now, author), ["commit-tree", ...merge]);
  return { commit: mergeCommit, files: code === 1 ? files.map(displayPath) : null };
}

async function isAncestor(git: Git, ancestor: string, commit: string): Promise<boolean> {
  return (await run(git, ["merge-base", "--is-ancestor", ancestor, commit], "", [0, 1])).code === 0;
}

/** @returns those of the files that still hold a mark of a conflict */
export async function unresolved(git: Git, files: readonly string[]): Promise<string[]> {
  if (files.length === 0) return [];
  const options = ["-z", "-l", "-I", "--no-textconv", "--untracked", "--no-exclude-standard"];
  const literal = { ...git, before: [...git.before, "--literal-pathspecs"] };
  const { stdout } = await run(literal, ["grep", ...options, "-E", conflictMark, "--", ...files], "", [0, 1]);
  return splitRaw(stdout).map(displayPath);
}

export interface InputSettings {
  /** A model can resolve a conflict. */
  readonly isConflictKept: boolean;
  readonly remote: string | null;
}

interface MergedStart {
  readonly commit: string;
  readonly merged: MergedInputs;
  readonly notes: readonly string[];
}

/**
 * Merges the inputs in dependency order.
 *
 * @param folder a folder in the repository
 * @param repository the repository's own folder
 * @throws {TaskFolderError} for a conflict; for a missing commit
 */
export async function startWithInputs(
  { env, now, inputs }: Pick<WorktreeOptions, "env" | "now" | "inputs">,
  { folder, repository, task }: { readonly folder: string; readonly repository: string; readonly task: number },
  start: string,
  works: readonly InputWork[],
): Promise<MergedStart> {
  const git = gitInFolder(env, folder);
  const missing = await fetchMissing(git, inputs.remote, works);
  if (missing.length > 0) throw missingError(task, missing, inputs.remote);
  const deps = { env, repository, now: now() };
  const { commit, conflicts } = await mergeWork(deps, start, works, inputs.isConflictKept).catch((error: unknown) => {
    if (!(error instanceof GitError)) throw error;
    throw new TaskFolderError(`inputs of task ${task}: they cannot be merged: ${error.message}`, true);
  });
  const [conflict] = conflicts;
  if (conflict && !inputs.isConflictKept)
    throw new TaskFolderError(
      `inputs of task ${task}: ${describeConflict(conflict)} (${conflict.work.branch}); merge the branches of its inputs into the base, then: shim task replay ${task}`,
      false,
    );
  const tasks = works.map((work) => work.task);
  return {
    commit,
    merged: { tasks, conflicts: conflicts.map(({ work, files }) => ({ task: work.task, files })) },
    notes: [
      `the work of task${tasks.length === 1 ? "" : "s"} ${tasks.join(", ")} is merged into its worktree`,
      ...conflicts.map((one) => `${describeConflict(one)}: to be resolved there`),
    ],
  };
}

const maxFilesShown = 8;

function describeConflict({ work, files }: Conflict): string {
  const moreText = files.length > maxFilesShown ? ` and ${files.length - maxFilesShown} more` : "";
  return `task ${work.task} conflicts with what was merged before it in ${files.slice(0, maxFilesShown).join(", ")}${moreText}`;
}

function missingError(task: number, missing: readonly MissingWork[], remote: string | null): TaskFolderError {
  const texts = missing.map((work) => {
    const reason = work.reason === null ? "" : `: ${work.reason}`;
    return `${describeCommit(work)} is not here (task ${work.task}, branch ${work.branch})${reason}`;
  });
  if (remote === null)
    texts.push("name a remote that all workers share (remote in the worker's settings), or fetch the branch");
  return new TaskFolderError(`inputs of task ${task}: ${texts.join("; ")}`, true);
}

type Task = OutputOf<"tasks.get">;

/** An error says why the work of a task could not be shown or merged; nothing was changed. */
type Answer<T> = Result<T, Failure>;

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
  if (!works.ok) return works;
  return withRepository(checkout, async (repository) => {
    const { git, common } = repository;
    const branch = await cleanBranch(repository);
    if (!branch.ok) return branch;
    const { name: into, commit: before } = branch.value;
    const unavailable = await fetchCommits(repository, works.value, checkout.remote);
    if (unavailable) return unavailable;
    const author = (await readIdentity(git)) ?? undefined;
    const deps = { env: checkout.env, repository: common, now, ...omitUndefined({ author }) };
    const { commit, conflicts } = await mergeWork(deps, before, works.value, false);
    const [conflict] = conflicts;
    if (conflict) {
      const { work, files } = conflict;
      return fail(
        "merge_conflict",
        `task ${work.task} conflicts in ${pluralize(files.length, "file")} (${files.join(", ")}); nothing was changed. To resolve it by hand on ${into}: git merge ${work.commit}`,
      );
    }
    const { code, stderr } = await run(git, ["merge", ...fastForward, commit], "", [0, 1, 128]);
    if (code !== 0) return fail("git_refused", `nothing was changed: ${stderr.replaceAll(/\s+/g, " ").trim()}`);
    const tasks = works.value.map(({ task }) => task);
    return ok({ task: found.task, tasks, works: works.value, into, before, commit });
  });
}

interface Repository {
  readonly git: Git;
  readonly top: string;
  /** Folder that all its work trees share. */
  readonly common: string;
}

async function withRepository<T>(
  { env, folder }: Checkout,
  body: (found: Repository) => Promise<Answer<T>>,
): Promise<Answer<T>> {
  try {
    const top = await worktreeTop(env, folder);
    const git = gitInFolder(env, top);
    return await body({ git, top, common: await commonGitFolder(git, top) });
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
  { git, top }: Repository,
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
async function cleanBranch({ git, top }: Repository): Promise<Answer<{ name: string; commit: string }>> {
  const gitDir = resolve(top, await text(git, ["rev-parse", "--absolute-git-dir"]));
  const inProgress = operationMarkers.find((name) => existsSync(join(gitDir, name)));
  if (inProgress !== undefined)
    return fail("not_clean", `${top} has an operation in progress (${inProgress}). Finish it first.`);
  const name = await currentBranch(git);
  if (name === null) return fail("no_branch", `${top} is on no branch. Check one out first: git switch <branch>.`);
  const { stdout } = await run(git, ["status", "--porcelain", "--untracked-files=no"]);
  const changed = stdout.toString("utf8").split("\n").filter(Boolean);
  if (changed.length === 0) return ok({ name, commit: await resolveCommit(git, "HEAD") });
  const named = changed.slice(0, maxShown).map((line) => line.slice(3));
  const more = changed.length > maxShown ? ` and ${changed.length - maxShown} more` : "";
  return fail(
    "not_clean",
    `${top} has changes that are not committed: ${named.join(", ")}${more}. Commit or stash them first.`,
  );
}

const fastForward = ["--ff-only", "--quiet", "--no-verify-signatures", "--no-autostash", "--no-overwrite-ignore"];

/** The user's committer identity; null: git knows none. */
async function readIdentity(git: Git): Promise<Author | null> {
  const { code, stdout } = await run(git, ["var", "GIT_COMMITTER_IDENT"], "", [0, 1, 128]);
  const found = /^(.+) <([^<>]*)> \d+ [+-]\d{4}$/.exec(stdout.toString("utf8").trim());
  return code === 0 && found?.[1] && found[2] ? { name: found[1], email: found[2] } : null;
}
