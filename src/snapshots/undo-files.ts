import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { diskPath, displayPath, leavesTree, type Git, type RawPath } from "./git.ts";
import { deflateSync } from "node:zlib";
import { messageOf } from "../shared/error.ts";
import { ok, type Result } from "../shared/result.ts";
import { blobHeader, entryOnDisk } from "./file-entry.ts";
import { isEntry, stateOf, type PathState } from "./path-state.ts";
import { realPath } from "../platform/paths.ts";
import { tickMs } from "./change-author.ts";
import { touchedFiles } from "./touched-files.ts";
import { FileTimes } from "./file-times.ts";
import { foldersOf, KnownModes } from "./file-modes.ts";
import { checkOut, diffTrees, isChosen, splitLost, toFileChange, treeAfter, type FileChange } from "./file-changes.ts";
import { replaceFiles, type ReplacedFiles } from "./replace-files.ts";
import { settleLeftovers } from "./staged-files.ts";
import { describe, readingGit, type OpenRepository, type Snapshot, type SnapshotInput } from "./repository.ts";
import { namesOnDisk } from "./disk-names.ts";
import { type ExcludedFile, goneOf, movedFrom, readStats, toRaw, type UnsavedFile } from "./selection.ts";
import { adopt, readAbout, readPresent, withProject, type PresentFiles } from "./take-snapshot.ts";
import {
  History,
  presentReading,
  type EditOfOther,
  type Found,
  type UndoneFile,
  type UndoStep,
} from "./undo-history.ts";
import { entriesAt, pathsLackedBy } from "./tree-entries.ts";
import { isContentSetting } from "./work-tree.ts";

/** Contents, as base64, by their objects: those that images hold. */
type Contents = readonly (readonly [object: string, content: string])[];

/** Facts of the turns that are taken back. */
export interface UndoneTurns {
  /** Oldest first. */
  readonly steps: readonly UndoStep[];
  readonly others: readonly EditOfOther[];
  /** False: an edit of the chat has a time that is not that of its call. */
  readonly isClockRight: boolean;
}

interface Redo {
  readonly redo: readonly UndoneFile[];
  /** Whether a redo has done a part of it. */
  readonly isBegun: boolean;
}

export interface UndoInput extends SnapshotInput {
  readonly contents: Contents;
  /** Turns, or the undo that is taken back. */
  readonly what: UndoneTurns | Redo;
  /** Paths of files and folders, relative to the project; empty: all. */
  readonly chosen: readonly string[];
  /** save: saves the files of now, too. */
  readonly how: "preview" | "save";
}

/** Changes of an undo, before it makes them. */
export interface PlannedUndo {
  readonly changes: readonly FileChange[];
  /** Files of the chat that stay as they are, each with the reason. */
  readonly left: readonly ExcludedFile[];
  /** Text as `git diff` prints it; empty where it was saved. */
  readonly diff: string;
  /** Saved plan, with what a killed undo has done of it; null: nothing was saved. */
  readonly planned: { readonly snapshot: Snapshot; readonly changes: readonly UndoneFile[] } | null;
}

/** Says what would take back what a chat has changed. */
export async function undoFiles(input: UndoInput): Promise<Result<PlannedUndo>> {
  return withProject<PlannedUndo>(input, async (opened, tree) => {
    if (await isReadingLost(opened, input)) return ok({ changes: [], left: [readingLost], diff: "", planned: null });
    writeObjects(opened.scratch, input.contents);
    // One that was killed at its end leaves nothing to the next one but its folder.
    if (input.how === "save") settleLeftovers(tree.top);
    const paths = (git: Git, root: string): Promise<RawPath[]> => heldBefore(git, root, input, tree.top);
    const read = await readPresent(opened, tree, input, paths);
    if (!read.ok) return read;
    const present = read.value;
    const found = await findChanges(input, opened.scratch, tree.top, present);
    const wanted = found.changes.filter(({ path }) => isChosen(input.chosen, path));
    // "*": of all files.
    const left = found.left.filter(({ path }) => path === "*" || isChosen(input.chosen, path));
    // A folder stands for a chosen file in it of which nothing else is known.
    const others = input.chosen.filter((one) => ![...wanted, ...left].some(({ path }) => isChosen([one], path)));
    left.push(...found.left.filter(({ path }) => path.endsWith("/") && others.some((one) => one.startsWith(path))));
    const { ready, lost } = await splitLost(present.reader, wanted);
    // A killed undo is a part of the one that completes it.
    const all = [...found.begun.filter(({ path }) => isChosen(input.chosen, path)), ...ready];
    const done = { changes: all.map(toFileChange), left: [...left, ...lost] };
    if (input.how === "save" && all.length > 0) {
      const planned = { snapshot: await adopt(opened, tree, present, input), changes: all };
      return ok({ ...done, diff: "", planned });
    }
    return ok({ ...done, diff: ready.length === 0 ? "" : await diffOf(opened, present, ready), planned: null });
  });
}

