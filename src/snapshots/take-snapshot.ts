import { join } from "node:path";
import {
  changesSince,
  indexEntries,
  isContentSetting,
  projectTree,
  readAttributes,
  updateIndex,
  type Attributes,
  type FileChange,
  type IndexEntry,
  type WorkTree,
} from "./work-tree.ts";
import {
  GitError,
  displayPath,
  leavesTree,
  joinRaw,
  run,
  text,
  withAuthor,
  withTimeLimit,
  type Git,
  type RawPath,
} from "./git.ts";
import {
  describe,
  inRepository,
  listNeeded,
  looseIds,
  baseIndex,
  baseTime,
  pack,
  readBase,
  readingGit,
  removeBase,
  repositoryFor,
  splitIntoPacks,
  useBytes,
  withRepository,
  writeBase,
  writeRef,
  type Base,
  type OpenRepository,
  type DoneSnapshot,
  type Snapshot,
  type SnapshotInput,
} from "./repository.ts";
import {
  firstLeftOut,
  ownFiles,
  readStats,
  select,
  type ExcludedFile,
  type LeftOut,
  type Selection,
  type SnapshotLimits,
  exclusionReason,
  ignoredReason,
  listUnsaved,
  toRaw,
  type UnsavedFile,
} from "./selection.ts";
import { exclusionsOf, sparseReason, type Exclusions } from "./path-state.ts";
import { holdsMore, usualPlainFiles, withoutLargeFolders } from "./large-folders.ts";
import { exactNames } from "./disk-names.ts";
import { copyProjectFiles, readTracked, unhide } from "./project-index.ts";
import { SecretContent } from "./secret-content.ts";
import { readListing, type ChangeTimes, type FileModes } from "./file-modes.ts";
import { bytesIndex, stageBytes, type ConvertedFiles } from "./stage-bytes.ts";
import { withNested, type WithNested } from "./nested-repositories.ts";
import { parseObject } from "../shared/json-fields.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import { settingsSeen, rememberProject, takeUnchanged } from "./unchanged.ts";

const maxNamed = 1_000;

/**
 * Stores tracked and untracked, not ignored files as a commit in SHIM's repository. Writes
 * nothing into the project. Owns the content, so that `git gc` in the project cannot remove
 * it. Taking it again under the same id replaces it.
 */
export async function takeSnapshot(input: SnapshotInput): Promise<Snapshot> {
  const known = await takeUnchanged(input, "large");
  if (known !== null) return known;
  const settings = settingsSeen(input)?.digest;
  const taken = await withProject<DoneSnapshot>(input, async (opened, tree) => {
    const present = await readPresent(opened, tree, input);
    if (!present.ok) return present;
    const done = await adopt(opened, tree, present.value, input);
    const { ignored, files } = present.value;
    await rememberProject(opened, tree, { settings, ignored, files, snapshot: done }, input);
    return ok(done);
  });
  if (taken.ok) return taken.value;
  const { code, message } = taken.error;
  return { state: code === "no_snapshot" ? "skipped" : "failed", reason: message };
}

/** Does work under the lock of the project's repository, within the time limit. */
export async function withProject<T>(
  input: SnapshotInput,
  work: (opened: OpenRepository, tree: WorkTree) => Promise<Result<T>>,
): Promise<Result<T>> {
  return withTimeLimit<Result<T>>(
    { timeoutMs: input.limits.timeoutMs, signal: input.signal },
    async (signal) => {
      const repositoryOf = (tree: Pick<WorkTree, "format" | "commonDir">): string =>
        repositoryFor(input.snapshots, tree);
      const tree = await projectTree(input.env, input.project, signal, repositoryOf);
      if ("skipped" in tree) return fail("no_snapshot", tree.skipped);
      const repository = repositoryOf(tree.found);
      return withRepository(input, repository, tree.found, signal, async (opened) => {
        try {
          return await work(opened, tree.found);
        } catch (error) {
          // The base may be damaged.
          if (error instanceof GitError && error.fault === "failed") removeBase(repository);
          throw error;
        }
      });
    },
    (reason) => fail("restore_failed", reason),
  );
}

interface TreeInput extends Pick<SnapshotInput, "snapshots"> {
  readonly limits: SnapshotLimits;
}

interface StagedTree {
  /** Id of the tree, whose new objects are in the scratch. */
  readonly root: string;
  readonly selection: Selection;
  readonly ignored: readonly RawPath[];
  readonly nested: readonly RawPath[];
  /** Tracked paths and folders that a sparse checkout has not. */
  readonly sparse: readonly RawPath[];
  readonly reader: Git;
  readonly writer: Git;
}

