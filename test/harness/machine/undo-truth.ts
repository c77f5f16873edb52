import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";

export type Chat = "A" | "B";

/** A file's rights and content; null: it is not there. */
export type State = string | null;
export type Tree = ReadonlyMap<string, { readonly state: string; readonly mode: number }>;

/** A change of a path that no undo has taken back. */
export interface Entry {
  readonly at: number;
  readonly by: Chat | "person";
  readonly turn: number;
  readonly from: State;
  readonly to: State;
  /** Rights before it. */
  readonly mode: number | null;
  /** Another chat's command ran at the same time. */
  readonly isDoubtful: boolean;
  /** Of a call that named the path, before and after which SHIM read it. */
  readonly hasImage: boolean;
  /** No reading can tell it from the chat's: a person's deletion beside a call, what a moved folder brings. */
  readonly isLimit: boolean;
  /** Whose time it changed: where the path, or a folder above it, came or went. */
  readonly folder: string;
}

/** What an undo may do to a path. */
export interface Expected {
  /** States that it may get. */
  readonly may: readonly State[];
  /** Where every event came, it gets the first of them. */
  readonly must: boolean;
  /** The turns may have touched it, and it is not as before: where it stays, it is named. */
  readonly isTouched: boolean;
  /** What is there now is not the chat's. */
  readonly isOfOthers: boolean;
  /** Its first entry that is taken back. */
  readonly first: number;
}

interface Turn {
  readonly at: number;
  /** What its first files did not show. */
  readonly ignored: ReadonlySet<string>;
}

/** Who wrote what, whatever SHIM saw of it. */
export class UndoTruth {
  readonly turns: Record<Chat, Turn[]> = { A: [], B: [] };
  /** All events came, and in time. */
  isComplete = true;
  /** A call of which only the end is known may have run at any time. */
  isVague = false;
  /** Written by an undo or a redo, so that their times say nothing of the chat's. */
  readonly restored = new Set<string>();
  /** Written again as it was, by a chat or over what a call that named it had left: its content is that of two. */
  readonly vague = new Set<string>();
  /** Commands that ran beside a call of the other chat. */
  readonly commands: { readonly at: number; readonly by: Chat }[] = [];
  readonly #log = new Map<string, readonly Entry[]>();

  paths(): Iterable<string> {
    return this.#log.keys();
  }

  entriesOf(path: string): readonly Entry[] {
    return this.#log.get(path) ?? [];
  }

  set(path: string, entries: readonly Entry[]): void {
    this.#log.set(path, entries);
  }

  /** To write the same again is a change of the one who did it, as long as nobody writes after it. */
  note(path: string, entry: Entry): void {
    const isSame = entry.from === entry.to;
    if (isSame && (entry.by !== "person" || this.entriesOf(path).at(-1)?.hasImage === true)) this.vague.add(path);
    if (isSame && (entry.by !== "person" || this.restored.has(path))) return;
    const entries = this.entriesOf(path).filter(({ from, to }) => from !== to);
    this.#log.set(path, [...entries, entry]);
  }

  /** @param from null: nothing was moved */
  move(from: string | null, to: string): void {
    if (from !== null && this.vague.has(from)) this.vague.add(to);
  }

  startOf(chat: Chat, turn: number): number {
    return this.turns[chat][turn - 1]?.at ?? 0;
  }

