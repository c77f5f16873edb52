import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { removeLeftovers, temporaryNames } from "../platform/leftovers.ts";
import { temporaryBeside } from "../platform/private-files.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import { messageOf } from "../shared/error.ts";
import { discover, indexEntries, isContentSetting, submoduleMode, updateIndex, type WorkTree } from "./work-tree.ts";
import { besideIndex, checkOut, diffTrees, isChosen, splitLost } from "./file-changes.ts";
import { entryOnDisk, formatOf, hasSameContent, rightsIn, type FileEntry } from "./file-entry.ts";
import { replaceFiles, requireOwnFolder, type ReplacedFiles, type Replacement } from "./replace-files.ts";
import type { UndoneFile } from "./undo-history.ts";
import { foldersOf, KnownModes, setMode } from "./file-modes.ts";
import {
  diskPath,
  displayPath,
  firstLine,
  joinRaw,
  repositoryGit,
  run,
  text,
  withTimeLimit,
  type Git,
  type TimeLimit,
} from "./git.ts";
import {
  describe,
  projectObjects,
  readingGit,
  repositoryFor,
  withRepository,
  type OpenRepository,
  type SnapshotDeps,
} from "./repository.ts";
import { readStats, type ExcludedFile } from "./selection.ts";
import { dropAbsent, readAbout } from "./take-snapshot.ts";
import { listAt } from "../shared/json-fields.ts";

/** Files of a snapshot in a bundle, on commits of a clone. */
interface Received {
  readonly project: string;
  readonly snapshots: string;
  readonly bundle: Buffer;
  readonly needs: readonly string[];
}

/** Files of a snapshot of this machine, or of another. */
export type SavedFiles = SnapshotDeps & { readonly commit: string } & ({ readonly repository: string } | Received);

/** Files of a snapshot, in the scratch's index. */
export interface ReadSnapshot {
  readonly opened: OpenRepository;
  readonly commit: string;
  readonly settings: readonly string[];
  readonly objects: readonly string[];
  readonly modes: KnownModes;
}

/**
 * Reads a snapshot for `work`. A bundle is verified against the clone, and nothing of it is kept.
 * Refuses one without its base commits.
 */
export async function withSaved<T>(
  saved: SavedFiles & TimeLimit,
  work: (snapshot: ReadSnapshot) => Promise<Result<T>>,
): Promise<Result<T>> {
  const { commit } = saved;
  const read = async (opened: OpenRepository): Promise<Result<T>> => {
    const found = await run(readingGit(opened, []), ["cat-file", "-e", `${commit}^{commit}`], "", [0, 1, 128]);
    return found.code === 0 ? work(await readSnapshot(opened, commit)) : noSnapshot(commit, opened.repository);
  };
  return withTimeLimit(
    saved,
    async (signal) => {
      if ("repository" in saved) {
        const { repository } = saved;
        if (!isCommitId(commit) || !existsSync(join(repository, "HEAD"))) return noSnapshot(commit, repository);
        return withRepository(saved, repository, null, signal, read);
      }
      if (![commit, ...saved.needs].every(isCommitId))
        return fail("bundle_unusable", "the files name invalid commit ids");
      const tree = await discover(saved.env, saved.project, signal);
      if ("skipped" in tree) return fail("not_a_work_tree", tree.skipped);
      const { found } = tree;
      return withRepository(saved, repositoryFor(saved.snapshots, found), found, signal, async (opened) => {
        const unpacked = await unpack(opened, found, saved);
        return unpacked.ok ? read(opened) : unpacked;
      });
    },
    (reason) => fail("restore_failed", reason),
  );
}

function noSnapshot(commit: string, repository: string): Result<never> {
  return fail("snapshot_missing", `the snapshot ${commit} is not in ${repository}`);
}

async function readSnapshot(opened: OpenRepository, commit: string): Promise<ReadSnapshot> {
  const [objects, about] = await Promise.all([projectObjects(opened), readAbout(readingGit(opened, []), commit)]);
  const known = objects === null ? [] : [objects];
  await run(readingGit(opened, known), ["read-tree", commit]);
  return { opened, commit, settings: settingsIn(about), objects: known, modes: new KnownModes(about.modes) };
}

