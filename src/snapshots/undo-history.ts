import { lstatSync } from "node:fs";
import { displayPath, type RawPath } from "./git.ts";
import { foldersOf } from "./large-folders.ts";
import { differences, entriesAt } from "./tree-entries.ts";
import { isEntry, isSame, Reading, stateOf, type Exclusions, type FileImage, type PathState } from "./path-state.ts";
import { authorOf, authorOfGone, authorWithin, doubtful, tickMs, type Author, type CallTime } from "./change-author.ts";
import { objectIn, type FileEntry } from "./file-entry.ts";
import { listAt } from "../shared/json-fields.ts";
import { KnownModes, type ChangeTimes } from "./file-modes.ts";
import type { FileTimes } from "./file-times.ts";
import type { ExcludedFile, MovedFile } from "./selection.ts";
import { readAbout, type PresentFiles } from "./take-snapshot.ts";

/** Instead of a commit: the files of now. */
export const presentEnd = "present";

/** The files after a turn, as far as a reading knows them. */
export interface TurnEnd {
  readonly commit: string;
  /** Epoch ms. */
  readonly readAt: number;
  /** Whether it was read as the turn ended: its files are as the turn left them. */
  readonly isInTime: boolean;
}

/** A file that an undo has changed. */
export interface UndoneFile {
  /** Relative to the project, one character a byte. */
  readonly path: RawPath;
  readonly before: FileEntry;
  readonly after: FileEntry;
}

/** A file as it was before other chats' first edit of it; `reason`: why it stays. */
export type EditOfOther = Omit<FileImage, "after"> & { readonly reason: string };