/**
 * Writes the files that a snapshot would hold as a tree into the scratch, nothing elsewhere.
 *
 * @param isMerged without what cannot be merged: files that git keeps through a filter, and those
 * of repositories in the project
 */
export async function stageTree(
  opened: OpenRepository,
  tree: WorkTree,
  input: TreeInput,
  isMerged: boolean,
  index = join(tree.gitDir, "index"),
): Promise<StagedTree> {
  copyProjectFiles(tree, opened.scratch, index);
  const reader = readingGit(opened, [tree.objects], tree.top, tree.config);
  const writer = readingGit(opened, [], tree.top, tree.config);
  const tracked = await readTracked(opened, tree.head, { reader, writer });
  const sparse = await unhide(writer, tree.top, tracked);
  const { selection, unchanged, attributes, ...seen } = await selectChanges(
    opened,
    tree,
    input,
    reader,
    tracked,
    isMerged,
  );
  const { ignored, nested } = seen;
  useBytes(opened.scratch);
  const { converted } = attributes;
  await stage(writer, { ...selection, taken: selection.taken.filter(({ path }) => !converted.has(path)) }, tree.format);
  const files = { selection, unchanged, attributes };
  const leftOut = await stageBytes(opened, tree, { reader, writer }, files, input.limits);
  const root = await text(writer, ["write-tree", "--missing-ok"]);
  const all = { ...selection, leftOut: [...selection.leftOut, ...leftOut] };
  return { ignored, nested, sparse, reader, writer, root, selection: all };
}

/** The project's files as they are, in the scratch folder. */
export interface PresentFiles
  extends Pick<StagedTree, "root" | "ignored" | "reader" | "writer">, Omit<About, "branch"> {
  /** Ids of the objects that the base has not. */
  readonly ids: readonly string[];
  readonly base: Base | null;
  readonly leftOut: readonly ExcludedFile[];
  /** Number of files in it. */
  readonly files: number;
}

/** @param known paths of an earlier reading: this one holds those that are there, if it can */
export async function readPresent(
  opened: OpenRepository,
  found: WorkTree,
  input: SnapshotInput,
  known: (reader: Git, root: string) => Promise<readonly RawPath[]> = () => Promise.resolve([]),
): Promise<Result<PresentFiles>> {
  const base = readBase(opened);
  const { maxPlainFiles = usualPlainFiles } = input.limits;
  if (found.isPlain && base === null && (await holdsMore(found.top, maxPlainFiles)))
    return fail(
      "no_snapshot",
      `${found.top} is not in a git repository and holds more than ${maxPlainFiles} files: \`git init\` there makes it a project`,
    );
  const isFromBase = found.isPlain && base !== null;
  const tree = isFromBase ? { ...found, head: base.commit } : found;
  const index = isFromBase ? join(opened.repository, baseIndex) : undefined;
  const { selection, reader, writer, ...staged } = await stageTree(opened, tree, input, false, index);
  const added = await addKnown(writer, tree.top, await known(reader, staged.root), input.limits);
  const whole = added.size === 0 ? staged.root : await text(writer, ["write-tree", "--missing-ok"]);
  const { root, ids, absent } = await withoutAbsent(reader, writer, whole, base);
  const leftOut = [...selection.leftOut, ...absent.map(({ path, reason }): LeftOut => [toRaw(path), reason])];
  const { ignored, nested, sparse } = staged;
  const unsaved = await listUnsaved(tree.top, ignored, selection.leftOut, nested);
  const unknown = [
    ...leftOut,
    ...ignored.map((path): LeftOut => [path, ignoredReason]),
    ...sparse.map((path): LeftOut => [path, sparseReason]),
  ].filter(([path]) => !added.has(path));
  const facts = { head: found.head, settings: tree.config.filter(isContentSetting), unsaved };
  const about = { base, ...facts, excluded: exclusionsOf(unknown) };
  const held = await indexEntries(writer);
  const listing = await readListing(
    tree.top,
    held.map(({ path }) => path),
    changedSince(opened, input.now),
  );
  return ok({
    root,
    ids,
    ignored,
    reader,
    writer,
    files: held.length,
    ...about,
    ...listing,
    leftOut: [...new Map(leftOut)].map(([path, reason]) => ({ path: displayPath(path), reason })),
  });
}

