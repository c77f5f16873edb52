import { copyFileSync, existsSync, lstatSync, mkdirSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import type { FileStamp } from "../contract/work-state.ts";
import { displayPath, joinRaw, rawList, run, splitRaw, text, type Git, type RawPath } from "./git.ts";
import { realPath } from "../platform/paths.ts";
import { replaceFiles, withStaging, type FileChange } from "./replace-files.ts";
import { describe, readingGit, type OpenRepository, type Snapshot, type SnapshotInput } from "./repository.ts";
import { readStats, type ExcludedFile, lostOf, madeSince, type UnsavedFile } from "./selection.ts";
import { adopt, readAbout, readPresent, withProject, type PresentFiles } from "./take-snapshot.ts";
import { submoduleMode, type WorkTree } from "./work-tree.ts";

/** End of a turn that runs: the files of now. */
export const presentEnd = "present";

/** Mode and object of a file, as git writes them; null: there is none. */
export type FileEntry = string | null;

/** A file that an undo has changed. */
export interface UndoneFile {
  /** Relative to the project, one character a byte. */
  readonly path: RawPath;
  readonly before: FileEntry;
  readonly after: FileEntry;
}

/** A turn of the chat, or an earlier undo; in the order of their time. */
export type UndoStep =
  | {
      /** Files before it; null: those that the step before it left. */
      readonly start: string | null;
      /** Why its first files are missing; null: they are not. */
      readonly unsaved: string | null;
      /** Files after it, as far as they were saved; {@link presentEnd} for a turn that runs. */
      readonly end: string | null;
      /** False: it may have changed files after them. */
      readonly isWhole: boolean;
      /** Epoch ms of its interruption, if no files were saved then: younger ones are not its. */
      readonly interruptedAt: number | null;
      /** Absolute paths of its edits. */
      readonly edited: readonly string[];
      /** True: it has changed no others, since it ran no program. */
      readonly isOnlyEdited: boolean;
      /** Reason why others may have made its changes; null: no other chat worked there. */
      readonly sharedWith: string | null;
      /** Files that its snapshots lack. */
      readonly leftOut: readonly ExcludedFile[];
    }
  | {
      readonly start: string;
      readonly undone: readonly UndoneFile[];
      /** True: of its files it has changed those that are as it would have left them. */
      readonly isUnfinished: boolean;
    };

type Turn = Extract<UndoStep, { readonly edited: unknown }>;

export interface UndoInput extends SnapshotInput {
  /**
   * Oldest first; or the undo that is taken back. `isBegun`: a change that may have been made in
   * part, to which files belong that are already as it leaves them.
   */
  readonly what:
    | { readonly steps: readonly UndoStep[] }
    | { readonly redo: readonly UndoneFile[]; readonly isBegun?: boolean };
  /** Files as the chat's last edit left them, by absolute path. */
  readonly stamps: readonly (readonly [path: string, stamp: FileStamp])[];
  /** Files that others have edited, by absolute path, with the reason to leave them. */
  readonly others: readonly (readonly [path: string, reason: string])[];
  /** Paths of files and folders, relative to the project; empty: all. */
  readonly chosen: readonly string[];
  /** False: only says what it would change. */
  readonly isApplied: boolean;
  /** True: saves the files of now, as it does before it changes one, and changes none. */
  readonly isOnlySaved?: boolean;
}

export type UndoneFiles =
  | { readonly state: "skipped" | "failed"; readonly reason: string }
  | {
      readonly state: "done";
      readonly changes: readonly FileChange[];
      /** Files of the chat that stay as they are, each with the reason. */
      readonly left: readonly ExcludedFile[];
      /** Text as `git diff` prints it; empty where it was applied. */
      readonly diff: string;
      /** Where it was applied to some file. */
      readonly applied: { readonly snapshot: Snapshot; readonly undone: readonly UndoneFile[] } | null;
    };

/** Takes back what a chat has changed, or says what that would be. */
export async function undoFiles(input: UndoInput): Promise<UndoneFiles> {
  return withProject<UndoneFiles>(
    input,
    async (opened, tree) => {
      const present = await readPresent(opened, tree, input);
      if ("skipped" in present) return { state: "skipped", reason: present.skipped };
      const found = await findChanges(input, tree.top, present);
      const wanted = found.changes.filter(({ path }) => isChosen(input.chosen, path));
      const left = found.left.filter(({ path }) => isChosen(input.chosen, path));
      const { ready, missing } = await split(opened, present, wanted);
      const stays = [...left, ...missing];
      if (input.isApplied && ready.length > 0) {
        const begun = found.begun.filter(({ path }) => isChosen(input.chosen, path));
        return apply(input, { opened, tree, present }, { ready, begun, left: stays });
      }
      const diff = ready.length === 0 || input.isApplied ? "" : await diffOf(opened, present, ready);
      return { state: "done", changes: ready.map(toFileChange), left: stays, diff, applied: null };
    },
    (refused) => refused,
  );
}

interface Opened {
  readonly opened: OpenRepository;
  readonly tree: WorkTree;
  readonly present: PresentFiles;
}

async function apply(
  input: UndoInput,
  { opened, tree, present }: Opened,
  { ready, begun, left }: Record<"ready" | "begun", readonly UndoneFile[]> & Pick<Found, "left">,
): Promise<UndoneFiles> {
  const answer = (
    snapshot: Snapshot,
    own: readonly UndoneFile[],
    notRestored: readonly ExcludedFile[],
  ): UndoneFiles => {
    const undone = [...begun, ...own];
    const changes = undone.map(toFileChange);
    return { state: "done", changes, left: [...left, ...notRestored], diff: "", applied: { snapshot, undone } };
  };
  if (input.isOnlySaved === true) return answer(await adopt(opened, tree, present, input), ready, []);
  return withStaging(async (scratch) => {
    const staged = { folder: join(scratch, "files"), project: tree.top };
    await stageFiles(opened, [tree.objects], present, ready, staged.folder);
    // First: what is replaced comes back from it.
    const snapshot = await adopt(opened, tree, present, input);
    const { written, notRestored } = await replaceFiles(staged, ready.map(toFileChange), null);
    const isWritten = new Set(written);
    const undone = ready.filter(({ path }) => isWritten.has(displayPath(path)));
    return answer(snapshot, undone, notRestored);
  });
}

function isChosen(chosen: readonly string[], path: RawPath): boolean {
  const shown = displayPath(path);
  return chosen.length === 0 || chosen.some((one) => shown === one || shown.startsWith(`${one}/`));
}

function toFileChange({ path, before, after }: UndoneFile): FileChange {
  return { path: displayPath(path), now: after === null ? "created" : before === null ? "missing" : "changed" };
}

/** Files whose content is stored no more cannot come back. */
async function split(
  opened: OpenRepository,
  { reader }: PresentFiles,
  wanted: readonly UndoneFile[],
): Promise<{ ready: UndoneFile[]; missing: ExcludedFile[] }> {
  const ids = wanted.flatMap(({ after }) => after?.split(" ")[1] ?? []);
  const found = await describe(reader, [...new Set(ids)]);
  const lost = new Set(found.filter(({ type }) => type === "missing").map(({ id }) => id));
  const isLost = ({ after }: UndoneFile): boolean => lost.has(after?.split(" ")[1] ?? "");
  const reason = "its earlier content is stored no more";
  return {
    ready: wanted.filter((one) => !isLost(one)),
    missing: wanted.filter(isLost).map(({ path }) => ({ path: displayPath(path), reason })),
  };
}

/** Writes the files as they are to be. */
async function stageFiles(
  opened: OpenRepository,
  objects: readonly string[],
  { settings }: PresentFiles,
  changes: readonly UndoneFile[],
  folder: string,
): Promise<void> {
  mkdirSync(folder);
  const back = changes.filter(({ after }) => after !== null);
  const git = await indexAfter(opened, readingGit(opened, objects, folder, settings), back);
  // Exit 1: some could not be written; they are found by their absence.
  await run(git, ["checkout-index", "-q", "-z", "--stdin"], joinRaw(back.map(({ path }) => path)), [0, 1, 128]);
}

/** Text as `git diff` prints it, from the files of now. */
async function diffOf(
  opened: OpenRepository,
  { reader, root }: PresentFiles,
  changes: readonly UndoneFile[],
): Promise<string> {
  const git = await indexAfter(opened, reader, changes);
  const after = await text(git, ["write-tree", "--missing-ok"]);
  const flags = ["-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color"];
  const { stdout } = await run(git, ["diff-tree", ...flags, "--src-prefix=now/", "--dst-prefix=then/", root, after]);
  return stdout.toString("utf8");
}

/** @returns git with an index of the present files and these changes, beside that of the scratch */
async function indexAfter(opened: OpenRepository, reader: Git, changes: readonly UndoneFile[]): Promise<Git> {
  const [present, index] = [join(opened.scratch, "index"), join(opened.scratch, "undo-index")];
  if (existsSync(present)) copyFileSync(present, index);
  const git = { ...reader, env: { ...reader.env, GIT_INDEX_FILE: index } };
  // A file may stand where a folder of removed ones is, and the other way round.
  const removedFirst = changes.toSorted((one, other) => Number(one.after !== null) - Number(other.after !== null));
  const lines = removedFirst.map(({ path, after, before }) => `${after ?? before?.replace(/\w+/, "0")}\t${path}`);
  await run(git, ["update-index", "--replace", "-z", "--index-info"], joinRaw(lines));
  return git;
}

/** Facts of a file that the chat has changed. */
interface Known {
  /** Before the first change. */
  readonly base: FileEntry;
  /** State in which the chat, or an undo, left it. */
  readonly last: FileEntry;
  /** Why it stays as it is. */
  readonly reason: string | null;
}

interface Found {
  readonly changes: readonly UndoneFile[];
  /** Files that a killed undo has changed already. */
  readonly begun: readonly UndoneFile[];
  readonly left: readonly ExcludedFile[];
}

async function findChanges(input: UndoInput, top: string, present: PresentFiles): Promise<Found> {
  const { what } = input;
  if ("redo" in what) return findRedo(what, present);
  const history = new History(present, top, (path) => toRaw(input.project, top, path));
  const [first] = what.steps;
  const start = first?.start ?? null;
  const about = start === null ? {} : await readAbout(present.reader, start);
  if (about.isInGitsForm !== undefined && about.isInGitsForm !== present.isInGitsForm) return otherForm;
  for (const [at, step] of what.steps.entries()) await history.add(step, what.steps.slice(at + 1));
  await history.close(provenPaths(input));
  for (const [path, reason] of input.others) history.leave(path, reason);
  for (const { path, reason } of present.leftOut) history.leaveRaw(toBytes(path), reason);
  const turns = what.steps.filter((step) => "edited" in step && !step.isOnlyEdited) as readonly Turn[];
  const leftOut = turns.flatMap((turn) => (turn.end === presentEnd ? present.leftOut : turn.leftOut));
  const lost = turns.length > 0 ? missedOf(top, about.unsaved, { leftOut, unsaved: present.unsaved }) : [];
  return history.result(lost);
}

/** Files that the snapshots of these turns lack, and that are not as they were before. */
function missedOf(top: string, before: unknown, now: Pick<PresentFiles, "leftOut" | "unsaved">): ExcludedFile[] {
  if (!Array.isArray(before)) return [];
  const unsaved = before as readonly UnsavedFile[];
  return [...lostOf(top, unsaved), ...madeSince(now, unsaved)];
}

const otherForm: Found = {
  changes: [],
  begun: [],
  left: [
    {
      path: "*",
      reason:
        "the snapshot has git's form of files that git converts, and the files of now are bytes, or the other way round",
    },
  ],
};

/** A file that is neither as the undo left it nor as it was before is later work. */
async function findRedo(
  { redo, isBegun = false }: Extract<UndoInput["what"], { readonly redo: unknown }>,
  { reader, root }: PresentFiles,
): Promise<Found> {
  const back = redo.map(reversed);
  const [ready, rest] = await splitAt(reader, root, back, "before");
  const [done, later] = await splitAt(reader, root, rest, "after");
  const reason = "it was changed after the undo";
  const left = later.map(({ path }) => ({ path: displayPath(path), reason }));
  return { changes: ready, begun: isBegun ? done : [], left };
}

export function reversed({ path, before, after }: UndoneFile): UndoneFile {
  return { path, before: after, after: before };
}

/** Those of which a commit has what was before, or after; and the others. */
async function splitAt(
  git: Git,
  commit: string,
  undone: readonly UndoneFile[],
  side: "before" | "after",
): Promise<[UndoneFile[], UndoneFile[]]> {
  const paths = undone.map(({ path }) => path);
  const now = await entriesAt(git, commit, paths);
  const isThere = (one: UndoneFile): boolean => (now.get(one.path) ?? null) === one[side];
  return [undone.filter(isThere), undone.filter((one) => !isThere(one))];
}

async function entriesAt(git: Git, commit: string, paths: readonly RawPath[]): Promise<Map<RawPath, string>> {
  if (paths.length === 0) return new Map();
  const wanted = new Set(paths);
  const lines = await rawList(git, ["ls-tree", "-r", "-z", "--full-tree", commit]);
  return new Map(
    lines.flatMap((line): [RawPath, string][] => {
      const tab = line.indexOf("\t");
      const [mode, , id] = line.slice(0, tab).split(" ");
      const path = line.slice(tab + 1);
      return wanted.has(path) ? [[path, `${mode} ${id}`]] : [];
    }),
  );
}

/** Paths that are as the chat's own last edit left them, by size and time. */
function provenPaths({ stamps }: UndoInput): string[] {
  return stamps.flatMap(([path, { bytes, modifiedMs }]) => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    return found?.isFile() && found.size === bytes && found.mtimeMs === modifiedMs ? [path] : [];
  });
}

