import type { LinkRules } from "../../clients/adapter/session-files.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";

/** How a client finds a conversation: from the newest row to the one that each names. */
interface Link {
  /** Link of the row that it names, or the id of one that is not there yet; null: it names none. */
  parent: Link | string | null;
  readonly index: number;
  at: number;
  side: unknown;
  isTurn: boolean;
  isPrompt: boolean;
}

/** The row that each row names; a row that is passed over is replaced by the one that it names. */
export class Parents {
  readonly #passed = new Map<string, string | null>();

  /** Rows are given in the order of the file. */
  of(rules: LinkRules, row: JsonObject): { readonly parent: string | null; readonly isPassedOver: boolean } {
    const named = textAt(row, "parentUuid");
    const parent = named !== null && this.#passed.has(named) ? (this.#passed.get(named) ?? null) : named;
    const isPassedOver = rules.isPassedOver?.(row) === true;
    const id = textAt(row, "uuid");
    if (isPassedOver && id !== null) this.#passed.set(id, parent);
    return { parent, isPassedOver };
  }
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

/**
 * Finds what a client sends of a file as it does itself. Seen with Claude Code 2.1.197 and
 * 2.1.328: a parent may stand later in the file, of twins the last one counts, a loop ends the way.
 */
export class RowChain {
  readonly #rules: LinkRules;
  readonly #links = new Map<string, Link>();
  readonly #parents = new Parents();
  #last: Link | null = null;
  #newest: string | null = null;
  #boundary = -1;
  #twins = 0;

  constructor(rules: LinkRules) {
    this.#rules = rules;
  }

  /** @param turn what the row is in the conversation; null: nothing */
  add(index: number, row: JsonObject, turn: "prompt" | "other" | null): void {
    this.#newest = this.#rules.newestIn?.(row) ?? this.#newest;
    const id = textAt(row, "uuid");
    if (id === null || !this.#rules.isLink(row)) return;
    const { parent, isPassedOver } = this.#parents.of(this.#rules, row);
    if (isPassedOver) return;
    const side = row["isSidechain"];
    const isMain = side !== true;
    const link = this.#linkOf(id, index);
    link.parent = parent === null ? null : (this.#links.get(parent) ?? parent);
    link.at = Date.parse(textAt(row, "timestamp") ?? "");
    [link.side, link.isTurn, link.isPrompt] = [side, isMain && turn !== null, isMain && turn === "prompt"];
    if (!isMain) return;
    this.#last = link;
    if (this.#rules.isBoundary?.(row)) [this.#boundary, this.#newest] = [index, null];
  }

  /** The last of rows with one id counts, at the position of the first. */
  #linkOf(id: string, index: number): Link {
    const known = this.#links.get(id);
    if (known) {
      this.#twins += 1;
      return known;
    }
    const link = { parent: null, index, at: NaN, side: undefined, isTurn: false, isPrompt: false };
    this.#links.set(id, link);
    return link;
  }

  #parentOf({ parent }: Link): Link | undefined {
    return typeof parent === "string" ? this.#links.get(parent) : (parent ?? undefined);
  }

  /** Rows whose id an earlier row has, too. */
  get twins(): number {
    return this.#twins;
  }

  /** First line, from 1, of rows that name one which is nowhere, and their number. */
  get unlinked(): { readonly count: number; readonly line: number } | null {
    const all = [...this.#links.values()].filter(
      (link) => link.isTurn && typeof link.parent === "string" && !this.#links.has(link.parent),
    );
    const [first] = all;
    return first ? { count: new Set(all.map(({ parent }) => parent)).size, line: first.index + 1 } : null;
  }

  has(id: string): boolean {
    return this.#links.has(id);
  }

  /** Prompts that are sent; null: no row of the file can be named by another. */
  get sent(): Sent | null {
    const last = this.#last;
    if (last === null) return null;
    const noted = this.#newest === null ? undefined : this.#links.get(this.#newest);
    const fromLast = noted === undefined ? this.#walkFromLatest(last) : this.#walk(last);
    const isPast = noted === undefined || noted.side === true || fromLast.found.has(noted);
    const { found, end } = isPast ? fromLast : this.#walk(noted);
    const prompts = [...this.#links.values()].filter(({ isPrompt }) => isPrompt);
    const lost = this.#lostBefore(found, end) ?? (isPast ? null : lostFrom(fromLast.end));
    return { prompts: prompts.length, sent: prompts.filter((one) => found.has(one)).length, lost };
  }

  #lostBefore(found: ReadonlySet<Link>, end: Link): Lost | null {
    const links = [...this.#links.values()];
    const isUnlinked = links.every(({ parent }) => parent === null) && this.#rules.bridgeMs > 0;
    if (end.parent === null && !isUnlinked) return null;
    const isLost = (link: Link): boolean =>
      link.isTurn && link.index > this.#boundary && link.index < end.index && !found.has(link);
    return links.some(isLost) ? { line: end.index + 1, where: "before" } : null;
  }

  /** Rows that stand twice may end a file. */
  #walkFromLatest(last: Link): Walked {
    const main = [...this.#links.values()].filter(({ side }) => side !== true);
    const latest = main.reduce((one, other) => (other.at >= one.at ? other : one), last);
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
      if (next === undefined) return { found, end: link };
      link = next;
    }
  }

  /** Links in the order of their times, those of one time in that of the file backwards. */
  #timed: readonly Link[] | null = null;

  #bridge({ at, side }: Link, found: ReadonlySet<Link>): Link | undefined {
    const { bridgeMs } = this.#rules;
    if (bridgeMs === 0 || Number.isNaN(at)) return undefined;
    this.#timed ??= [...this.#links.values()]
      .filter((link) => !Number.isNaN(link.at))
      .toReversed()
      .toSorted((one, other) => one.at - other.at);
    let [low, high] = [0, this.#timed.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#timed[middle]?.at ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    for (let index = low - 1; index >= 0; index -= 1) {
      const link = this.#timed[index];
      if (link === undefined || at - link.at > bridgeMs) return undefined;
      if (link.side === side && !found.has(link)) return link;
    }
    return undefined;
  }
}

function lostFrom({ parent, index }: Link): Lost | null {
  return parent === null ? null : { line: index + 1, where: "after" };
}