const readingLost = {
  path: "*",
  reason: "readings of these turns are stored no more, or in another format than git has here",
};

async function isReadingLost(opened: OpenRepository, { what }: UndoInput): Promise<boolean> {
  if ("redo" in what) return false;
  return (await describe(readingGit(opened, []), commitsOf(what.steps))).some(({ type }) => type === "missing");
}

/** Paths that the turns had, and that the files of now may hide by their ignore rules. */
async function heldBefore(git: Git, root: string, { what, project }: UndoInput, top: string): Promise<RawPath[]> {
  if ("redo" in what) {
    const seen = await entriesAt(git, root);
    return what.redo.map(({ path }) => path).filter((path) => !seen.has(path));
  }
  const edited = what.steps.flatMap((step) => ("images" in step ? step.images : []));
  const toRawPath = rawPaths(project, top);
  const paths = edited.flatMap(({ path }) => toRawPath(path) ?? []);
  for (const commit of commitsOf(what.steps)) paths.push(...(await pathsLackedBy(git, root, commit)));
  return [...new Set(paths)];
}

/** Readings of the steps, but for the files of now. */
function commitsOf(steps: readonly UndoStep[]): string[] {
  const commits = steps.flatMap((step) => [step.start ?? [], "end" in step ? (step.end?.commit ?? []) : []].flat());
  return [...new Set(commits)];
}

export interface WriteInput extends SnapshotInput {
  readonly contents: Contents;
  /** The planned ones of `undoFiles`. */
  readonly changes: readonly UndoneFile[];
}

/** Makes planned changes in the project; a file that is not as planned stays. */
export async function writePlanned({ changes, ...input }: WriteInput): Promise<Result<ReplacedFiles>> {
  return withProject(input, async (opened, tree) => {
    const { top } = tree;
    writeObjects(opened.scratch, input.contents);
    const source = join(opened.scratch, "files");
    const settings = tree.config.filter(isContentSetting);
    await checkOut(opened, { objects: [tree.objects], settings }, changes, source);
    return ok(await replaceFiles({ top, changes, source, backup: null }));
  });
}

async function diffOf(
  opened: OpenRepository,
  { reader, root }: PresentFiles,
  changes: readonly UndoneFile[],
): Promise<string> {
  // No reading has what is outside of the project.
  const elsewhere = changes.filter(({ path }) => leavesTree(path));
  const now = elsewhere.map(({ path, before }) => ({ path, before: null, after: before }));
  const before = now.length === 0 ? root : await treeAfter(opened, reader, now);
  return diffTrees(reader, before, await treeAfter(opened, reader, changes));
}

/** Time in ms that may pass between the request and the reading. */
const maxWaitMs = 60_000;

/** @param scratch the reading has just written there */
function isClockOf(now: number, scratch: string): boolean {
  const { ctimeMs } = statSync(join(scratch, "HEAD"));
  return ctimeMs > now - tickMs && ctimeMs < now + maxWaitMs;
}