/** A turn of the chat, or an earlier undo; in the order of their time. */
export type UndoStep =
  | {
      /** Files before it; null: those that the step before it left. */
      readonly start: string | null;
      /** Why its first files are missing; null: they are not. */
      readonly unsaved: string | null;
      /** null: no reading has them. */
      readonly end: TurnEnd | null;
      /** Epoch ms of its first call. */
      readonly beganAt: number;
      /** Its calls, and those of other chats in the same folder. */
      readonly calls: readonly CallTime[];
      /** Absolute paths of its edits. */
      readonly edited: readonly string[];
      /** True: it has changed no others, since it ran no program. */
      readonly isOnlyEdited: boolean;
      /** In the order of its calls. */
      readonly images: readonly FileImage[];
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
export function isAt(now: ReadonlyMap<RawPath, PathState>, one: UndoneFile, side: "before" | "after"): boolean {
  const state = now.get(one.path);
  return state !== undefined && isEntry(state, one[side]);
}

/** Facts of a file that the chat has changed. */
interface Known {
  /** Before the first change. */
  readonly base: PathState;
  /** State in which the chat, or an undo, left it. */
  readonly last: PathState;
  /** Why it stays as it is. */
  readonly reason: string | null;
  /** True: it may be the chat's, and who names the path takes it. */
  readonly isDoubtful?: boolean;
}

/** A file before a turn, as its last reading saw it, and now. */
interface Seen {
  readonly old: PathState;
  readonly left: PathState;
  readonly present: PathState;
  /** Whether an undo has written it since, so that its time is that of the undo. */
  readonly isRestored: boolean;
  /** Time of its last change, as the reading saw it; null: it does not say. */
  readonly seenMs: number | null;
}

/** The project's files as they are now. */
interface FilesNow {
  /** null: their clock is not that of the calls. */
  readonly times: FileTimes | null;
  readonly stateNow: (path: RawPath) => PathState;
  /** Files that undos of other chats have written. */
  readonly restored: readonly UndoneFile[];
  /** The file at a path that no reading has by its earlier name; null: none. */
  readonly movedFrom: (path: RawPath) => MovedFile | null;
}

/** Changes of a file by the calls of a turn that name it. */
interface Edits extends Omit<FileImage, "path"> {
  /** Whether nothing else changed it between two of them. */
  readonly isWhole: boolean;
}

const notByChat = "it was changed since, not by this chat";
const betweenCalls = "it was changed between two edits of the chat, not by them";
const notSaved = "the files at the end of that turn were not saved";

/**
 * Follows each file through the turns of a chat. A file counts as the chat's only while no
 * other change stands between two of the chat's, or after the last.
 */
export class History {
  readonly #present: PresentFiles;
  readonly #toRaw: (path: string) => RawPath | null;
  readonly #files = new Map<RawPath, Known>();
  readonly #readings = new Map<string, Reading>();
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
  readonly #now: FilesNow;
  /** Paths that no reading knows, and images do. */
  readonly #byImages = new Set<RawPath>();

  constructor(present: PresentFiles, toRawPath: (path: string) => RawPath | null, now: FilesNow) {
    this.#present = present;
    this.#readings.set(present.root, presentReading(present));
    this.#toRaw = toRawPath;
    this.#now = now;
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
    const edits = this.#editsIn(step);
    if (step.unsaved === null && step.end !== null) await this.#follow(step, step.end, later, edits);
    for (const [path, edit] of edits) this.#changeByImages(path, edit);
    const isKnown = step.isOnlyEdited && step.edited.every((path) => step.images.some((image) => image.path === path));
    if (step.unsaved !== null && !isKnown) this.#unseen.push({ path: "*", reason: step.unsaved });
    this.#doubt = step.unsaved ?? (step.end === null ? notSaved : null);
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
    const saved = later.map(({ start }) => start);
    const next = saved.find((commit) => commit !== null);
    const paths = undone.map(({ path }) => path);
    const entries = await this.#statesAt(next ?? this.#present.root, paths);
    const begun = undone.filter((one) => isAt(entries, one, "after"));
    if (later.length === 0) this.#begun.push(...begun);
    return begun;
  }

  #editsIn({ images }: Turn): Map<RawPath, Edits> {
    const edits = new Map<RawPath, Edits>();
    for (const { path, before, after } of images) {
      const raw = this.#toRaw(path);
      const known = raw === null ? undefined : edits.get(raw);
      const isWhole = known === undefined || (known.isWhole && isSame(known.after, before));
      if (raw !== null) edits.set(raw, { before: known?.before ?? before, after, isWhole });
    }
    return edits;
  }

  /** A path that no reading of the turn knows, such as an ignored one. */
  #changeByImages(path: RawPath, { before, after, isWhole }: Edits): void {
    const known = this.#files.get(path);
    const isNext = known === undefined || isSame(known.last, before);
    this.#byImages.add(path);
    this.#change(path, before, after);
    if (!isNext || !isWhole) this.leaveRaw(path, betweenCalls);
  }

  /** @param edits those of which the readings know how the turn changed them are taken out */
  async #follow(step: Turn, end: TurnEnd, later: readonly UndoStep[], edits: Map<RawPath, Edits>): Promise<void> {
    const commit = end.commit === presentEnd ? this.#present.root : end.commit;
    const own = new Set(step.edited.flatMap((path) => this.#toRaw(path) ?? []));
    const undone = later.flatMap((one) => ("undone" in one ? one.undone : []));
    const turn = { ...step, calls: [step, ...later].flatMap((one) => ("calls" in one ? one.calls : [])) };
    const changed = await this.#differences(commit);
    const now = await this.#statesAt(this.#present.root, [...changed.keys()]);
    const reading = await this.#readingAt(commit);
    const states = [...(await this.#statesAt(this.#at ?? commit, [...edits.keys()]))];
    states.push(...(await this.#statesAt(commit, [...edits.keys()])));
    const unknown = new Set(states.filter(([, { is }]) => is === "unknown").map(([path]) => path));
    for (const path of edits.keys()) if (!unknown.has(path) && !changed.has(path)) edits.delete(path);
    for (const [path, { old, now: left }] of changed) {
      const edit = edits.get(path);
      if (edit && unknown.has(path)) continue;
      edits.delete(path);
      const ofPath = undone.filter((one) => one.path === path);
      const isUndone = ofPath.some(({ before }) => isEntry(left, before));
      const others = this.#now.restored.filter((one) => one.path === path);
      const isRestored = [...ofPath, ...others].some(({ after }) => isEntry(left, after));
      if (!own.has(path) && step.isOnlyEdited)
        this.leaveRaw(path, "it was changed while the chat worked, by none of its tools");
      else if (isUndone || (edit && isWhole(edit, old, left))) this.#change(path, old, left);
      else {
        const seen = { old, left, present: now.get(path) ?? left, isRestored, seenMs: reading.changedMs(path) };
        await this.#judge(path, seen, turn, end);
      }
    }
    this.#moveTo(commit);
  }

  /**
   * Whose change it is says the time of the file: that of now while nothing has changed it since,
   * else that of the turn's reading. One that was written again as it was has both.
   */
  async #judge(path: RawPath, states: Seen, step: Turn, end: TurnEnd): Promise<void> {
    const { old, left, present, isRestored, seenMs } = states;
    const isUntouched = left.is === "unknown" || isSame(left, present);
    const changedMs = isUntouched && !isRestored ? this.#timeOf(path, present, end) : null;
    this.#change(path, old, changedMs !== null ? present : left);
    if (present.is === "unknown") return this.leaveRaw(path, present.reason);
    const isSeen = seenMs !== null && this.#now.times !== null;
    let author =
      changedMs !== null
        ? await this.#authorOf(path, states, changedMs, step)
        : isSeen
          ? authorOf(seenMs, step.calls)
          : this.#authorAtEnd(step.calls, step.beganAt, end);
    const isRewritten = isSeen && changedMs !== null && changedMs !== seenMs;
    if (isRewritten && author.is === "own") author = await this.#authorOf(path, states, seenMs, step);
    if (author.is !== "own") this.leaveRaw(path, author.reason, author.is === "doubtful");
  }

  /**
   * A person may change a file during a reading, so that its own time counts. The time of a path
   * that is gone is that of its folder, which says nothing of it once the path was seen gone.
   */
  #timeOf(path: RawPath, present: PathState, { readAt }: TurnEnd): number | null {
    const changedMs = this.#now.times?.changedMs(path) ?? null;
    return changedMs !== null && present.is === "absent" && changedMs > readAt ? null : changedMs;
  }

  /** A file that is older than the turn was moved or copied, also with its folder. */
  async #authorOf(path: RawPath, { old, present }: Seen, changedMs: number, { beganAt, calls }: Turn): Promise<Author> {
    if (present.is === "absent") return authorOfGone(beganAt, changedMs, calls);
    const isOlder = Math.min(changedMs, this.#now.times?.writtenMs(path) ?? changedMs) < beganAt - tickMs;
    if (old.is !== "absent" || present.is !== "held" || !isOlder) return authorOf(changedMs, calls);
    const held = await this.#held();
    if (!held.ids.has(objectIn(present.entry)) && this.#now.movedFrom(path) === null)
      return { is: "other", reason: "it is older than that turn, and was moved or copied to where it is" };
    const isMoved = changedMs < beganAt - tickMs;
    return authorOf(isMoved ? (this.#now.times?.movedMs(path, held.folders) ?? changedMs) : changedMs, calls);
  }

  /** Contents of the newest known files, and their folders. */
  async #held(): Promise<{ readonly ids: ReadonlySet<string>; readonly folders: ReadonlySet<RawPath> }> {
    const entries = this.#at === null ? new Map<RawPath, string>() : await entriesAt(this.#present.reader, this.#at);
    const folders = [...entries.keys()].flatMap(foldersOf).map((folder) => folder.slice(0, -1));
    return { ids: new Set([...entries.values()].map(objectIn)), folders: new Set(folders) };
  }

  #authorAtEnd(calls: readonly CallTime[], from: number, { readAt, isInTime }: TurnEnd): Author {
    return isInTime ? authorWithin(from, readAt, calls) : doubtful(notSaved);
  }

  async close(): Promise<void> {
    for (const [path, { old, now }] of await this.#differences(this.#present.root)) {
      const known = this.#files.get(path);
      if (known && isSame(known.last, now)) continue;
      if (this.#doubt !== null) this.#leaveNew(path, old, now, this.#doubt);
      else if (known) this.#files.set(path, { ...known, reason: notByChat, isDoubtful: false });
    }
    for (const path of this.#byImages) this.#compareWithNow(path);
    await this.#leaveUnseen();
  }

  #compareWithNow(path: RawPath): void {
    const known = this.#files.get(path);
    const now = this.#now.stateNow(path);
    if (known && isSame(now, known.base)) this.#files.delete(path);
    else if (known && known.last.is !== "unknown" && !isSame(now, known.last))
      this.#files.set(path, { ...known, reason: known.reason ?? notByChat, isDoubtful: false });
  }

  /** Edits that no snapshot shows, such as those of ignored files. */
  async #leaveUnseen(): Promise<void> {
    const unseen = [...this.#edited].flatMap((path) => {
      const raw = this.#toRaw(path);
      return raw !== null && (this.#files.has(raw) || this.#byImages.has(raw)) ? [] : [{ path, raw }];
    });
    const paths = unseen.flatMap(({ raw }) => raw ?? []);
    const states = await this.#statesAt(this.#present.root, paths);
    for (const { path, raw } of unseen) {
      const state = raw === null ? null : states.get(raw);
      const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
      if (raw === null) this.#unseen.push({ path, reason: "it is not in the project" });
      else if (state?.is === "unknown" && isThere) this.#unseen.push({ path: displayPath(raw), reason: state.reason });
    }
  }

  /** Edits that their chat's undo took back leave nothing. */
  leaveEdited({ path, before, reason }: EditOfOther): void {
    const raw = this.#toRaw(path);
    if (raw === null) return;
    const isUndone = this.#now.restored.some((one) => one.path === raw && isEntry(before, one.after));
    if (!isUndone || !isSame(this.#now.stateNow(raw), before)) this.leaveRaw(raw, reason);
  }

  /** The first reason stays; a file that the chat has not changed needs none. */
  leaveRaw(path: RawPath, reason: string, isDoubtful = false): void {
    const known = this.#files.get(path);
    if (known)
      this.#files.set(path, {
        ...known,
        reason: known.reason ?? reason,
        isDoubtful: known.isDoubtful !== false && isDoubtful,
      });
  }

  /**
   * @param lost files that no snapshot has
   * @param isNamed whether the user has named the path, and so takes what is doubtful
   */
  result(lost: readonly ExcludedFile[], isNamed: (path: RawPath) => boolean): Found {
    const changes: UndoneFile[] = [];
    const named: ExcludedFile[] = [...this.#unseen];
    for (const [path, known] of this.#files) {
      const isTaken = known.isDoubtful === true && isNamed(path);
      const found = decide(path, isTaken ? { ...known, reason: null } : known);
      if (found === null) continue;
      const moved = "reason" in found || found.after !== null ? null : this.#now.movedFrom(path);
      if ("reason" in found) named.push({ path: displayPath(path), reason: found.reason });
      else if (moved?.isWhole === false) named.push({ path: displayPath(path), reason: moved.reason });
      else changes.push(found, ...(moved ? [{ path: moved.from, before: null, after: found.before }] : []));
    }
    const seen = new Set([...named.map(({ path }) => path), ...changes.map(({ path }) => displayPath(path))]);
    return {
      changes,
      begun: this.#begun,
      left: [...named, ...lost.filter(({ path }) => !seen.has(path))],
    };
  }

  /** Someone else's changes until the start of the next step. */
  async #pass(start: string): Promise<void> {
    if (this.#at === null) return this.#moveTo(start);
    for (const [path, { old, now }] of await this.#differences(start)) {
      const known = this.#files.get(path);
      if (known && isSame(known.last, now)) continue;
      if (this.#doubt === null) this.leaveRaw(path, "it was changed between two turns, not by this chat");
      else this.#leaveNew(path, old, now, this.#doubt);
    }
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
    const [before, after] = [await this.#readingAt(this.#at), await this.#readingAt(commit)];
    const found = await differences(this.#present.reader, this.#at, commit);
    const otherRights = after.modes.differing(before.modes);
    const unchanged = await entriesAt(this.#present.reader, commit);
    const same = [...this.#undone.keys(), ...(otherRights ?? unchanged.keys())].filter((path) => !found.has(path));
    const states = new Map<RawPath, { old: PathState; now: PathState }>();
    for (const path of same) found.set(path, { old: unchanged.get(path) ?? null, now: unchanged.get(path) ?? null });
    for (const [path, { old, now }] of found) {
      const known = this.#undone.get(path);
      const state = {
        old: known === undefined ? before.stateOf(path, old) : stateOf(known),
        now: after.stateOf(path, now),
      };
      const isOfImages = state.now.is === "unknown" && this.#byImages.has(path);
      if (!isSame(state.old, state.now) && !isOfImages) states.set(path, state);
    }
    return states;
  }

  async #statesAt(commit: string, paths: readonly RawPath[]): Promise<Map<RawPath, PathState>> {
    const entries = await entriesAt(this.#present.reader, commit);
    const reading = await this.#readingAt(commit);
    return new Map(paths.map((path) => [path, reading.stateOf(path, entries.get(path) ?? null)]));
  }

  async #readingAt(commit: string): Promise<Reading> {
    const known = this.#readings.get(commit);
    if (known !== undefined) return known;
    const about = await readAbout(this.#present.reader, commit);
    const { excluded, modes = this.#present.modes } = about;
    const times = listAt(about, "times") as ChangeTimes;
    const read = new Reading((excluded as Exclusions | undefined) ?? null, new KnownModes(modes), times);
    this.#readings.set(commit, read);
    return read;
  }
}

export function presentReading({ excluded, modes }: PresentFiles): Reading {
  return new Reading(excluded, new KnownModes(modes));
}

/** Whether the edits alone are what changed the file from one state to the other. */
function isWhole(edits: Edits, old: PathState, left: PathState): boolean {
  return edits.isWhole && isSame(edits.before, old) && isSame(edits.after, left);
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