/** Ignored by now, or in a repository of its own. @returns those that the index has now */
async function addKnown(
  writer: Git,
  top: string,
  paths: readonly RawPath[],
  limits: SnapshotLimits,
): Promise<ReadonlySet<RawPath>> {
  const context = { top, limits, content: new SecretContent() };
  const isNamed = exactNames(top);
  const files = paths.filter((path) => {
    const stats = leavesTree(path) || !isNamed(path) ? undefined : readStats(top, path);
    if (stats === undefined || stats.isDirectory()) return false;
    return stats.isSymbolicLink() || exclusionReason(context, path, stats) === null;
  });
  await updateIndex(
    writer,
    ["--add", "--replace"],
    files.map((path) => ({ path })),
  );
  return new Set(files);
}

/** The tree without what the project itself lacks. */
async function withoutAbsent(
  reader: Git,
  writer: Git,
  root: string,
  base: Base | null,
): Promise<Pick<PresentFiles, "root" | "ids"> & { readonly absent: readonly ExcludedFile[] }> {
  if (root === base?.root) return { root, ids: [], absent: [] };
  const { ids, absent } = await listNeeded(reader, root, base?.root);
  if (absent.length === 0) return { root, ids, absent: [] };
  const dropped = await dropAbsent(reader, writer, root, "its content is not in the project's objects on this machine");
  const rest = await text(writer, ["write-tree", "--missing-ok"]);
  return { ...(await withoutAbsent(reader, writer, rest, base)), absent: dropped.absent };
}

/** Time in ms that the newest snapshot may have taken, or that a first one looks back. */
const slackMs = 60_000;

/** Epoch ms: the newest snapshot has the times of all changes before. */
function changedSince({ repository }: OpenRepository, now: number): number {
  return (baseTime(repository) ?? now) - slackMs;
}

/** Last line of a snapshot's message, as JSON. */
interface About {
  readonly head: string | null;
  readonly branch: string | null;
  readonly settings: readonly string[];
  readonly unsaved: readonly UnsavedFile[];
  /** Paths of which the reading does not know how they are. */
  readonly excluded: Exclusions;
  readonly modes: FileModes;
  readonly times: ChangeTimes;
}

/** Another machine may have written it. */
export async function readAbout(git: Git, commit: string): Promise<Partial<Record<keyof About, unknown>>> {
  const message = await text(git, ["cat-file", "commit", commit]);
  return parseObject(message.trimEnd().split("\n").at(-1) ?? "") ?? {};
}

/** Moves them into SHIM's repository under the checkpoint's name. */
export async function adopt(
  opened: OpenRepository,
  tree: WorkTree,
  present: PresentFiles,
  { checkpointId, alsoFor = [], limits, now }: SnapshotInput,
): Promise<DoneSnapshot> {
  const { base, root, head, settings, unsaved, excluded, modes, times, writer } = present;
  const facts: Omit<About, "times"> = { head, branch: tree.branch, settings, unsaved, excluded, modes };
  const about = JSON.stringify(facts);
  // The same work is the same commit.
  const isKnown = base !== null && base.root === root && base.about === about;
  const message = `Work saved by SHIM\n\n${JSON.stringify({ ...facts, times })}\n`;
  const commit = isKnown ? base.commit : await text(withAuthor(writer, now), ["commit-tree", root], message);
  const borrowed = await adoptObjects(opened, present, isKnown ? [] : [commit], { commit, checkpointId, limits });
  for (const id of alsoFor) writeRef(opened.repository, id, commit);
  if (borrowed === 0) {
    const index = join(opened.scratch, tree.isPlain ? "index" : bytesIndex);
    writeBase(opened, { checkpointId, commit, root, about, seen: null }, index);
  }
  return {
    state: "done",
    head,
    branch: tree.branch,
    commit,
    repository: opened.repository,
    leftOut: firstLeftOut(present.leftOut, maxNamed),
    borrowed,
  };
}

interface SelectedChanges extends Omit<ConvertedFiles, "attributes">, Pick<WithNested, "ignored" | "nested"> {
  readonly attributes: Attributes;
}

