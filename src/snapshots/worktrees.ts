import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  copyFileSync,
} from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { mayBeAlive, type ProcessIdentity, type Processes } from "../platform/processes.ts";
import { readJsonFile } from "../platform/data-files.ts";
import { pollUntil, endMarked, markName, toMark } from "../platform/run-program.ts";
import { codeOf } from "../shared/error.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import { GitError, run, type Git, repositoryGit, text, userGit, withTimeLimit, type TimeLimit } from "./git.ts";
import type { SnapshotDeps } from "./repository.ts";
import {
  findMissing,
  withSaved,
  writeFiles,
  type ReadSnapshot,
  type RestoreResult,
  type SavedFiles,
} from "./restore-files.ts";
import { gitInFolder } from "./user-repository.ts";
import { discover } from "./work-tree.ts";

/**
 * Located by the repository, since a program may have replaced the worktree's `.git`.
 *
 * @throws {GitError} if the repository has no such worktree
 */
export function gitInWorktree(env: NodeJS.ProcessEnv, repository: string, tree: string): Git {
  const adminFolder = worktreeAdminFolder(repository, tree);
  if (adminFolder === null) throw new GitError("failed", `${repository} knows no worktree ${tree} any more`);
  const git = gitInFolder(env, tree);
  return { ...git, before: [...git.before, `--git-dir=${adminFolder}`, `--work-tree=${tree}`] };
}

export function worktreeAdminFolder(repository: string, tree: string): string | null {
  const worktreesFolder = join(repository, "worktrees");
  if (!existsSync(worktreesFolder) || lstatSync(tree, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
  const pointer = join(realpathSync(dirname(tree)), basename(tree), ".git");
  const folders = readdirSync(worktreesFolder).map((name) => join(worktreesFolder, name));
  return folders.find((folder) => readGitPointer(folder) === pointer) ?? null;
}

function readGitPointer(folder: string): string | null {
  try {
    return resolve(folder, readFileSync(join(folder, "gitdir"), "utf8").trimEnd());
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return null;
  }
}

/** Caused by another git process at work. */
const transientError = /failed to read|could not lock|unable to create '[^']*\.lock'/i;
const pausesMs = [50, 100, 200, 400, 800];

/**
 * `git worktree` reads also worktrees that other workers have half made (seen: "failed to read
 * .git/worktrees/tree1/commondir").
 *
 * @param retryArgs arguments after a failure, which may have left a part
 */
async function worktreeCommand(git: Git, args: readonly string[], retryArgs = args): Promise<void> {
  for (const [tries, pauseMs] of pausesMs.entries()) {
    try {
      await run(git, ["worktree", ...(tries === 0 ? args : retryArgs)]);
      return;
    } catch (error) {
      if (!(error instanceof GitError) || !transientError.test(error.message)) throw error;
    }
    await pause(pauseMs);
  }
  await run(git, ["worktree", ...retryArgs]);
}

interface NewWorktree {
  /** Folder that is made. */
  readonly tree: string;
  /** Commit that it starts from. */
  readonly start: string;
  /** Name of a branch that is made, of which there is none yet; null: on no branch. */
  readonly branch: string | null;
  /** Its files are written by the caller. */
  readonly isEmpty?: boolean;
}

async function addWorktree(git: Git, { tree, start, branch, isEmpty = false }: NewWorktree): Promise<void> {
  const add = (make: "-b" | "-B"): string[] => {
    const on = branch === null ? ["--detach"] : ["--no-track", make, branch];
    return ["add", "--quiet", ...on, ...(isEmpty ? ["--no-checkout"] : []), tree, start];
  };
  // A failed first try may have made the branch.
  await worktreeCommand(git, add("-b"), add("-B"));
}

/** @throws {GitError} if something in it is not committed, unless forced */
export async function removeWorktree(git: Git, tree: string, { isForced = false } = {}): Promise<void> {
  // Twice: one that was never finished is locked.
  await worktreeCommand(git, ["remove", ...(isForced ? ["--force", "--force"] : []), tree]);
}

/** Parts of this machine that worktrees of SHIM need. */
export interface WorktreeDeps {
  readonly env: NodeJS.ProcessEnv;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly processes: Processes;
  readonly self: ProcessIdentity;
  /** Folder of SHIM's worktrees. */
  readonly home: string;
}

export const CommitHash = z.string().regex(/^[0-9a-f]{40,64}$/);

/** Results of other tasks that a worktree starts with. */
export const MergedRecord = z.object({
  tasks: z.array(z.int()).max(1_000),
  conflicts: z.array(z.object({ task: z.int(), files: z.array(z.string().max(4_096)).max(1_000) })).max(1_000),
  commit: CommitHash,
});

/** Stored. Add fields as optional. */
const StoredRecord = z.object({
  /** 0: of no task, and thrown away with its process. */
  task: z.int(),
  /** Output of `git rev-parse --git-common-dir`. */
  repository: z.string(),
  branch: z.string(),
  base: z.string(),
  merged: MergedRecord.optional(),
  owner: z.object({ boot: z.string(), pid: z.int(), start: z.string() }).nullable(),
});
export type WorkRecord = z.infer<typeof StoredRecord>;

export function worktreePath(folder: string): string {
  return join(folder, "tree");
}

/** A missing or foreign record leaves the worktree alone. */
export function readRecord(folder: string): WorkRecord | null {
  return readJsonFile(join(folder, "record.json"), StoredRecord);
}

export function writeRecord(folder: string, record: WorkRecord): void {
  createPrivateFolder(folder);
  writeAtomically(join(folder, "record.json"), JSON.stringify(record));
}

/** The worktree itself is git's to remove. */
export function removeRecord(folder: string): void {
  for (const name of ["record.json", "index"]) rmSync(join(folder, name), { force: true });
  if (!existsSync(worktreePath(folder))) rmdirSync(folder);
}

/** A worker that cannot be seen, or any process in the worktree, counts as alive. */
export async function isFolderFree(processes: Processes, folder: string, { owner }: WorkRecord): Promise<boolean> {
  if (owner !== null && mayBeAlive(processes, owner)) return false;
  if (owner?.boot === processes.boot()) await endMarked(toMark(owner));
  const isEmpty = (): boolean => !isFolderInUse(worktreePath(folder));
  return isEmpty() || (owner !== null && pollUntil(isEmpty, processExitMs));
}

/** An ending process has lost its mark but not its working folder. */
const processExitMs = 2_000;

/** Linux only (proc(5)); false elsewhere. Covers the user's own processes. */
function isFolderInUse(folder: string): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc").some((name) => {
    try {
      return /^\d+$/.test(name) && `${readlinkSync(`/proc/${name}/cwd`)}${sep}`.startsWith(`${folder}${sep}`);
    } catch {
      // The process has ended meanwhile, or is another user's.
      return false;
    }
  });
}