  #stateAt(path: string, moment: number): State {
    const entries = this.entriesOf(path);
    const before = entries.findLast(({ at }) => at <= moment);
    return before === undefined ? (entries[0]?.from ?? null) : before.to;
  }

  /**
   * What an undo of the turns since one may, and must, do to a path.
   *
   * @param isIgnored whether git ignores it now
   */
  expected(
    path: string,
    chat: Chat,
    since: number,
    { isNamed, isIgnored }: Readonly<Record<string, boolean>>,
  ): Expected {
    const entries = this.entriesOf(path);
    const isOwn = ({ by, turn }: Entry): boolean => by === chat && turn >= since;
    const first = entries.findIndex(isOwn);
    const [one, last] = [entries[first], entries.at(-1)];
    const isOfOthers = !entries.slice(-1).every(isOwn);
    const none: Expected = { may: [], must: false, isTouched: false, isOfOthers, first: entries.length };
    if (one === undefined || last === undefined || one.from === last.to) return none;
    const images = byImages(entries, isOwn);
    const lost = this.isComplete ? [] : images.may;
    const back = { ...none, may: [...this.#statesBefore(path, chat, since, one), ...lost], first, isOfOthers: false };
    if (back.may[1] === last.to) return back;
    const isSeen = this.#isRead(path, one, isIgnored) || entries.filter(isOwn).every(({ hasImage }) => hasImage);
    const isTouched = this.#isShown(path, one, entries.filter(isOwn), isIgnored, isSeen);
    const author = this.#authorOf(entries.slice(first), chat);
    if (author === "others") return { ...none, isTouched };
    if (!isSeen) return { ...back, ...images, isTouched };
    if (author === "doubtful") return { ...back, may: isNamed === true ? back.may : [], isTouched, isOfOthers };
    const isOne = author === "own" && new Set(back.may).size === 1;
    return { ...back, must: isOne && !this.#isLimit(path, one, last), isTouched };
  }

  /**
   * Readings do not enter what git ignores, and builds change it, so that it is not named. Of a file
   * that was made and deleted in one turn no reading knows.
   */
  #isShown(path: string, { turn, by, from }: Entry, own: readonly Entry[], isIgnored = false, isSeen = false): boolean {
    if (isIgnored && (from === null || !isSeen)) return false;
    const isOfOne = own.every((each) => each.turn === turn && !each.hasImage);
    return !isOfOne || by === "person" || this.#stateAt(path, this.startOf(by, turn)) !== own.at(-1)?.to;
  }

  /** By the readings at the start of the turn and at its end. */
  #isRead(path: string, { by, turn }: Entry, isIgnored = false): boolean {
    return by !== "person" && !isIgnored && this.turns[by][turn - 1]?.ignored.has(path) === false;
  }

  /** Whether what the chat did may stay, and is named then. */
  #isLimit(path: string, one: Entry, last: Entry): boolean {
    return this.isVague || one.isLimit || this.#isUnheld(one) || this.#isGoneBeside(path, one, last);
  }

  /** Whether it is a moved file that no reading has: a redo could not bring it back. */
  #isUnheld({ by, at, turn, to }: Entry): boolean {
    const ignored = by === "person" ? [] : (this.turns[by][turn - 1]?.ignored ?? []);
    return [...ignored].some((path) =>
      this.entriesOf(path).some((each) => each.at === at && each.to === null && each.from === to),
    );
  }

  #authorOf(entries: readonly Entry[], chat: Chat): "own" | "mixed" | "doubtful" | "others" {
    const own = entries.filter(({ by }) => by === chat);
    const others = entries.filter(({ by }) => by !== chat);
    if (!others.every((each) => this.#isHidden(each, own))) return "others";
    const lasts = own.filter((each, at) => own[at + 1]?.turn !== each.turn);
    // An image says what its call did, but not who did what was there before it.
    const isProven = ({ turn }: Entry): boolean => own.every((each) => each.turn !== turn || each.hasImage);
    if (lasts.some((last) => last.isDoubtful && !isProven(last))) return "doubtful";
    return others.length === 0 && lasts.length === 1 ? "own" : "mixed";
  }

  /** Between the beginning of a turn and the end of its last call nothing is read. */
  #isHidden({ at }: Entry, own: readonly Entry[]): boolean {
    return own.some(({ at: later, by, turn }) => by !== "person" && later > at && this.startOf(by, turn) <= at);
  }

  /** Before the first change, at the start of its turn, and at that of the first turn where another changed it since. */
  #statesBefore(path: string, chat: Chat, since: number, one: Entry): readonly State[] {
    const from = this.startOf(chat, since);
    // What another did in an earlier turn has a time only until it is changed again.
    const isMixed = this.entriesOf(path).some(({ by, at }) => by !== chat && at > from);
    const started = this.#stateAt(path, this.startOf(chat, one.turn));
    return [one.from, started, ...(isMixed ? [this.#stateAt(path, from)] : [])];
  }

  /** Whether the time of its folder is another's, or that of an undo: it may come back by one undo alone. */
  mayComeBack(path: string): boolean {
    const entries = this.entriesOf(path);
    return entries.some((one) => this.#isGoneBeside(path, one, entries.at(-1) ?? one));
  }

  /** A path that is gone has the time of its folder, or of the nearest one above that is there. */
  #isGoneBeside(path: string, one: Entry, last: Entry): boolean {
    if (one.by === "person") return false;
    const since = this.startOf(one.by, one.turn);
    const isBeside = ({ by, at, folder }: Entry): boolean =>
      by !== one.by && at > since && path.startsWith(`${folder}/`);
    const isRunning = this.commands.some(({ by, at }) => by !== one.by && at > since);
    return last.to === null && (isRunning || [...this.#log.values()].flat().some(isBeside));
  }
}

/** Where no reading knows what was before, the last calls that named the path are taken back. */
function byImages(entries: readonly Entry[], isOwn: (entry: Entry) => boolean): Pick<Expected, "may" | "first"> {
  const first = entries.findLastIndex((each) => !each.hasImage || !isOwn(each)) + 1;
  const one = entries[first];
  return { may: one === undefined ? [] : [one.from], first };
}

/** Earlier path of what a move has brought to a path. */
export function sourceOf(path: string, move: string): string | null {
  if (move === "folder moved" && path.includes("/e/")) return path.replace("/e/", "/d/");
  return move === "moved" && path.endsWith(".moved") ? path.slice(0, -".moved".length) : null;
}

export function stateIn(tree: Tree, path: string): State {
  return tree.get(path)?.state ?? null;
}

export function treeOf(project: string): Tree {
  const found = new Map<string, { readonly state: string; readonly mode: number }>();
  const walk = (above: string): void => {
    for (const name of readdirSync(join(project, above))) {
      if (name === ".git" || name.startsWith(".shim-undo-")) continue;
      const path = above === "" ? name : `${above}/${name}`;
      const stats = lstatSync(join(project, path));
      if (stats.isDirectory()) walk(path);
      else if (stats.isSymbolicLink()) found.set(path, { state: `link ${readlinkSync(join(project, path))}`, mode: 0 });
      else {
        const mode = stats.mode & 0o777;
        found.set(path, { state: `${mode.toString(8)} ${readFileSync(join(project, path), "utf8")}`, mode });
      }
    }
  };
  walk("");
  return found;
}

/** The folder in which the path came or went, or else the first folder above it that did. */
export function changedFolder(path: string, trees: readonly Tree[]): string {
  const folder = dirname(path);
  const isThere = trees.every((tree) => [...tree.keys()].some((name) => name.startsWith(`${folder}/`)));
  return isThere || folder === "." ? folder : changedFolder(folder, trees);
}

export function differing(one: Tree, other: Tree): string[] {
  const paths = new Set([...one.keys(), ...other.keys()]);
  return [...paths].filter((path) => stateIn(one, path) !== stateIn(other, path));
}
