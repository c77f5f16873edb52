import { isAbsolute, relative } from "node:path";
import { o200kTokens } from "../../sessions/usage/tokens.ts";
import type { Change, Learnt, LearntName } from "../learnt/learnt.ts";
import type { BriefLine, Growth } from "./brief-quotes.ts";
import type { SummedUpFile } from "./brief-summary.ts";

/** Pure: which names a brief has of what a session learnt, and how a file's line says them. */

/** Estimated tokens of names, and of the brief with them; the first go into a full one, too. */
interface Room {
  readonly first: { readonly names: number; readonly brief: number };
  readonly all: { readonly names: number; readonly brief: number };
}
const room: Room = { first: { names: 300, brief: 2_250 }, all: { names: 1_000, brief: 2_400 } };
const afterCompaction: Room = { first: { names: 450, brief: 2_500 }, all: { names: 1_000, brief: 2_500 } };
/** Names of one file, and those that no file has. */
const most = { ofFile: 30, others: 25 };
/** The first before most of a client's summary, the others after all else. */
const ranks = { first: 1.98, all: 9 };

interface LearntFile {
  /** Best first. */
  readonly names: readonly LearntName[];
  /** The chat's own words about its newest edit; null: none. */
  readonly sentence: string | null;
}

interface Chosen {
  /** By absolute path, that of the best name first. */
  readonly files: ReadonlyMap<string, LearntFile>;
  /** Names that stood at no file of the project. */
  readonly others: readonly string[];
}

/** Names by their worth, until they fill the room that is for them. */
function chooseNames({ names, sentences }: Learnt, project: string | null, tokens: number): Chosen {
  const files = new Map<string, LearntName[]>();
  const others: string[] = [];
  let left = tokens;
  for (const one of names) {
    const file = isInside(project, one.file) ? one.file : null;
    const known = file === null ? undefined : files.get(file);
    const cost = o200kTokens(` ${one.name},`) + (file !== null && !known ? o200kTokens(file) / 2 : 0);
    if (cost > left) break;
    if (file === null ? others.length >= most.others : (known?.length ?? 0) >= most.ofFile) continue;
    left -= cost;
    if (file === null) others.push(one.name);
    else files.set(file, [...(known ?? []), one]);
  }
  const withSentence = ([file, own]: [string, LearntName[]]): [string, LearntFile] => {
    return [file, { names: own, sentence: sentences.get(file) ?? null }];
  };
  return { files: new Map([...files].map(withSentence)), others };
}

function isInside(project: string | null, path: string | null): path is string {
  if (path === null || project === null) return path !== null;
  const inside = relative(project, path);
  return inside !== "" && !inside.startsWith("..") && !isAbsolute(inside);
}

const bare: LearntFile = { names: [], sentence: null };
const none: Learnt = { names: [], sentences: new Map() };

/** Names that a brief has, for the lines of its files. */
export class LearntNames {
  readonly #room: Room;
  readonly #first: Chosen;
  readonly #all: Chosen;
  readonly #summedUp: ReadonlyMap<string, SummedUpFile>;
  /** Absolute paths: of names, that of the best first, then others of the summary. */
  readonly files: readonly string[];

  /** @param summedUp by absolute path */
  constructor(
    learnt: Learnt | undefined,
    project: string | null,
    isCompacted: boolean,
    summedUp: ReadonlyMap<string, SummedUpFile> = new Map(),
  ) {
    this.#room = isCompacted ? afterCompaction : room;
    this.#first = chooseNames(learnt ?? none, project, this.#room.first.names);
    this.#all = chooseNames(learnt ?? none, project, this.#room.all.names);
    this.#summedUp = summedUp;
    this.files = [...new Set([...this.#all.files.keys(), ...summedUp.keys()])];
  }

  get others(): readonly string[] {
    return this.#all.others;
  }

  /** Whether it has a line of its own before most else. */
  isFirst(path: string): boolean {
    return this.#first.files.has(path) || this.#summedUp.has(path);
  }

  /** The line of a file; words of the summary and names follow as far as there is room. */
  line(path: string, text: string, isNeeded: boolean): BriefLine {
    const summedUp = this.#summedUp.get(path);
    const { first, all } = this.#room;
    const rank = isNeeded ? 0 : (summedUp?.rank ?? (this.isFirst(path) ? ranks.first : ranks.all));
    const [few = bare, many] = [this.#first.files.get(path), this.#all.files.get(path)];
    const early = { rank: Math.min(ranks.first, summedUp?.rank ?? ranks.first), most: first.brief };
    const growths = [
      growth(text, few, few, undefined, early),
      ...(summedUp ? [growth(text, few, few, summedUp, summedUp)] : []),
      ...(many ? [growth(text, many, few, summedUp, { rank: ranks.all, most: all.brief })] : []),
    ];
    return { text, rank, growths, ...(isNeeded ? {} : { most: (this.isFirst(path) ? first : all).brief }) };
  }
}

/** Words of the summary stand before the names, and give way to the first of these. */
function growth(
  line: string,
  { names, sentence }: LearntFile,
  first: LearntFile,
  summedUp: SummedUpFile | undefined,
  { rank, most }: Pick<Growth, "rank" | "most">,
): Growth {
  const said = summedUp === undefined ? "" : `; by the summary: ${summedUp.text}`;
  const unsaid = (all: readonly LearntName[]): LearntName[] => all.filter(({ name }) => !said.includes(name));
  const start = line + said;
  const least = start.length + learntText({ names: unsaid(first.names), sentence: null }, Infinity).length;
  const text = (chars: number): string =>
    least <= chars
      ? start + learntText({ names: unsaid(names), sentence }, chars - start.length)
      : line + learntText({ names, sentence }, chars - line.length);
  return { rank, most, isBeside: true, text };
}

const order: readonly (Change | null)[] = ["added", "changed", "removed", null];

/** Names behind the line of a file, in at most so many characters; "": nothing fits. */
export function learntText({ names, sentence }: LearntFile, chars: number): string {
  let text = "";
  const kept: LearntName[] = [];
  for (const name of names) {
    const next = partsOf([...kept, name]);
    if (next.length > chars) break;
    kept.push(name);
    text = next;
  }
  const quoted = sentence === null ? "" : ` "${sentence}"`;
  return text.length + quoted.length <= chars ? text + quoted : text;
}

function partsOf(names: readonly LearntName[]): string {
  return order
    .flatMap((change) => {
      const own = names.filter((one) => one.change === change).map(({ name }) => name);
      return own.length === 0 ? [] : [`; ${change ?? "has"} ${own.join(", ")}`];
    })
    .join("");
}
