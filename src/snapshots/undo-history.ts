import { lstatSync } from "node:fs";
import { displayPath, type RawPath } from "./git.ts";
import { entriesAt } from "./tree-entries.ts";
import {
  entryOf,
  isEntry,
  isSame,
  Reading,
  stateOf,
  type Exclusions,
  type FileImage,
  type PathState,
} from "./path-state.ts";
import {
  authorOf,
  authorOfGone,
  authorWithin,
  doubtful,
  own,
  tickMs,
  type Author,
  type CallTime,
} from "./change-author.ts";
import { objectIn, type FileEntry } from "./file-entry.ts";
import { listAt } from "../shared/json-fields.ts";
import { setNewest } from "../shared/set-newest.ts";
import { foldersOf, KnownModes, type ChangeTimes } from "./file-modes.ts";
import type { FileTimes } from "./file-times.ts";
import type { ExcludedFile, MovedFile } from "./selection.ts";
import { readAbout, type PresentFiles } from "./take-snapshot.ts";

/** The files after a turn, as far as a reading knows them. */
export interface TurnEnd {
  /** null: the files of now. */
  readonly commit: string | null;
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
  /** Rights of its folders where it is on one side alone, the outermost first. */
  readonly folders?: readonly (number | null)[];
}

/** A file as it was before other chats' first edit of it; `reason`: why it stays. */
export type EditOfOther = Omit<FileImage, "after"> & { readonly reason: string };

/** A turn of the chat, or an earlier undo of any chat; in the order of their time. */
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
      /** Whether it took back changes of the chat, and not those of another chat. */
      readonly isOwn: boolean;
      /** Whether it took an undo back. */
      readonly isRedo: boolean;
      /** True: of its files it has changed those that are as it would have left them. */
      readonly isUnfinished: boolean;
    };

export type Turn = Extract<UndoStep, { readonly edited: unknown }>;
type Undo = Extract<UndoStep, { readonly undone: unknown }>;

export interface Found {
  readonly changes: readonly UndoneFile[];
  /** Files that a killed undo has changed already. */
  readonly begun: readonly UndoneFile[];
  readonly left: readonly ExcludedFile[];
}

/** A change of a file. */
interface Change {
  readonly from: PathState;
  readonly to: PathState;
  /** Why it keeps the file as it is; null: it is the chat's. */
  readonly reason: string | null;
  /** True: it may be the chat's, and who names the path takes it. */
  readonly isDoubtful: boolean;
}

/** Changes of a file since the first that is, or may be, the chat's. */
interface Known {
  readonly changes: readonly Change[];
  /** So many of the changes stand; an undo has taken the later ones back. */
  readonly standing: number;
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
  /** The file at a path that no reading has by its earlier name; null: none. */
  readonly movedFrom: (path: RawPath) => MovedFile | null;
}

/** Changes of a file by the calls of a turn that name it. */
interface Edits extends Omit<FileImage, "path"> {
  /** Whether nothing else changed it between two of them. */
  readonly isWhole: boolean;
}

const notByChat = "it was changed since, not by this chat";
const betweenTurns = "it was changed between two turns, not by this chat";
const betweenCalls = "it was changed between two edits of the chat, not by them";
const notSaved = "the files at the end of that turn were not saved";