async function selectChanges(
  opened: OpenRepository,
  tree: WorkTree,
  input: TreeInput,
  reader: Git,
  tracked: readonly IndexEntry[],
  isMerged: boolean,
): Promise<SelectedChanges> {
  const seen = await changesSince(reader, tracked);
  const own = { ...seen, nested: [], inside: new Set<RawPath>() };
  const found = isMerged ? own : { ...seen, ...(await withNested(tree.top, seen, opened.host.env, opened.signal)) };
  // A folder without git is all new the first time, and is counted before.
  const { changes: read, large } =
    tree.isPlain === true ? { ...found, large: [] } : withoutLargeFolders(tree.top, found, input.limits);
  const changes = { ...found, changes: read };
  const paths = [...new Set([...changes.tracked, ...changes.changes].map(({ path }) => path))];
  const given = await readAttributes(reader, paths);
  // The index that is kept has them, so that only changed ones are read again.
  const kept = tree.isPlain ? [] : [...found.inside].map((path): [RawPath, boolean] => [path, true]);
  const filters = isMerged ? given.filter : new Map<RawPath, string>();
  const converted = [...given.converted].filter(([path]) => !filters.has(path));
  const attributes = { ...given, converted: new Map([...converted, ...kept]) };
  const isOwn = ownFiles(tree.top, input.snapshots);
  const selected = await select(tree.top, changes, filters, input.limits, isOwn);
  const selection = { ...selected, leftOut: [...large, ...selected.leftOut] };
  const changed = new Set(changes.changes.map(({ path }) => path));
  const unchanged = found.tracked.filter(({ path }) => !changed.has(path));
  return { selection, unchanged, attributes, ignored: found.ignored, nested: found.nested };
}

/**
 * Moves new objects first, then the project's within size and time.
 *
 * @returns the number of files whose content is borrowed
 */
async function adoptObjects(
  opened: OpenRepository,
  { reader, writer, ids }: PresentFiles,
  commits: readonly string[],
  { commit, checkpointId, limits }: Pick<SnapshotInput, "checkpointId" | "limits"> & { readonly commit: string },
): Promise<number> {
  // Objects that git has just written are nowhere else; it is asked for the others, if any.
  const fresh = looseIds(opened.scratch);
  const rest = ids.filter((id) => !fresh.has(id));
  const [owned, objects] = await Promise.all([describe(inRepository(opened), rest), describe(reader, rest)]);
  const missing = objects.filter((_, at) => owned[at]?.type === "missing");
  const required = missing.filter(({ type }) => type !== "blob").map(({ id }) => id);
  await pack(reader, opened.owned, [...commits, ...ids.filter((id) => fresh.has(id)), ...required]);
  // The base may be of this checkpoint, which gets another commit.
  removeBase(opened.repository);
  writeRef(opened.repository, checkpointId, commit);
  const others = missing.filter(({ type }) => type === "blob");
  const borrowed = new Set(others.map(({ id }) => id));
  // While there is time.
  const entries = others.length === 0 ? [] : await indexEntries(writer);
  for (const portion of splitIntoPacks(others, limits.maxTotalBytes)) {
    try {
      await pack(reader, opened.owned, portion);
    } catch (error) {
      // The snapshot is whole while the project keeps its objects; the next one continues.
      if (error instanceof GitError && error.fault === "stopped") break;
      throw error;
    }
    for (const id of portion) borrowed.delete(id);
  }
  return entries.filter(({ id }) => borrowed.has(id)).length;
}

/**
 * Git must not see the project's objects here: on writing an object that exists, it sets the time
 * of the file that has it.
 */
async function stage(git: Git, { taken, deleted, kept }: Selection, format: string): Promise<void> {
  const zeroId = "0".repeat(format === "sha256" ? 64 : 40);
  const remove = ({ path }: FileChange) => `0 ${zeroId}\t${path}`;
  const tracked = [...deleted, ...kept].filter(({ path }) => !path.endsWith("/"));
  const changes = [
    ...tracked.map(remove),
    ...kept.flatMap(({ path, before }) => (before ? [`${before.mode} ${before.id}\t${path}`] : [])),
  ];
  if (changes.length > 0) await run(git, ["update-index", "--replace", "-z", "--index-info"], joinRaw(changes));
  // --remove: a file deleted meanwhile is not in the snapshot either.
  await updateIndex(git, ["--add", "--remove", "--replace"], taken);
}

/** Drops the index entries whose objects are missing, as in a partial clone. */
export async function dropAbsent(
  reader: Git,
  writer: Git,
  root: string,
  reason: string,
): Promise<{ entries: IndexEntry[]; absent: ExcludedFile[] }> {
  const entries = await indexEntries(writer);
  const absentIds = new Set((await listNeeded(reader, root)).absent);
  const absent = entries.filter(({ id }) => absentIds.has(id));
  await updateIndex(writer, ["--force-remove"], absent);
  return {
    entries: entries.filter(({ id }) => !absentIds.has(id)),
    absent: absent.map(({ path }) => ({ path: displayPath(path), reason })),
  };
}
