import { countUntil } from "../../shared/count-until.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";

/** How the rows of a client name each other, by `uuid` and `parentUuid`. */
export interface LinkRules {
  /** Others can name the row. */
  isLink(row: JsonObject): boolean;
  /** The client drops the row; those that name it get the one that it names. */
  isPassedOver?(row: JsonObject): boolean;
  /** Rows before this one are left out on purpose. */
  isBoundary?(row: JsonObject): boolean;
  /** Row that the client wrote down as its newest one. */
  newestIn?(row: JsonObject): string | null;
  /** Where a row that is named is not there, the client takes the last one of so long before. */
  readonly bridgeMs: number;
  /** Rows with one id are parts of one message, all of which the client reads. */
  readonly areTwinsJoined?: true;
  /** Follows the rows of a file, which may begin with the end of another session. */
  readonly earlierEnd?: () => EarlierEnd;
}

/** Rules of clients whose rows name none. */
export const unlinked: LinkRules = { isLink: () => false, bridgeMs: 0 };

interface EarlierEnd {
  /** Rows are given in the order of the file. */
  add(row: JsonObject): void;
  /** Row of the session before that the first one names; null: the file does not begin so. */
  readonly parent: string | null;
}

/** The row that each row names; a row that is passed over is replaced by the one that it names. */
export class Parents {
  readonly #passed = new Map<string, string | null>();

  /** Rows are given in the order of the file. */
  of(
    rules: Pick<LinkRules, "isPassedOver">,
    row: JsonObject,
  ): { readonly parent: string | null; readonly isPassedOver: boolean } {
    const named = textAt(row, "parentUuid");
    const parent = named !== null && this.#passed.has(named) ? (this.#passed.get(named) ?? null) : named;
    const isPassedOver = rules.isPassedOver?.(row) === true;
    const id = textAt(row, "uuid");
    if (isPassedOver && id !== null) this.#passed.set(id, parent);
    return { parent, isPassedOver };
  }
}

/** A row that others can name. */
interface Link {
  readonly id: string;
  /** Number of links before it. */
  readonly order: number;
  /** Twins have that of the first. */
  readonly row: RowPosition;
  /** The string of the row that it names, not a copy, where that stands before it. */
  readonly parent: string | null;
  /** Epoch ms; NaN: the row has no time. */
  readonly at: number;
  readonly side: unknown;
  readonly turn: Turn | null;
  /** Its parent may stand in a part before it that could not be read. */
  readonly isBehindDamage: boolean;
}

/** Part of a row in the conversation. */
type Turn = "prompt" | "other";

export interface RowPosition {
  /** Number of the row's line, from 0. */
  readonly index: number;
  /** In bytes, from the start of the file. */
  readonly position: number;
  /** Time of the newest row until then, in epoch ms; null: none has a time. */
  readonly newest: number | null;
}

/** Rows from one to where the way up ends. */
interface Walked {
  readonly found: ReadonlySet<Link>;
  readonly end: Link;
}

/** Rows of the conversation that a client does not find. */
export interface Lost {
  /** Line that names a row which is not there, from 1. */
  readonly line: number;
  /** after: the client continues from a row before the line, which it wrote down. */
  readonly where: "before" | "after";
}

export interface Sent {
  readonly prompts: number;
  /** Prompts that the client sends. */
  readonly sent: number;
  readonly lost: Lost | null;
}

/** Rows whose parents lead back to them. */
export interface Loop {
  /** Line of the first one, from 1. */
  readonly line: number;
  readonly rows: number;
}

/** Facts of rows that name each other. */
export interface ChainFacts {
  /** Ids that more than one row has, of which its client reads the last one. */
  readonly twins: ReadonlySet<string>;
  readonly loops: readonly Loop[];
  /** Rows that name one which is nowhere in the file: their number, and the first one's line. */
  readonly unlinked: { readonly count: number; readonly line: number } | null;
  /** Prompts that are sent, where each row names the one before it; null: all rows are. */
  readonly sent: Sent | null;
}

/**
 * Finds what a client sends of a file as it does itself. Seen with Claude Code 2.1.197 and
 * 2.1.328: a parent may stand later in the file, of twins the last one counts, a loop ends the way.
 */
export class RowChain {
  readonly #rules: LinkRules;
  readonly #links = new Map<string, Link>();
  /** Ids of rows that are no links. */
  readonly #others = new Set<string>();
  readonly #parents = new Parents();
  readonly #earlierEnd: EarlierEnd | undefined;
  #isBehindDamage = false;
  #last: string | null = null;
  #newest: string | null = null;
  #boundary = -1;
  readonly #twins = new Set<string>();

  constructor(rules: LinkRules) {
    this.#rules = rules;
    this.#earlierEnd = rules.earlierEnd?.();
  }

  /** A part that could not be read stands here. */
  breakOff(): void {
    this.#isBehindDamage = true;
  }

