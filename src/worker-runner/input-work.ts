import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import type { Json } from "../contract/json.ts";
import type { InputOf, OutputOf } from "../contract/operations.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import { WorkResult } from "../contract/work-result.ts";
import type { Result } from "../shared/result.ts";
import { displayPath, GitError, repositoryGit, run, splitRaw, text, withAuthor, type Git } from "../snapshots/git.ts";
import { TaskFolderError, type MergedInputs } from "./task-folder.ts";
import { fetchCommit, gitInFolder, hasCommit } from "./work-git.ts";

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

/**
 * Lists each commit once, in dependency order; a join by the coordinator has those of its parts.
 *
 * @throws {TaskFolderError} if a result cannot be read
 */
export async function readInputWork(get: GetTask, inputs: ClaimedTask["inputs"]): Promise<InputWork[]> {
  const workByTask = new Map<number, InputWork | null>();
  for (const { task, state, result, isLeftOut } of inputs) {
    if (state !== "done") continue;
    const isDirect = !isLeftOut && !JoinedResult.safeParse(result).success;
    if (isDirect) workByTask.set(task, parseWork(task, result));
    else await readWork(get, task, workByTask);
  }
  return presentWork(workByTask);
}

export async function readTaskWork(get: GetTask, task: number): Promise<InputWork[]> {
  const workByTask = new Map<number, InputWork | null>();
  await readWork(get, task, workByTask);
  return presentWork(workByTask);
}

function presentWork(workByTask: ReadonlyMap<number, InputWork | null>): InputWork[] {
  return [...workByTask.values()].filter((work) => work !== null);
}

async function readWork(get: GetTask, task: number, workByTask: Map<number, InputWork | null>): Promise<void> {
  if (workByTask.has(task)) return;
  if (workByTask.size >= maxRead)
    throw new TaskFolderError(`more than ${maxRead} results of other tasks belong to its inputs`, false);
  const answer = await get({ task });
  if (!answer.ok) throw new TaskFolderError(`the result of task ${task} cannot be read: ${answer.error.message}`, true);
  const { state, result, joinRule, dependsOn } = answer.value;
  workByTask.set(task, state === "done" && joinRule === null ? parseWork(task, result) : null);
  if (state !== "done" || joinRule === null) return;
  for (const part of dependsOn) await readWork(get, part, workByTask);
}

const JoinedResult = z.object({ value: z.unknown(), conflicts: z.array(z.unknown()), isComplete: z.boolean() });

function parseWork(task: number, result: Json): InputWork | null {
  const { data } = WorkResult.safeParse(result);
  if (!data || data.branch === null) return null;
  return { task, branch: data.branch, commit: data.commit, machine: data.machine ?? null };
}

interface MissingWork extends InputWork {
  /** Git's reason; null: no remote was named. */
  readonly reason: string | null;
}

/** Fetches the commits that are not here. @returns those that are still missing */
export async function fetchMissing(
  git: Git,
  remote: string | null,
  works: readonly InputWork[],
): Promise<MissingWork[]> {
  const missing: MissingWork[] = [];
  for (const work of works) {
    if (await hasCommit(git, work.commit)) continue;
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
  readonly signal: AbortSignal;
  /** Default: SHIM. */
  readonly author?: Author;
}

interface Conflict {
  readonly work: InputWork;
  readonly files: string[];
}

interface MergedWork {
  /** Contains `start` and every work; conflicting files hold the markers. */
  readonly commit: string;
  readonly conflicts: readonly Conflict[];
}

const mergedName = "before";
/** POSIX extended expression. */
const conflictMark = `^(<{7,}|>{7,}) (${mergedName}|task-[0-9]+)`;

/**
 * [WK54] Writes only objects: no branch, index or work tree changes. Git runs in an empty
 * repository that borrows the objects, so that the repository's hooks, merge drivers and filters do
 * not run.
 *
 * @param keepsConflicts merges conflicting work with its markers; otherwise the merge ends
 * @throws {GitError} if a commit is missing, or two have no common history
 */
export async function mergeWork(
  deps: MergeDeps,
  start: string,
  works: readonly InputWork[],
  keepsConflicts: boolean,
): Promise<MergedWork> {
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

async function openScratchGit({ env, repository, signal }: MergeDeps, scratch: string, start: string): Promise<Git> {
  const gitDir = join(scratch, "git");
  const workTree = join(scratch, "tree");
  mkdirSync(workTree);
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
  readonly isMerged: boolean;
  readonly isConflictKept: boolean;
  readonly remote: string | null;
}

export interface InputDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly inputs: InputSettings;
}

interface MergedStart {
  readonly commit: string;
  readonly merged: MergedInputs;
  readonly notes: readonly string[];
}

/**
 * [WK30] Merges the inputs in dependency order.
 *
 * @param folder a folder in the repository
 * @param repository the repository's own folder
 * @throws {TaskFolderError} [WK31] for a conflict; [WK32] for a missing commit
 */
export async function startWithInputs(
  { env, now, inputs }: InputDeps,
  { folder, repository, task }: { readonly folder: string; readonly repository: string; readonly task: number },
  start: string,
  works: readonly InputWork[],
): Promise<MergedStart> {
  const git = gitInFolder(env, folder);
  const missing = await fetchMissing(git, inputs.remote, works);
  if (missing.length > 0) throw missingError(task, missing, inputs.remote);
  const deps = { env, repository, now: now(), signal: git.signal };
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
