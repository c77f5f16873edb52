import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { HostErrorCode } from "../contract/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { submoduleMode, type IndexEntry } from "./work-tree-changes.ts";
import {
  displayPath,
  firstLine,
  GitError,
  joinRaw,
  repositoryGit,
  run,
  text,
  withAuthor,
  withTimeLimit,
  type Git,
  type TimeLimit,
} from "./git.ts";
import { readingGit } from "./object-store.ts";
import { shareObjects, projectObjects, withRepository, type SnapshotHost, type OpenRepository } from "./repository.ts";
import { readStats, type ExcludedFile } from "./selection.ts";
import { dropAbsent } from "./stage.ts";
import { discover, isContentSetting, type WorkTree } from "./work-tree.ts";
import { parseObject } from "../shared/json-fields.ts";

export interface RestoreInput extends SnapshotHost, TimeLimit {
  readonly repository: string;
  readonly commit: string;
  readonly into: string | { readonly project: string; readonly branch: string };
  readonly now: number;
}

export interface RestoreResult {
  readonly written: readonly string[];
  readonly notRestored: readonly ExcludedFile[];
  /** New branch; `parent` is null when the snapshot's base commit is gone from the project. */
  readonly branch: { readonly name: string; readonly commit: string; readonly parent: string | null } | null;
}

export interface RestoreRefusal {
  readonly code: HostErrorCode;
  readonly message: string;
}

export type RestoreOutcome = Result<RestoreResult, RestoreRefusal>;

/**
 * [GS30] Restores into a new folder or branch, never over existing files; work tree, index and HEAD
 * stay. [GS31] Names what cannot be restored and restores the rest.
 */
export async function restoreFiles(input: RestoreInput): Promise<RestoreOutcome> {
  if (!isCommitId(input.commit)) return refuse("snapshot_missing", `${input.commit} is not a commit id`);
  if (!existsSync(join(input.repository, "HEAD")))
    return refuse("snapshot_missing", `${input.repository} does not exist`);
  return withTimeLimit(
    input,
    (signal) => withRepository(input, input.repository, null, signal, (opened) => putBack(opened, input)),
    (reason) => refuse("restore_failed", reason),
  );
}

export async function putBack(
  opened: OpenRepository,
  input: Pick<RestoreInput, "commit" | "into" | "now">,
): Promise<RestoreOutcome> {
  const { commit, into } = input;
  const { code } = await run(readingGit(opened, []), ["cat-file", "-e", `${commit}^{commit}`], "", [0, 1, 128]);
  if (code !== 0) return refuse("snapshot_missing", `the snapshot ${commit} is not in ${opened.repository}`);
  return typeof into === "string" ? restoreIntoFolder(opened, commit, into) : restoreIntoBranch(opened, input, into);
}

export function refuse(code: RestoreRefusal["code"], message: string): RestoreOutcome {
  return err({ code, message });
}

async function restoreIntoFolder(opened: OpenRepository, commit: string, folder: string): Promise<RestoreOutcome> {
  const existing = lstatSync(folder, { throwIfNoEntry: false });
  if (existing && (!existing.isDirectory() || readdirSync(folder).length > 0))
    return refuse("folder_not_empty", `${folder} exists and is not an empty folder: name one that does not exist`);
  const objects = await projectObjects(opened);
  const { settings } = await readCommitInfo(readingGit(opened, []), commit);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const top = realpathSync(folder);
  const git = readingGit(opened, objects === null ? [] : [objects], top, settings);
  const { entries, notRestored } = await readComplete(git, commit);
  const files = entries.filter(({ mode }) => mode !== submoduleMode);
  const submodules = entries.filter(({ mode }) => mode === submoduleMode);
  // Exit 1: some files could not be written; they are found below.
  const args = ["checkout-index", "-q", "-z", "--stdin"];
  const { stderr } = await run(git, args, joinRaw(files.map(({ path }) => path)), [0, 1, 128]);
  const isThere = ({ path }: IndexEntry) => readStats(top, path) !== undefined;
  const failed = files.filter((entry) => !isThere(entry));
  return ok({
    written: files.filter(isThere).map(({ path }) => displayPath(path)),
    notRestored: [
      ...notRestored,
      ...submodules.map(({ path, id }) => ({ path: displayPath(path), reason: `a submodule, at commit ${id}` })),
      ...failed.map(({ path }) => ({ path: displayPath(path), reason: firstLine(stderr) || "git could not write it" })),
    ],
    branch: null,
  });
}