  /** @param turn what the row is in the conversation; null: nothing */
  add(given: JsonObject, row: RowPosition, turn: Turn | null): void {
    this.#newest = this.#rules.newestIn?.(given) ?? this.#newest;
    this.#earlierEnd?.add(given);
    const id = textAt(given, "uuid");
    const { parent: named, isPassedOver } = this.#parents.of(this.#rules, given);
    if (id === null) return;
    if (isPassedOver || !this.#rules.isLink(given)) {
      this.#others.add(id);
      return;
    }
    const at = Date.parse(textAt(given, "timestamp") ?? "");
    const parent = named === null ? null : (this.#links.get(named)?.id ?? named);
    this.#addLink({ id, row, parent, at, side: given["isSidechain"], turn });
    if (given["isSidechain"] !== true && this.#rules.isBoundary?.(given))
      [this.#boundary, this.#newest] = [row.index, null];
  }

  #addLink({ id, parent, at, side, turn, ...found }: Omit<Link, "order" | "isBehindDamage">): void {
    const { order, row } = this.#links.get(id) ?? { order: this.#links.size, row: found.row };
    if (order < this.#links.size && this.#rules.areTwinsJoined !== true) this.#twins.add(id);
    // Written out, since V8 keeps the fields of a spread apart, which doubles what a row takes.
    const link: Link = { id, order, row, parent, at, side, turn, isBehindDamage: this.#isBehindDamage };
    this.#links.set(id, link);
    if (!isMain(link)) return;
    if (this.has(link.parent)) this.#isBehindDamage = false;
    this.#last = id;
  }

  /** Whether a row has the id. */
  has(id: string | null): boolean {
    return id !== null && (this.#links.has(id) || this.#others.has(id));
  }

  get facts(): ChainFacts {
    const missing = this.#missing(() => true);
    const [first] = missing;
    const unlinked = first ? { count: missing.length, line: first.row.index + 1 } : null;
    return { twins: this.#twins, loops: this.#loops(), unlinked, sent: this.#sent() };
  }

  /** For each row that is nowhere in the file, the first of these that names it. */
  #missing(isCounted: (link: Link) => boolean): readonly Link[] {
    const named = new Map<string, Link>();
    for (const link of this.#links.values()) {
      const { parent } = link;
      if (parent === null || named.has(parent) || this.has(parent) || !isMain(link)) continue;
      if (parent !== this.#earlierEnd?.parent && isCounted(link)) named.set(parent, link);
    }
    return [...named.values()];
  }

  /** Rows that name one which is nowhere, nor may stand in a part that could not be read. */
  get unlinked(): readonly RowPosition[] {
    return this.#missing(({ isBehindDamage }) => !isBehindDamage).map(({ row }) => row);
  }

  #parentOf({ parent }: Link): Link | undefined {
    return parent === null ? undefined : this.#links.get(parent);
  }

  #loops(): Loop[] {
    const loops: Loop[] = [];
    const walkOf = new Map<Link, Link>();
    for (const link of this.#links.values()) {
      // The first row of a loop names a later one, or itself.
      if ((this.#parentOf(link)?.order ?? -1) < link.order) continue;
      let at: Link | undefined = link;
      while (at && !walkOf.has(at)) {
        walkOf.set(at, link);
        at = this.#parentOf(at);
      }
      if (at && walkOf.get(at) === link) loops.push(this.#loopWith(at));
    }
    return loops;
  }

  #loopWith(link: Link): Loop {
    let [first, rows] = [link, 1];
    for (let at = this.#parentOf(link); at && at !== link; at = this.#parentOf(at)) {
      if (at.order < first.order) first = at;
      rows += 1;
    }
    return { line: first.row.index + 1, rows };
  }

  #sent(): Sent | null {
    const last = this.#last === null ? undefined : this.#links.get(this.#last);
    if (last === undefined) return null;
    const noted = this.#newest === null ? undefined : this.#links.get(this.#newest);
    const fromLast = noted ? this.#walk(last) : this.#walkFromLatest(last);
    const isPast = !noted || !isMain(noted) || fromLast.found.has(noted);
    const { found, end } = isPast ? fromLast : this.#walk(noted);
    const prompts = [...this.#links.values()].filter(({ turn }) => turn === "prompt");
    const lost = this.#lostBefore(found, end) ?? (isPast ? null : lostFrom(fromLast.end));
    return { prompts: prompts.length, sent: prompts.filter((link) => found.has(link)).length, lost };
  }

  #lostBefore(found: ReadonlySet<Link>, end: Link): Lost | null {
    const all = [...this.#links.values()];
    const isUnlinked = this.#rules.bridgeMs > 0 && all.every(({ parent }) => parent === null);
    if (end.parent === null && !isUnlinked) return null;
    const isLost = (link: Link): boolean =>
      link.order < end.order && link.row.index > this.#boundary && link.turn !== null && !found.has(link);
    return all.some(isLost) ? { line: end.row.index + 1, where: "before" } : null;
  }

  /** Rows that stand twice may end a file. */
  #walkFromLatest(last: Link): Walked {
    let latest = last;
    for (const link of this.#links.values()) if (isMain(link) && link.at >= latest.at) latest = link;
    const walked = this.#walk(latest);
    return walked.found.has(last) ? walked : this.#walk(last);
  }

  #walk(from: Link): Walked {
    const found = new Set<Link>();
    for (let link = from; ;) {
      found.add(link);
      if (link.parent === null) return { found, end: link };
      const named = this.#parentOf(link);
      const next = named && !found.has(named) ? named : this.#bridge(link, found);
      if (!next) return { found, end: link };
      link = next;
    }
  }

  /** Rows in the order of their times, those of one time in that of the file backwards. */
  #timed: readonly Link[] | null = null;

  #bridge({ at, side }: Link, found: ReadonlySet<Link>): Link | undefined {
    const { bridgeMs } = this.#rules;
    if (bridgeMs === 0 || Number.isNaN(at)) return undefined;
    this.#timed ??= [...this.#links.values()]
      .filter((link) => !Number.isNaN(link.at))
      .toSorted((one, other) => one.at - other.at || other.order - one.order);
    const timed = this.#timed;
    for (let index = countUntil(timed, at, (link) => link.at) - 1; index >= 0; index -= 1) {
      const link = timed[index];
      if (link === undefined || at - link.at > bridgeMs) return undefined;
      if (link.side === side && !found.has(link)) return link;
    }
    return undefined;
  }
}

function isMain({ side }: Link): boolean {
  return side !== true;
}

function lostFrom(end: Link): Lost | null {
  return end.parent === null ? null : { line: end.row.index + 1, where: "after" };
}