function toBytes(path: string): RawPath {
  return Buffer.from(path).toString("latin1");
}

/** @returns null for a path outside of the project */
function toRaw(project: string, top: string, path: string): RawPath | null {
  if (!isAbsolute(path)) return null;
  const names = [relative(project, path), relative(top, path), relative(top, realPath(path))];
  const inside = names.find(
    (name) => name !== "" && name !== ".." && !name.startsWith(`..${sep}`) && !isAbsolute(name),
  );
  return inside === undefined ? null : toBytes(inside.split(sep).join("/"));
}

/** Time in which an interrupted command may still write. */
const killedMs = 1_000;
const notByChat = "it was changed since, not by this chat";
const notSaved = "the files at the end of that turn were not saved, and no edit of the chat proves whose change it is";

/**
 * Follows each file through the turns of a chat. A file counts as the chat's only while no
 * other change stands between two of the chat's, or after the last.
 */
class History {
  readonly #present: PresentFiles;
  readonly #top: string;
  readonly #toRaw: (path: string) => RawPath | null;
  readonly #files = new Map<RawPath, Known>();
  readonly #unseen: ExcludedFile[] = [];
  readonly #begun: UndoneFile[] = [];
  /** Absolute paths of all edits. */
  readonly #edited = new Set<string>();
  /** Newest files that are known, and those that an undo has put back since. */
  #at: string | null = null;
  #undone = new Map<RawPath, FileEntry>();
  /** Files as they were before their newest undo. */
  readonly #replaced = new Map<RawPath, FileEntry>();
  /** Why it is not known whose changes since then are; null: they are not the chat's. */
  #doubt: string | null = null;
  /** Whether its edits are proven all the same. */
  #isProvable = true;