export type RemovalDeps = Pick<WorktreeDeps, "env" | "home" | "processes">;

interface OwnWorktree extends Pick<NewWorktree, "start" | "isEmpty"> {
  /** Beginning of its name. */
  readonly prefix: string;
  /** In the user's work tree. */
  readonly top: string;
  readonly hasBranch: boolean;
  /** False: symbolic links become files that have their text. */
  readonly hasLinks: boolean;
  readonly record: Omit<WorkRecord, "branch" | "owner">;
}

/** Makes a worktree in a private folder. @returns that folder, and its record */
export async function createWorktree(
  { env, home, self, random }: WorktreeDeps,
  { prefix, top, start, hasBranch, hasLinks, isEmpty = false, record: given }: OwnWorktree,
): Promise<{ readonly folder: string; readonly record: WorkRecord }> {
  // Another workspace, or a lost coordinator file, may have used the same number of a task.
  const suffix = Math.floor(random() * 2 ** 32).toString(16);
  const name = `${prefix}-${suffix.padStart(8, "0")}`;
  const folder = join(home, name);
  const record = { ...given, branch: `shim/${name}`, owner: self };
  writeRecord(folder, record);
  try {
    // Marked, so that one that outlives this process is ended before its worktree is removed.
    const git = gitInFolder({ ...env, [markName]: toMark(self) }, top);
    const tree = worktreePath(folder);
    await addWorktree(hasLinks ? git : withoutLinks(git), {
      tree,
      start,
      branch: hasBranch ? record.branch : null,
      isEmpty,
    });
    return { folder, record };
  } catch (error) {
    await removeByForce(env, record.repository, folder);
    throw error;
  }
}

/** Symbolic links, which tools follow out of the worktree, are files that have their text. */
export function withoutLinks(git: Git): Git {
  return { ...git, before: [...git.before, "-c", "core.symlinks=false"] };
}

/**
 * Removes a worktree with all that is in it, and its private folder. Git needs the folder and its
 * `.git` as they were, which a program may have changed.
 */
export async function removeByForce(
  env: NodeJS.ProcessEnv,
  repository: string,
  folder: string,
  tree = worktreePath(folder),
): Promise<void> {
  mkdirSync(tree, { recursive: true });
  const adminFolder = worktreeAdminFolder(repository, tree);
  if (adminFolder !== null) {
    rmSync(join(tree, ".git"), { recursive: true, force: true });
    writeFileSync(join(tree, ".git"), `gitdir: ${adminFolder}\n`);
    await removeWorktree(gitInFolder(env, repository), tree, { isForced: true });
  }
  rmSync(folder, { recursive: true, force: true });
}

export interface LeftWorktree {
  readonly folder: string;
  readonly record: WorkRecord;
  /** Epoch ms. */
  readonly leftAt: number;
}