export interface RestoreResult {
  readonly written: readonly string[];
  readonly notRestored: readonly ExcludedFile[];
}

/**
 * Restores into a new or empty folder, never over existing files. What cannot be restored is
 * named, and the rest restored.
 */
export async function restoreFiles(
  input: SavedFiles & TimeLimit & { readonly into: string },
): Promise<Result<RestoreResult>> {
  return withSaved(input, (snapshot) => writeInto(snapshot, input.into));
}

async function writeInto(snapshot: ReadSnapshot, folder: string): Promise<Result<RestoreResult>> {
  const existing = lstatSync(folder, { throwIfNoEntry: false });
  const partial = temporaryBeside(existing ? join(folder, "files") : folder);
  const isUsable = !existing || existing.isDirectory();
  if (isUsable) removeLeftovers(dirname(partial), temporaryNames);
  if (!isUsable || (existing && readdirSync(folder).length > 0))
    return fail("folder_not_empty", `${folder} exists and is not an empty folder: name one that does not exist`);
  mkdirSync(partial, { recursive: true, mode: 0o700 });
  try {
    const result = await writeFiles(snapshot, realpathSync(partial));
    // A folder that is there stays: a shell may be in it.
    if (!existing) renameSync(partial, folder);
    else for (const name of readdirSync(partial)) renameSync(join(partial, name), join(folder, name));
    return ok(result);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** Chosen files of a snapshot beside those of the project. */
export interface Comparison {
  readonly compared: number;
  readonly changes: readonly UndoneFile[];
  readonly notRestored: readonly ExcludedFile[];
  /** Chosen paths that the snapshot lacks. */
  readonly unknown: readonly string[];
}

/**
 * Finds files of a snapshot that differ from the project's in content, type or executable bit, or
 * that fewer may read. Files that only the project has are none of them.
 */
export async function compareSaved(
  { opened, objects, modes }: ReadSnapshot,
  top: string,
  chosen: readonly string[],
): Promise<Comparison> {
  const git = readingGit(opened, objects);
  const entries = (await indexEntries(git)).filter(({ path }) => isChosen(chosen, path));
  const changes: UndoneFile[] = [];
  const notRestored: ExcludedFile[] = [];
  for (const { path, mode, id } of entries) {
    try {
      if (mode === submoduleMode) throw new Error(`a submodule, at commit ${id}`);
      requireOwnFolder(top, path);
      const after = modes.fullEntry(path, `${mode} ${id}`);
      const before = entryOnDisk(diskPath(top, path), formatOf(after));
      if (!hasSameContent(before, after) || isMoreOpen(before, after))
        changes.push({ path, before, after, folders: foldersOf(path).map((folder) => modes.ofFolder(folder)) });
    } catch (error) {
      notRestored.push({ path: displayPath(path), reason: messageOf(error) });
    }
  }
  const { ready, lost } = await splitLost(git, changes);
  const unknown = chosen.filter((one) => !entries.some(({ path }) => isChosen([one], path)));
  const all = [...notRestored, ...lost];
  return { compared: entries.length - all.length, changes: ready, notRestored: all, unknown };
}

/** Whether more may read or run a file now; git says only what can be run. */
function isMoreOpen(before: FileEntry, after: FileEntry): boolean {
  const [now, then] = [rightsIn(before), rightsIn(after)];
  if (now === null || then === null || process.platform === "win32") return false;
  return (now & ~then & 0o044) !== 0 || ((now ^ then) & 0o100) !== 0;
}

/** From the project's files to those of the snapshot. */
export async function diffSaved(
  { opened, objects, commit }: ReadSnapshot,
  top: string,
  changes: readonly UndoneFile[],
): Promise<string> {
  const git = besideIndex(opened, readingGit(opened, objects, top));
  await updateIndex(git, ["--add", "--remove", "--replace"], changes);
  return diffTrees(git, await text(git, ["write-tree", "--missing-ok"]), commit);
}

/** Puts files of a snapshot back into the project. */
export async function replaceSaved(snapshot: ReadSnapshot, work: Omit<Replacement, "source">): Promise<ReplacedFiles> {
  const source = join(snapshot.opened.scratch, "files");
  await checkOut(snapshot.opened, snapshot, work.changes, source);
  return replaceFiles({ ...work, source });
}

/** Settings with which git writes many files by all processors. */
const inParallel = ["checkout.workers=0", "checkout.thresholdForParallelism=1000"];

/** Writes a snapshot's files; the scratch's index has their times afterwards. */
export async function writeFiles(
  { opened, commit, settings, objects, modes }: ReadSnapshot,
  top: string,
): Promise<RestoreResult> {
  const git = readingGit(opened, objects, top, [...settings, ...inParallel]);
  const all = await indexEntries(git);
  const paths = all.filter(({ mode }) => mode !== submoduleMode).map(({ path }) => path);
  // Exit 1: some files could not be written, or are not there any more; they are found below.
  const args = ["checkout-index", "-q", "-u", "-z", "--stdin"];
  const { code, stderr } = await run(git, args, joinRaw(paths), [0, 1, 128]);
  const { entries, absent } = code === 0 ? { entries: all, absent: [] } : await dropAbsent(git, git, commit, isAbsent);
  const files = entries.filter(({ mode }) => mode !== submoduleMode);
  const submodules = entries.filter(({ mode }) => mode === submoduleMode);
  const failed = code === 0 ? [] : files.filter(({ path }) => readStats(top, path) === undefined);
  const isFailed = new Set(failed);
  for (const { path, mode } of files) setMode(top, path, modes.of(path, mode));
  for (const folder of new Set(files.flatMap(({ path }) => foldersOf(path))))
    setMode(top, folder, modes.ofFolder(folder));
  return {
    written: files.filter((entry) => !isFailed.has(entry)).map(({ path }) => displayPath(path)),
    notRestored: [
      ...absent,
      ...submodules.map(({ path, id }) => ({ path: displayPath(path), reason: `a submodule, at commit ${id}` })),
      ...failed.map(({ path }) => ({ path: displayPath(path), reason: firstLine(stderr) || "git could not write it" })),
    ],
  };
}

const isAbsent = "it was unchanged and stored only in the project's own objects, which no longer have it";

/**
 * Another machine may have written them: only content settings count, so git runs no command
 * that they name.
 */
function settingsIn(about: Awaited<ReturnType<typeof readAbout>>): string[] {
  const settings = listAt(about, "settings");
  return settings.filter((value) => typeof value === "string" && isContentSetting(value)) as string[];
}

function isCommitId(text: string): boolean {
  return /^[0-9a-f]{40,64}$/.test(text);
}

/** Unpacks the objects of a bundle into the scratch. */
export async function unpack(
  opened: OpenRepository,
  tree: WorkTree,
  { env, bundle, needs, project: folder }: Pick<SnapshotDeps, "env"> & Pick<Received, "bundle" | "needs" | "project">,
): Promise<Result<null>> {
  const project = repositoryGit(env, { gitDir: tree.gitDir }, opened.signal);
  const missing = await findMissing(project, needs);
  if (missing.length > 0)
    return fail(
      "commit_missing",
      `the files are based on commit ${missing.join(", ")}, which is not in ${folder}: \`git fetch\` there, or push it from the machine that has it, then try again`,
    );
  const file = join(opened.scratch, "files.bundle");
  writeFileSync(file, bundle, { mode: 0o600 });
  const verified = await run(project, ["bundle", "verify", "--quiet", file], "", [0, 1, 128]);
  if (verified.code !== 0)
    return fail(
      "bundle_unusable",
      `git does not accept the files: ${firstLine(verified.stderr) || "they are damaged"}`,
    );
  const pack = bundle.subarray(bundle.indexOf("\n\n") + 2);
  await run(readingGit(opened, [tree.objects]), ["unpack-objects", "-q", "--strict"], pack);
  return ok(null);
}

/** Ids that are those of no commit. */
export async function findMissing(project: Git, needs: readonly string[]): Promise<string[]> {
  return (await describe(project, needs)).filter(({ type }) => type !== "commit").map(({ id }) => id);
}