  constructor(present: PresentFiles, top: string, toRawPath: (path: string) => RawPath | null) {
    this.#present = present;
    this.#top = top;
    this.#toRaw = toRawPath;
  }

  /** @param later steps after it */
  async add(step: UndoStep, later: readonly UndoStep[]): Promise<void> {
    if (step.start !== null) await this.#pass(step.start);
    if ("undone" in step) {
      const undone = step.isUnfinished ? await this.#begunOf(step.undone, later) : step.undone;
      for (const one of undone) this.#addUndone(one);
      this.#undone = new Map(undone.map(({ path, after }) => [path, after]));
      return;
    }
    for (const path of step.edited) this.#edited.add(path);
    const end = step.end === presentEnd ? this.#present.root : step.end;
    if (step.unsaved === null) await this.#follow(step, end);
    else this.#unseen.push({ path: "*", reason: step.unsaved });
    this.#isProvable &&= step.unsaved === null;
    this.#doubt = step.unsaved ?? (step.isWhole ? null : notSaved);
    for (const { path, reason } of step.leftOut) this.leaveRaw(toBytes(path), `it is not in the snapshots: ${reason}`);
  }

  /** An undo of what was before is no change of the chat. */
  #addUndone({ path, before, after }: UndoneFile): void {
    const known = this.#files.get(path);
    // One that was killed has done it already.
    if (known?.last === after) return;
    // A redo takes back the undo before it.
    const isRedo = this.#replaced.get(path) === after;
    this.#replaced.set(path, before);
    if (known?.base === before && known.reason === null && !isRedo) this.#files.delete(path);
    else if (known) this.#change(path, before, after);
  }

  /** Files of a killed undo that were as it leaves them when the next files were saved. */
  async #begunOf(undone: readonly UndoneFile[], later: readonly UndoStep[]): Promise<readonly UndoneFile[]> {
    const saved = later.map((step) => step.start ?? ("end" in step ? step.end : null));
    const next = saved.find((commit) => commit !== null && commit !== presentEnd);
    const [begun] = await splitAt(this.#present.reader, next ?? this.#present.root, undone, "after");
    if (later.length === 0) this.#begun.push(...begun);
    return begun;
  }

  async #follow(step: Turn, end: string | null): Promise<void> {
    if (end === null) return;
    const own = new Set(step.edited.flatMap((path) => this.#toRaw(path) ?? []));
    for (const [path, { old, now }] of await this.#differences(end)) {
      const isOwn = own.has(path);
      if (!isOwn && step.isOnlyEdited)
        this.leaveRaw(path, "it was changed while the chat worked, by none of its tools");
      else if (!isOwn && step.sharedWith !== null) this.#leaveNew(path, old, now, step.sharedWith);
      else if (this.#isYounger(path, step.interruptedAt)) this.#leaveNew(path, old, now, notByChat);
      else this.#change(path, old, now);
    }
    this.#moveTo(end);
  }

  #isYounger(path: RawPath, at: number | null): boolean {
    return at !== null && (readStats(this.#top, path)?.mtimeMs ?? 0) > at + killedMs;
  }

  /** @param proven absolute paths that are as the chat's last edit left them */
  async close(proven: readonly string[]): Promise<void> {
    const own = new Set(this.#isProvable ? proven.flatMap((path) => this.#toRaw(path) ?? []) : []);
    for (const [path, { old, now }] of await this.#differences(this.#present.root)) {
      if (own.has(path)) this.#change(path, old, now);
      else if (this.#doubt !== null) this.#leaveNew(path, old, now, this.#doubt);
      else this.leaveRaw(path, notByChat);
    }
    await this.#leaveUnseen();
  }

  /** Edits that no snapshot shows, such as those of ignored files. */
  async #leaveUnseen(): Promise<void> {
    const { reader, root, leftOut } = this.#present;
    const reasons = new Map(leftOut.map(({ path, reason }) => [toBytes(path), reason]));
    const unseen = [...this.#edited].flatMap((path) => {
      const raw = this.#toRaw(path);
      return raw !== null && this.#files.has(raw) ? [] : [{ path, raw }];
    });
    const saved = await entriesAt(
      reader,
      root,
      unseen.flatMap(({ raw }) => raw ?? []),
    );
    for (const { path, raw } of unseen) {
      const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
      if (raw === null) this.#unseen.push({ path, reason: "it is not in the project" });
      else if (reasons.has(raw)) this.#unseen.push({ path: displayPath(raw), reason: reasons.get(raw) ?? "" });
      else if (isThere && !saved.has(raw)) this.#unseen.push({ path: displayPath(raw), reason: "git ignores it" });
    }
  }

  leave(path: string, reason: string): void {
    const raw = this.#toRaw(path);
    if (raw !== null) this.leaveRaw(raw, reason);
  }

  /** The first reason stays; a file that the chat has not changed needs none. */
  leaveRaw(path: RawPath, reason: string): void {
    const known = this.#files.get(path);
    if (known) this.#files.set(path, { ...known, reason: known.reason ?? reason });
  }

  /** @param lost files that no snapshot has */
  result(lost: readonly ExcludedFile[]): Found {
    const all = [...this.#files].filter(([, { base, last, reason }]) => base !== last || reason !== null);
    const left = all.flatMap(([path, { base, last, reason }]) => {
      const isSubmodule = [base, last].some((entry) => entry?.startsWith(submoduleMode));
      const why = reason ?? (isSubmodule ? "a submodule" : null);
      return why === null ? [] : [{ path: displayPath(path), reason: why }];
    });
    const isLeft = new Set(left.map(({ path }) => path));
    const own = all.filter(([path]) => !isLeft.has(displayPath(path)));
    const named = [...left, ...this.#unseen];
    const isNamed = new Set(named.map(({ path }) => path));
    return {
      changes: own.map(([path, { base, last }]) => ({ path, before: last, after: base })),
      begun: this.#begun,
      left: [...named, ...lost.filter(({ path }) => !isNamed.has(path))],
    };
  }

  /** Someone else's changes until the start of the next step. */
  async #pass(start: string): Promise<void> {
    if (this.#at === null) return this.#moveTo(start);
    for (const [path, { old, now }] of await this.#differences(start))
      if (this.#doubt === null) this.leaveRaw(path, "it was changed between two turns, not by this chat");
      else this.#leaveNew(path, old, now, this.#doubt);
    this.#doubt = null;
    this.#moveTo(start);
  }

  #change(path: RawPath, old: FileEntry, now: FileEntry): void {
    const known = this.#files.get(path);
    this.#files.set(path, known ? { ...known, last: now } : { base: old, last: now, reason: null });
  }

  #leaveNew(path: RawPath, old: FileEntry, now: FileEntry, reason: string): void {
    this.#change(path, old, now);
    this.leaveRaw(path, reason);
  }

  #moveTo(commit: string): void {
    this.#at = commit;
    this.#undone = new Map();
  }

  /** Files in which the newest known ones differ from those of a commit. */
  async #differences(commit: string): Promise<Map<RawPath, { old: FileEntry; now: FileEntry }>> {
    if (this.#at === null) return new Map();
    const found = await differences(this.#present.reader, this.#at, commit);
    const same = [...this.#undone.keys()].filter((path) => !found.has(path));
    const unchanged = await entriesAt(this.#present.reader, commit, same);
    for (const [path, old] of this.#undone) {
      const now = found.get(path)?.now ?? unchanged.get(path) ?? null;
      if (now === old) found.delete(path);
      else found.set(path, { old, now });
    }
    return found;
  }
}

const diffFlags = ["-r", "--raw", "-z", "--no-renames", "--no-abbrev"];

async function differences(
  git: Git,
  from: string,
  to: string,
): Promise<Map<RawPath, { old: FileEntry; now: FileEntry }>> {
  if (from === to) return new Map();
  const fields = splitRaw((await run(git, ["diff-tree", ...diffFlags, from, to])).stdout);
  const found = new Map<RawPath, { old: FileEntry; now: FileEntry }>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = "", newMode = "", oldId = "", newId = ""] = (fields[at] ?? "").slice(1).split(" ");
    found.set(fields[at + 1] ?? "", { old: entryOf(oldMode, oldId), now: entryOf(newMode, newId) });
  }
  return found;
}

function entryOf(mode: string, id: string): FileEntry {
  return mode === "000000" ? null : `${mode} ${id}`;
}
