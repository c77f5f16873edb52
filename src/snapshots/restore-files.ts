import {
  chmodSync,
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
import type { FailureCode } from "../contract/errors.ts";
import { removeLeftovers, temporaryNames } from "../platform/leftovers.ts";
import { temporaryBeside } from "../platform/private-files.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { discover, indexEntries, isContentSetting, submoduleMode, type WorkTree } from "./work-tree.ts";
import { KnownModes } from "./file-modes.ts";
import {
  diskPath,
  displayPath,
  firstLine,
  joinRaw,
  lines,
  repositoryGit,
  run,
  withTimeLimit,
  type Git,
  type RawPath,
  type TimeLimit,
} from "./git.ts";
import {
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

export interface RestoreInput extends SnapshotDeps, TimeLimit {
  readonly repository: string;
  readonly commit: string;
  /** New or empty folder. */
  readonly into: string;
}

export interface RestoreResult {
  readonly written: readonly string[];
  readonly notRestored: readonly ExcludedFile[];
}

export interface RestoreRefusal {
  readonly code: FailureCode;
  readonly message: string;
}

export type RestoreOutcome = Result<RestoreResult, RestoreRefusal>;

/**
 * Restores into a new folder, never over existing files. What cannot be restored is
 * named, and the rest restored.
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

async function putBack(
  opened: OpenRepository,
  { commit, into: folder }: Pick<RestoreInput, "commit" | "into">,
): Promise<RestoreOutcome> {
  const missing = await findMissingSnapshot(opened, commit);
  if (missing !== null) return err(missing);
  const existing = lstatSync(folder, { throwIfNoEntry: false });
  const partial = temporaryBeside(existing ? join(folder, "files") : folder);
  const isUsable = !existing || existing.isDirectory();
  if (isUsable) removeLeftovers(dirname(partial), temporaryNames);
  if (!isUsable || (existing && readdirSync(folder).length > 0))
    return refuse("folder_not_empty", `${folder} exists and is not an empty folder: name one that does not exist`);
  mkdirSync(partial, { recursive: true, mode: 0o700 });
  try {
    const result = await writeFiles(await readSnapshot(opened, commit), realpathSync(partial));
    // A folder that is there stays: a shell may be in it.
    if (!existing) renameSync(partial, folder);
    else for (const name of readdirSync(partial)) renameSync(join(partial, name), join(folder, name));
    return ok(result);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

export async function findMissingSnapshot(opened: OpenRepository, commit: string): Promise<RestoreRefusal | null> {
  const { code } = await run(readingGit(opened, []), ["cat-file", "-e", `${commit}^{commit}`], "", [0, 1, 128]);
  if (code === 0) return null;
  return { code: "snapshot_missing", message: `the snapshot ${commit} is not in ${opened.repository}` };
}

function refuse(code: RestoreRefusal["code"], message: string): RestoreOutcome {
  return err({ code, message });
}

/** Files of a snapshot, in the scratch's index. */
export interface ReadSnapshot {
  readonly opened: OpenRepository;
  readonly commit: string;
  readonly settings: readonly string[];
  readonly objects: readonly string[];
  readonly modes: KnownModes;
}

export async function readSnapshot(opened: OpenRepository, commit: string): Promise<ReadSnapshot> {
  const [objects, about] = await Promise.all([projectObjects(opened), readAbout(readingGit(opened, []), commit)]);
  const known = objects === null ? [] : [objects];
  await run(readingGit(opened, known), ["read-tree", commit]);
  return { opened, commit, settings: settingsIn(about), objects: known, modes: new KnownModes(about.modes) };
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
  return {
    written: files.filter((entry) => !isFailed.has(entry)).map(({ path }) => displayPath(path)),
    notRestored: [
      ...absent,
      ...submodules.map(({ path, id }) => ({ path: displayPath(path), reason: `a submodule, at commit ${id}` })),
      ...failed.map(({ path }) => ({ path: displayPath(path), reason: firstLine(stderr) || "git could not write it" })),
    ],
  };
}

/** @param mode null: it is no file */
function setMode(top: string, path: RawPath, mode: number | null): void {
  const now = readStats(top, path);
  if (mode !== null && now?.isFile() && (now.mode & 0o777) !== mode) chmodSync(diskPath(top, path), mode);
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

export interface RestoreReceivedInput extends Omit<RestoreInput, "repository"> {
  readonly project: string;
  readonly snapshots: string;
  readonly bundle: Buffer;
  readonly needs: readonly string[];
}

/**
 * Restores like `restoreFiles`, from a bundle verified against the local clone and unpacked
 * into a scratch, of which nothing is kept. Refuses a bundle without its base commits.
 */
export async function restoreReceived(input: RestoreReceivedInput): Promise<RestoreOutcome> {
  if (![input.commit, ...input.needs].every(isCommitId))
    return refuse("bundle_unusable", "the files name invalid commit ids");
  return withTimeLimit(
    input,
    async (signal) => {
      const tree = await discover(input.env, input.project, signal);
      if ("skipped" in tree) return refuse("not_a_work_tree", tree.skipped);
      const { found } = tree;
      return withRepository(input, repositoryFor(input.snapshots, found), found, signal, async (opened) => {
        return (await unpack(opened, found, input)) ?? putBack(opened, input);
      });
    },
    (reason) => refuse("restore_failed", reason),
  );
}

/** Unpacks the objects of a bundle into the scratch. @returns why not */
export async function unpack(
  opened: OpenRepository,
  tree: WorkTree,
  { env, bundle, needs, project: folder }: Pick<RestoreReceivedInput, "env" | "bundle" | "needs" | "project">,
): Promise<RestoreOutcome | null> {
  const project = repositoryGit(env, { gitDir: tree.gitDir }, opened.signal);
  const missing = await findMissing(project, needs);
  if (missing.length > 0)
    return refuse(
      "commit_missing",
      `the files are based on commit ${missing.join(", ")}, which is not in ${folder}: \`git fetch\` there, or push it from the machine that has it, then try again`,
    );
  const file = join(opened.scratch, "files.bundle");
  writeFileSync(file, bundle, { mode: 0o600 });
  const verified = await run(project, ["bundle", "verify", "--quiet", file], "", [0, 1, 128]);
  if (verified.code !== 0)
    return refuse(
      "bundle_unusable",
      `git does not accept the files: ${firstLine(verified.stderr) || "they are damaged"}`,
    );
  const pack = bundle.subarray(bundle.indexOf("\n\n") + 2);
  await run(readingGit(opened, [tree.objects]), ["unpack-objects", "-q", "--strict"], pack);
  return null;
}

export async function findMissing(project: Git, needs: readonly string[]): Promise<string[]> {
  const queries = needs.map((id) => `${id}^{commit}\n`).join("");
  const answer = await lines(project, ["cat-file", "--batch-check=%(objecttype)"], queries);
  return needs.filter((_id, at) => answer[at] !== "commit");
}