/**
 * Follows each file through the turns of a chat. A file counts as the chat's only while no
 * other change stands between two of the chat's, or after the last. What an undo of any chat
 * took back does not stand.
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
  /** Files that undos of other chats have written. */
  readonly #undoneByOthers: UndoneFile[] = [];
  /** Why it is not known whose changes since then are; null: they are not the chat's. */
  #doubt: string | null = null;
  readonly #now: FilesNow;
  /** Paths that no reading knows, and images do. */
  readonly #byImages = new Set<RawPath>();

  constructor(present: PresentFiles, toRawPath: (path: string) => RawPath | null, now: FilesNow) {
    this.#present = present;
    this.#toRaw = toRawPath;
    this.#now = now;
  }

  /** @param later steps after it */
  async add(step: UndoStep, later: readonly UndoStep[]): Promise<void> {
    if (step.start !== null) await this.#pass(step.start);
    if ("undone" in step) {
      const undone = step.isUnfinished ? await this.#begunOf(step, later) : step.undone;
      for (const one of undone) this.#addUndone(one, step);
      if (!step.isOwn) this.#undoneByOthers.push(...undone);
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

  /** Takes back the changes since the file was as the undo left it; a redo brings them back. */
  #addUndone({ path, after }: UndoneFile, { isOwn, isRedo }: Undo): void {
    const [known, last] = [this.#files.get(path), this.#lastOf(path)];
    // One that was killed has done it already.
    if (known === undefined || (last !== null && isEntry(last, after))) return;
    const { changes, standing } = known;
    const earlier = changes.findLastIndex(({ from }, at) => at < standing && isEntry(from, after));
    const later = changes.findIndex(({ to }, at) => at >= standing && isEntry(to, after)) + 1;
    if (isRedo && later > 0) this.#files.set(path, { changes, standing: later });
    else if (!isRedo && earlier >= 0) this.#files.set(path, { changes, standing: earlier });
    // An undo of earlier turns, too, took all of these back.
    else if (!isRedo && isOwn) this.#files.set(path, { changes, standing: 0 });
    else this.#changeByOther(path, stateOf(after), betweenTurns);
  }

  /** Files of a killed undo that were as it leaves them when the next files were saved. */
  async #begunOf({ undone, isOwn }: Undo, later: readonly UndoStep[]): Promise<readonly UndoneFile[]> {
    const next = later.find(({ start }) => start !== null);
    const reading = await this.#readingAt(next?.start ?? this.#present.root);
    const begun = undone.filter(({ path, after }) => isEntry(reading.stateOf(path), after));
    if (isOwn && later.every((step) => "undone" in step && !step.isOwn)) this.#begun.push(...begun);
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
    const last = this.#lastOf(path);
    const isNext = last === null || isSame(last, before);
    this.#byImages.add(path);
    this.#change(path, before, after, isNext && isWhole ? own : { is: "other", reason: betweenCalls });
  }

  /** @param edits those of which the readings know how the turn changed them are taken out */
  async #follow(step: Turn, end: TurnEnd, later: readonly UndoStep[], edits: Map<RawPath, Edits>): Promise<void> {
    const commit = end.commit ?? this.#present.root;
    const edited = new Set(step.edited.flatMap((path) => this.#toRaw(path) ?? []));
    const undos = later.flatMap((one) => ("undone" in one ? one : []));
    const turn = { ...step, calls: [step, ...later].flatMap((one) => ("calls" in one ? one.calls : [])) };
    const changed = await this.#differences(commit);
    const present = await this.#readingAt(this.#present.root);
    const [start, reading] = [await this.#readingAt(this.#at ?? commit), await this.#readingAt(commit)];
    const isUnknown = (path: RawPath): boolean => [start, reading].some((one) => one.stateOf(path).is === "unknown");
    const unknown = new Set([...edits.keys()].filter(isUnknown));
    for (const path of edits.keys()) if (!unknown.has(path) && !changed.has(path)) edits.delete(path);
    for (const [path, { old, now: left }] of changed) {
      const edit = edits.get(path);
      if (edit && unknown.has(path)) continue;
      edits.delete(path);
      const isIn = (undo: Undo, side: "before" | "after"): boolean =>
        undo.undone.some((one) => one.path === path && isEntry(left, one[side]));
      const isUndone = undos.some((undo) => undo.isOwn && isIn(undo, "before"));
      const isRestored = undos.some((undo) => isIn(undo, "after"));
      if (!edited.has(path) && step.isOnlyEdited)
        this.#changeByOther(path, left, "it was changed while the chat worked, by none of its tools");
      else if (isUndone || (edit && isWhole(edit, old, left))) this.#change(path, old, left, own);
      else {
        const seen = { old, left, present: present.stateOf(path), isRestored, seenMs: reading.changedMs(path) };
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
    const isSeen = seenMs !== null && this.#now.times !== null;
    let author = end.isInTime ? authorWithin(step.beganAt, end.readAt, step.calls) : doubtful(notSaved);
    if (changedMs !== null) author = await this.#authorOf(path, states, changedMs, step);
    else if (isSeen) author = authorOf(seenMs, step.calls);
    const isRewritten = isSeen && changedMs !== null && changedMs !== seenMs;
    if (isRewritten && author.is === "own") author = await this.#authorOf(path, states, seenMs, step);
    if (present.is === "unknown") author = { is: "other", reason: present.reason };
    this.#change(path, old, changedMs !== null ? present : left, author);
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
    const entries = this.#at === null ? new Map<RawPath, string>() : (await this.#readingAt(this.#at)).entries;
    const folders = [...entries.keys()].flatMap(foldersOf);
    return { ids: new Set([...entries.values()].map(objectIn)), folders: new Set(folders) };
  }

  /** Files that a reading has. */
  async pathsAt(commit: string): Promise<RawPath[]> {
    return [...(await this.#readingAt(commit)).entries.keys()];
  }

  async close(): Promise<void> {
    for (const [path, { old, now }] of await this.#differences(this.#present.root))
      this.#changeSince(path, old, now, notByChat);
    for (const path of this.#byImages) this.#compareWithNow(path);
    await this.#leaveUnseen();
  }

  #compareWithNow(path: RawPath): void {
    const [first, last] = [this.#files.get(path)?.changes[0], this.#lastOf(path)];
    const now = this.#now.stateNow(path);
    if (first && isSame(now, first.from)) this.#files.delete(path);
    else if (last !== null && last.is !== "unknown" && !isSame(now, last)) this.#changeByOther(path, now, notByChat);
  }

  /** Edits that no snapshot shows, such as those of ignored files. */
  async #leaveUnseen(): Promise<void> {
    const unseen = [...this.#edited].flatMap((path) => {
      const raw = this.#toRaw(path);
      return raw !== null && (this.#lastOf(raw) !== null || this.#byImages.has(raw)) ? [] : [{ path, raw }];
    });
    const present = await this.#readingAt(this.#present.root);
    for (const { path, raw } of unseen) {
      const state = raw === null ? null : present.stateOf(raw);
      const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
      if (raw === null) this.#unseen.push({ path, reason: "it is not in the project" });
      else if (state?.is === "unknown" && isThere) this.#unseen.push({ path: displayPath(raw), reason: state.reason });
    }
  }

  /** Edits that their chat's undo took back leave nothing. */
  leaveEdited({ path, before, reason }: EditOfOther): void {
    const raw = this.#toRaw(path);
    if (raw === null) return;
    const isUndone = this.#undoneByOthers.some((one) => one.path === raw && isEntry(before, one.after));
    const now = this.#now.stateNow(raw);
    if (!isUndone || !isSame(now, before)) this.#changeByOther(raw, now, reason);
  }

  /**
   * @param lost files that no snapshot has
   * @param isNamed whether the user has named the path, and so takes what is doubtful
   */
  result(lost: readonly ExcludedFile[], isNamed: (path: RawPath) => boolean): Found {
    const changes: UndoneFile[] = [];
    const named: ExcludedFile[] = [...this.#unseen];
    for (const [path, known] of this.#files) {
      const found = decide(path, known.changes.slice(0, known.standing), isNamed(path));
      if (found === null) continue;
      const moved = "reason" in found || found.after !== null ? null : this.#now.movedFrom(path);
      if ("reason" in found) named.push({ path: displayPath(path), reason: found.reason });
      else if (moved?.isWhole === false) named.push({ path: displayPath(path), reason: moved.reason });
      else changes.push(found, ...(moved ? [{ path: moved.from, before: null, after: found.before }] : []));
    }
    const seen = new Set([...named.map(({ path }) => path), ...changes.map(({ path }) => displayPath(path))]);
    const left = [...named, ...lost.filter(({ path }) => !seen.has(path))];
    // A folder that a reading has left out stands for its files, but those that the chat edited.
    const folders = lost.flatMap(({ path }) => (path.endsWith("/") ? [path] : []));
    const edited = new Set([...this.#edited].map((path) => displayPath(this.#toRaw(path) ?? path)));
    const isIn = (path: string): boolean => folders.some((folder) => path !== folder && path.startsWith(folder));
    return { changes, begun: this.#begun, left: left.filter(({ path }) => edited.has(path) || !isIn(path)) };
  }

  /** Someone else's changes until the start of the next step. */
  async #pass(start: string): Promise<void> {
    if (this.#at === null) return this.#moveTo(start);
    for (const [path, { old, now }] of await this.#differences(start)) this.#changeSince(path, old, now, betweenTurns);
    this.#doubt = null;
    this.#moveTo(start);
  }

  /** A change after a turn, of which it is not always known that it is not the chat's. */
  #changeSince(path: RawPath, old: PathState, now: PathState, reason: string): void {
    const last = this.#lastOf(path);
    if (last !== null && isSame(last, now)) return;
    if (this.#doubt === null) this.#changeByOther(path, now, reason);
    else this.#change(path, old, now, { is: "other", reason: this.#doubt });
  }

  #changeByOther(path: RawPath, now: PathState, reason: string): void {
    const last = this.#lastOf(path);
    // A file that the chat has not changed needs no reason.
    if (last !== null) this.#change(path, last, now, { is: "other", reason });
  }

  #change(path: RawPath, from: PathState, to: PathState, author: Author): void {
    const known = this.#files.get(path);
    const reason = author.is === "own" ? null : author.reason;
    const change = { from, to, reason, isDoubtful: author.is === "doubtful" };
    const changes = [...(known?.changes.slice(0, known.standing) ?? []), change];
    this.#files.set(path, { changes, standing: changes.length });
  }

  /** @returns null: no change of the chat stands */
  #lastOf(path: RawPath): PathState | null {
    const known = this.#files.get(path);
    return known?.changes[known.standing - 1]?.to ?? null;
  }

  #moveTo(commit: string): void {
    this.#at = commit;
    this.#undone = new Map();
  }

  /** Files in which the newest known ones differ from those of a commit. */
  async #differences(commit: string): Promise<Map<RawPath, { old: PathState; now: PathState }>> {
    if (this.#at === null || (this.#at === commit && this.#undone.size === 0)) return new Map();
    const [before, after] = [await this.#readingAt(this.#at), await this.#readingAt(commit)];
    const states = new Map<RawPath, { old: PathState; now: PathState }>();
    for (const path of new Set([...after.differing(before), ...this.#undone.keys()])) {
      const [undone, now] = [this.#undone.get(path), after.stateOf(path)];
      const old = undone === undefined ? before.stateOf(path) : stateOf(undone);
      const isOfImages = now.is === "unknown" && this.#byImages.has(path);
      if (!isSame(old, now) && !isOfImages) states.set(path, { old, now });
    }
    return states;
  }

  async #readingAt(commit: string): Promise<Reading> {
    const isNow = commit === this.#present.root;
    const known = this.#readings.get(commit);
    const read = known ?? (await (isNow ? presentReading(this.#present) : savedReading(this.#present, commit)));
    setNewest(this.#readings, commit, read, maxReadings);
    return read;
  }
}

/** Readings in memory: one of 200,000 files takes tens of megabytes. */
const maxReadings = 4;

async function savedReading({ reader, modes }: PresentFiles, commit: string): Promise<Reading> {
  const about = await readAbout(reader, commit);
  const excluded = (about.excluded as Exclusions | undefined) ?? null;
  const times = listAt(about, "times") as ChangeTimes;
  return new Reading(await entriesAt(reader, commit), excluded, new KnownModes(about.modes ?? modes), times);
}

export async function presentReading({ reader, root, excluded, modes }: PresentFiles): Promise<Reading> {
  return new Reading(await entriesAt(reader, root), excluded, new KnownModes(modes));
}

/** Whether the edits alone are what changed the file from one state to the other. */
function isWhole(edits: Edits, old: PathState, left: PathState): boolean {
  return edits.isWhole && isSame(edits.before, old) && isSame(edits.after, left);
}

/** The newest reason counts; who names the path takes what may be the chat's. */
function reasonOf(changes: readonly Change[], isNamed: boolean): string | null {
  const others = changes.filter(({ reason }) => reason !== null);
  return isNamed && others.every(({ isDoubtful }) => isDoubtful) ? null : (others.at(-1)?.reason ?? null);
}

type Decision = UndoneFile | { readonly reason: string } | null;

/** An undo changes a file only where both sides are known. @returns null: nothing is to be done */
function decide(path: RawPath, changes: readonly Change[], isNamed: boolean): Decision {
  const [base, last] = [changes[0]?.from, changes.at(-1)?.to];
  if (base === undefined || last === undefined) return null;
  const reason = reasonOf(changes, isNamed);
  if (base.is === "unknown") return { reason: reason ?? `it is not known how it was before: ${base.reason}` };
  if (last.is === "unknown") return { reason: reason ?? `it is not known how the turn left it: ${last.reason}` };
  if (reason !== null) return { reason };
  return isSame(base, last) ? null : { path, before: entryOf(last), after: entryOf(base) };
}