async function readComplete(git: Git, commit: string): Promise<{ entries: IndexEntry[]; notRestored: ExcludedFile[] }> {
  await run(git, ["read-tree", commit]);
  const reason = "it was unchanged and stored only in the project's own objects, which no longer have it";
  const { entries, absent } = await dropAbsent(git, git, commit, reason);
  return { entries, notRestored: absent };
}

/**
 * Reads the commit message's last line; a restore continues without it. [GS63] Another machine may
 * have written it: only content settings count, so git runs no command that it names.
 */
async function readCommitInfo(git: Git, commit: string): Promise<{ head: string | null; settings: string[] }> {
  const message = await text(git, ["cat-file", "commit", commit]);
  const { head, settings } = parseObject(message.trimEnd().split("\n").at(-1) ?? "") ?? {};
  return {
    head: typeof head === "string" && isCommitId(head) ? head : null,
    settings: Array.isArray(settings)
      ? settings.filter((value) => typeof value === "string" && isContentSetting(value))
      : [],
  };
}

export function isCommitId(text: string): boolean {
  return /^[0-9a-f]{40,64}$/.test(text);
}

async function restoreIntoBranch(
  opened: OpenRepository,
  { commit, now }: Pick<RestoreInput, "commit" | "now">,
  { project, branch }: { readonly project: string; readonly branch: string },
): Promise<RestoreOutcome> {
  const tree = await discover(opened.host.env, project, opened.signal);
  if ("skipped" in tree) return refuse("not_a_work_tree", tree.skipped);
  const git = repositoryGit(opened.host.env, { gitDir: tree.found.gitDir }, opened.signal);
  const ref = `refs/heads/${branch}`;
  const isNamed = await run(git, ["check-ref-format", ref], "", [0, 1]);
  if (isNamed.code !== 0 || branch.startsWith("-"))
    return refuse("bad_branch_name", `git does not accept a branch named ${branch}`);
  const known = await run(git, ["show-ref", "--verify", "--quiet", ref], "", [0, 1]);
  if (known.code === 0) return refuse("branch_exists", `the branch ${branch} already exists: name a new one`);
  const { head } = await readCommitInfo(readingGit(opened, []), commit);
  const branchRestore: BranchRestore = { opened, project: withAuthor(git, now), tree: tree.found, now, commit };
  const { entries, notRestored, ...made } = await createBranchCommit(branchRestore, head);
  const nothing = "0".repeat(made.commit.length);
  // The old value makes git refuse a branch created meanwhile.
  await run(branchRestore.project, ["update-ref", "-m", "shim: restored", ref, made.commit, nothing]);
  const written = entries.map(({ path }) => displayPath(path));
  return ok({ written, notRestored, branch: { name: branch, ...made } });
}

interface BranchCommit {
  readonly commit: string;
  readonly parent: string | null;
  readonly entries: readonly IndexEntry[];
  readonly notRestored: readonly ExcludedFile[];
}

interface BranchRestore {
  readonly opened: OpenRepository;
  readonly project: Git;
  readonly tree: WorkTree;
  readonly now: number;
  readonly commit: string;
}

/** Leaves the parent out where the project lacks it or its history. */
async function createBranchCommit(branchRestore: BranchRestore, parent: string | null): Promise<BranchCommit> {
  const { opened, project, tree, now, commit } = branchRestore;
  shareObjects(opened, [opened.owned, tree.objects]);
  const git = readingGit(opened, [tree.objects], opened.scratch);
  const { entries, notRestored } = await readComplete(git, commit);
  try {
    const root = await text(git, ["write-tree", "--missing-ok"]);
    const parents = parent === null ? [] : ["-p", parent];
    const message = `Work restored from snapshot ${commit}`;
    const commitId = await text(withAuthor(git, now), ["commit-tree", root, ...parents, "-m", message]);
    await run(git, ["update-ref", "refs/heads/restored", commitId]);
    const flags = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"];
    await run(project, ["fetch", ...flags, opened.scratch, "refs/heads/restored"]);
    return { commit: commitId, parent, entries, notRestored };
  } catch (error) {
    const isLacking = parent !== null && error instanceof GitError && error.fault === "failed";
    if (isLacking) return createBranchCommit(branchRestore, null);
    throw error;
  }
}