/** Worktrees of SHIM that have a record, those in use among them. */
export function listWorktrees(home: string): LeftWorktree[] {
  const folders = (existsSync(home) ? readdirSync(home) : []).map((name) => join(home, name));
  return folders.flatMap((folder) => {
    const record = readRecord(folder);
    const leftAt = statSync(join(folder, "record.json"), { throwIfNoEntry: false })?.mtimeMs;
    return record !== null && leftAt !== undefined ? [{ folder, record, leftAt }] : [];
  });
}

export interface NewBranch {
  readonly project: string;
  /** Commit that the files are based on; null: there was none. */
  readonly head: string | null;
  /** New folder and new branch. */
  readonly folder: string;
  readonly branch: string;
}

/**
 * Adds a worktree on a new branch from the commit that a snapshot is based on, with the
 * snapshot's files; what was not committed then is not committed in it. Work tree, index and
 * HEAD of the project stay, and a failure leaves neither folder nor branch.
 */
export async function restoreWorktree(input: SavedFiles & TimeLimit & NewBranch): Promise<Result<RestoreResult>> {
  const { env, project, head, branch } = input;
  const work = async (signal: AbortSignal): Promise<Result<RestoreResult>> => {
    const tree = await discover(env, project, signal);
    if ("skipped" in tree) return fail(tree.isWithoutGit ? "restore_failed" : "not_a_work_tree", tree.skipped);
    if (head === null) return fail("commit_missing", "there was no commit then that a branch could begin at");
    const own = repositoryGit(env, { gitDir: tree.found.gitDir }, signal);
    const known = await run(own, ["show-ref", "--verify", "--quiet", `refs/heads/${branch}`], "", [0, 1]);
    if (known.code === 0) return fail("branch_exists", `the branch ${branch} already exists`);
    const [missing] = await findMissing(own, [head]);
    if (missing !== undefined)
      return fail("commit_missing", `commit ${missing}, on which it was based, is not in ${project}`);
    const git = userGit(env, tree.found.top, signal);
    return withSaved({ ...input, signal }, async (snapshot) => ok(await writeWorktree(snapshot, input, git)));
  };
  return withTimeLimit(input, work, (reason) => fail("restore_failed", reason));
}

export interface HalfMadeWorktree extends NewBranch, Pick<SnapshotDeps, "env"> {
  readonly owner: ProcessIdentity;
}

/**
 * Removes a worktree that a killed process was making, its branch, and the folder around it; a
 * branch with commits of its own stays.
 */
export async function removeHalfMade(left: HalfMadeWorktree): Promise<void> {
  const { env, project, head, folder, branch, owner } = left;
  await endMarked(toMark(owner));
  const work = async (signal: AbortSignal): Promise<void> => {
    const tree = await discover(env, project, signal);
    if ("skipped" in tree) return;
    const git = repositoryGit(env, { gitDir: tree.found.gitDir }, signal);
    const ref = `refs/heads/${branch}`;
    const { stdout } = await run(git, ["rev-parse", "--verify", "--quiet", ref], "", [0, 1]);
    const at = stdout.toString().trim();
    if (at !== "" && at !== head) return;
    await removeByForce(env, tree.found.commonDir, dirname(folder), folder);
    if (at !== "") await run(git, ["update-ref", "-d", ref, at]);
  };
  await withTimeLimit({ timeoutMs: cleanUpMs }, work, () => undefined);
}

async function writeWorktree(
  snapshot: ReadSnapshot,
  { env, head, folder, branch }: NewBranch & Pick<SnapshotDeps, "env">,
  project: Git,
): Promise<RestoreResult> {
  const from = head ?? "HEAD";
  await addWorktree(project, { tree: folder, start: from, branch, isEmpty: true });
  try {
    const tree = realpathSync(folder);
    return await fillWorktree(snapshot, { tree, git: userGit(env, tree, project.signal) });
  } catch (error) {
    const left = { ...project, signal: AbortSignal.timeout(cleanUpMs) };
    await removeWorktree(left, folder, { isForced: true });
    await run(left, ["update-ref", "-d", `refs/heads/${branch}`, from]);
    throw error;
  }
}

const cleanUpMs = 30_000;

/** Writes a snapshot's files into a worktree without files; its index is that of its HEAD. */
export async function fillWorktree(
  snapshot: ReadSnapshot,
  { tree, git }: { readonly tree: string; readonly git: Git },
): Promise<RestoreResult> {
  const [written, index] = await Promise.all([
    writeFiles(snapshot, tree),
    text(git, ["rev-parse", "--path-format=absolute", "--git-path", "index"]),
  ]);
  // This index has the times of the files just written: git need not read them all again.
  copyFileSync(join(snapshot.opened.scratch, "index"), index);
  await run(git, ["read-tree", "--reset", "HEAD"]);
  return written;
}
