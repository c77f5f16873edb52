import { lstatSync } from "node:fs";
import { displayPath, rawList, run, splitRaw, type Git, type RawPath } from "./git.ts";
import { Excluded, type Exclusions, type FileEntry, type PathState } from "./path-state.ts";
import { readStats, type ExcludedFile } from "./selection.ts";
import { readAbout, type PresentFiles } from "./take-snapshot.ts";

/** End of a turn that runs: the files of now. */
export const presentEnd = "present";

/** A file that an undo has changed. */
export interface UndoneFile {
  /** Relative to the project, one character a byte. */
  readonly path: RawPath;
  readonly before: FileEntry;
  readonly after: FileEntry;
  /** Its rights before and after, where it is a file. */
  readonly rights?: readonly [number | null, number | null];
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

export type Turn = Extract<UndoStep, { readonly edited: unknown }>;

export interface Found {
  readonly changes: readonly UndoneFile[];
  /** Files that a killed undo has changed already. */
  readonly begun: readonly UndoneFile[];
  readonly left: readonly ExcludedFile[];
}

/** Whether a file is as it was before the undo, or after it. @param now has its path */
export function isAt(now: ReadonlyMap<RawPath, string>, one: UndoneFile, side: "before" | "after"): boolean {
  return (now.get(one.path) ?? null) === one[side];
}

/** @returns modes and objects of those paths that the commit has */
export async function entriesAt(git: Git, commit: string, paths: readonly RawPath[]): Promise<Map<RawPath, string>> {
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

/** Paths that a commit has and a tree lacks. */
export async function pathsLackedBy(git: Git, root: string, commit: string): Promise<RawPath[]> {
  return rawList(git, ["diff-tree", "-r", "--name-only", "--no-renames", "--diff-filter=D", "-z", commit, root]);
}

export function toBytes(path: string): RawPath {
  return Buffer.from(path).toString("latin1");
}

/** Facts of a file that the chat has changed. */
interface Known {
  /** Before the first change. */
  readonly base: PathState;
  /** State in which the chat, or an undo, left it. */
  readonly last: PathState;
  /** Why it stays as it is. */
  readonly reason: string | null;
}

/** Time in which an interrupted command may still write. */
const killedMs = 1_000;
const notByChat = "it was changed since, not by this chat";
const notSaved = "the files at the end of that turn were not saved, and no edit of the chat proves whose change it is";

/**
 * Follows each file through the turns of a chat. A file counts as the chat's only while no
 * other change stands between two of the chat's, or after the last.
 */
export class History {
  readonly #present: PresentFiles;
  readonly #top: string;
  readonly #toRaw: (path: string) => RawPath | null;
  readonly #files = new Map<RawPath, Known>();
  readonly #excluded = new Map<string, Excluded>();
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
    this.#excluded.set(present.root, new Excluded(present.excluded));
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
    if (known && isEntry(known.last, after)) return;
    // A redo takes back the undo before it.
    const isRedo = this.#replaced.get(path) === after;
    this.#replaced.set(path, before);
    if (known && isEntry(known.base, before) && known.reason === null && !isRedo) this.#files.delete(path);
    else if (known) this.#change(path, stateOf(before), stateOf(after));
  }

  /** Files of a killed undo that were as it leaves them when the next files were saved. */
  async #begunOf(undone: readonly UndoneFile[], later: readonly UndoStep[]): Promise<readonly UndoneFile[]> {
    const saved = later.map((step) => step.start ?? ("end" in step ? step.end : null));
    const next = saved.find((commit) => commit !== null && commit !== presentEnd);
    const paths = undone.map(({ path }) => path);
    const entries = await entriesAt(this.#present.reader, next ?? this.#present.root, paths);
    const begun = undone.filter((one) => isAt(entries, one, "after"));
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
    const changes: UndoneFile[] = [];
    const named: ExcludedFile[] = [...this.#unseen];
    for (const [path, known] of this.#files) {
      const found = decide(path, known);
      if (found !== null && "reason" in found) named.push({ path: displayPath(path), reason: found.reason });
      else if (found !== null) changes.push(found);
    }
    const isNamed = new Set(named.map(({ path }) => path));
    return {
      changes,
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

  #change(path: RawPath, old: PathState, now: PathState): void {
    const known = this.#files.get(path);
    this.#files.set(path, known ? { ...known, last: now } : { base: old, last: now, reason: null });
  }

  #leaveNew(path: RawPath, old: PathState, now: PathState, reason: string): void {
    this.#change(path, old, now);
    this.leaveRaw(path, reason);
  }

  #moveTo(commit: string): void {
    this.#at = commit;
    this.#undone = new Map();
  }

  /** Files in which the newest known ones differ from those of a commit. */
  async #differences(commit: string): Promise<Map<RawPath, { old: PathState; now: PathState }>> {
    if (this.#at === null) return new Map();
    const found = await differences(this.#present.reader, this.#at, commit);
    const same = [...this.#undone.keys()].filter((path) => !found.has(path));
    const unchanged = await entriesAt(this.#present.reader, commit, same);
    const [before, after] = [await this.#excludedAt(this.#at), await this.#excludedAt(commit)];
    const states = new Map<RawPath, { old: PathState; now: PathState }>();
    for (const [path, { old, now }] of found)
      states.set(path, { old: before.stateOf(path, old), now: after.stateOf(path, now) });
    for (const [path, old] of this.#undone) {
      const now = after.stateOf(path, found.get(path)?.now ?? unchanged.get(path) ?? null);
      if (isEntry(now, old)) states.delete(path);
      else states.set(path, { old: stateOf(old), now });
    }
    return states;
  }

  async #excludedAt(commit: string): Promise<Excluded> {
    const known = this.#excluded.get(commit);
    if (known !== undefined) return known;
    const { excluded } = await readAbout(this.#present.reader, commit);
    const read = new Excluded((excluded as Exclusions | undefined) ?? null);
    this.#excluded.set(commit, read);
    return read;
  }
}

function stateOf(entry: FileEntry): PathState {
  return entry === null ? { is: "absent" } : { is: "held", entry };
}

function isEntry(state: PathState, entry: FileEntry): boolean {
  return state.is === "held" ? state.entry === entry : state.is === "absent" && entry === null;
}

/** An undo changes a file only where both sides are known. @returns null: nothing is to be done */
function decide(path: RawPath, { base, last, reason }: Known): UndoneFile | { readonly reason: string } | null {
  const entries = [base, last].map((state) => (state.is === "held" ? state.entry : null));
  const [after = null, before = null] = entries;
  if (base.is === "unknown") return { reason: reason ?? `it is not known how it was before: ${base.reason}` };
  if (last.is === "unknown") return { reason: reason ?? `it is not known how the turn left it: ${last.reason}` };
  if (reason !== null) return { reason };
  return after === before ? null : { path, before, after };
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