async function findChanges(input: UndoInput, scratch: string, top: string, present: PresentFiles): Promise<Found> {
  const { what } = input;
  if ("redo" in what) return findRedo(what, present, top);
  const times = what.isClockRight && isClockOf(input.now, scratch) ? new FileTimes(top) : null;
  const start = what.steps[0]?.start ?? null;
  const about = start === null ? {} : await readAbout(present.reader, start);
  const before = (about.unsaved ?? []) as readonly UnsavedFile[];
  const now = {
    times,
    stateNow: (path: RawPath) => stateNow(top, path),
    movedFrom: movedFrom(top, before),
  };
  const history = new History(present, rawPaths(input.project, top), now);
  for (const [at, step] of what.steps.entries()) await history.add(step, what.steps.slice(at + 1));
  await history.close();
  for (const edit of what.others) history.leaveEdited(edit);
  const calls = what.steps.flatMap((step) => ("edited" in step && !step.isOnlyEdited ? step.calls : []));
  const touched = times === null ? [] : touchedFiles(top, present.excluded, calls);
  const lost = calls.length > 0 ? [...goneOf(top, before), ...touched] : [];
  const isNamed = (path: RawPath): boolean => input.chosen.length > 0 && isChosen(input.chosen, path);
  const found = history.result(lost, isNamed);
  const [then, later] = [new KnownModes(about.modes), new KnownModes(present.modes)];
  const changes = found.changes.map((change): UndoneFile => {
    const { path, before, after } = change;
    if (before !== null && after !== null) return change;
    const known = before === null ? then : later;
    return { ...change, folders: foldersOf(path).map((folder) => known.ofFolder(folder)) };
  });
  const held = start === null ? [] : await history.pathsAt(start);
  return { ...found, changes, left: [...found.left, ...changedFolders(top, held, then)] };
}

/** Folders whose rights are not those of then. @param held files of then */
function changedFolders(top: string, held: readonly RawPath[], then: KnownModes): ExcludedFile[] {
  const reason = "its rights have changed, and an undo brings back those of files alone";
  const changed = [...new Set(held.flatMap(foldersOf))].filter((folder) => {
    const [mode, stats] = [then.ofFolder(folder), readStats(top, folder)];
    return mode !== null && stats?.isDirectory() === true && (stats.mode & 0o777) !== mode;
  });
  return changed.map((folder) => ({ path: displayPath(`${folder}/`), reason }));
}

/** A file that is neither as the undo left it nor as it was before is later work. */
async function findRedo({ redo, isBegun }: Redo, present: PresentFiles, top: string): Promise<Found> {
  const back = redo.map((one) => ({ ...one, before: one.after, after: one.before }));
  const reading = await presentReading(present);
  const now = (path: RawPath): PathState => {
    const state = reading.stateOf(path);
    return state.is === "unknown" ? stateNow(top, path) : state;
  };
  const ready = back.filter(({ path, before }) => isEntry(now(path), before));
  const done = back.filter(({ path, after }) => isEntry(now(path), after));
  const later = back.filter((one) => !ready.includes(one) && !done.includes(one));
  const reason = "it was changed after the undo";
  const left = later.map(({ path }) => ({ path: displayPath(path), reason }));
  return { changes: ready, begun: isBegun ? done : [], left };
}

function stateNow(top: string, path: RawPath): PathState {
  try {
    return stateOf(entryOnDisk(diskPath(top, path), "sha1"));
  } catch (error) {
    return { is: "unknown", reason: messageOf(error) };
  }
}

/** Loose objects, as git writes them (gitformat-loose). */
function writeObjects(scratch: string, contents: Contents): void {
  for (const [object, text] of contents) {
    const content = Buffer.from(text, "base64");
    const folder = join(scratch, "objects", object.slice(0, 2));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, object.slice(2)), deflateSync(Buffer.concat([blobHeader(content), content])));
  }
}

/** @returns gives a file its path there; null: it is on another disk, to which no path leads */
function rawPaths(project: string, top: string): (path: string) => RawPath | null {
  const onDisk = namesOnDisk(top);
  return (path) => {
    if (!isAbsolute(path)) return null;
    const names = [relative(project, path), relative(top, path), relative(top, realPath(path))];
    const inside = names.find(
      (name) => name !== "" && name !== ".." && !name.startsWith(`..${sep}`) && !isAbsolute(name),
    );
    if (inside !== undefined) return onDisk(toRaw(inside.split(sep).join("/")));
    const stray = relative(top, path);
    return isAbsolute(stray) ? null : toRaw(stray.split(sep).join("/"));
  };
}
