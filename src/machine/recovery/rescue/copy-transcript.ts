import { existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { SessionFiles } from "../../../clients/adapter/session-files.ts";
import { Parents, type LinkRules } from "../../../clients/transcript/row-chain.ts";
import { TranscriptBytes, compressedEnd } from "../../../clients/transcript/transcript-file.ts";
import { removeLeftovers, temporaryNames } from "../../../platform/leftovers.ts";
import { requireAbsent, temporaryBeside } from "../../../platform/private-files.ts";
import { textAt, type JsonObject } from "../../../shared/json-fields.ts";
import { withWholeCharacters } from "./session-facts.ts";

interface Entry {
  readonly index: number;
  /** Id of the row; null: no other row can name it. */
  id: string | null;
  parent: string | null;
  /** The parent that the row itself names. */
  readonly given: string | null;
  readonly isMain: boolean;
  readonly isKept: boolean;
  /** The way up ends here, though not by the row's own words. */
  isLoose: boolean;
}

/** Fields of a row that a copy has otherwise; empty: it is the same. */
type Changed = Readonly<Record<string, string | null>>;

/**
 * Links the rows of a copy so that its client finds each: a parent that is nowhere, or from
 * which the way leads back to the row, becomes the row before it in the file.
 */
class Relinker {
  readonly #rules: LinkRules;
  readonly #entries: Entry[] = [];
  /** The last one of rows that stand twice counts. */
  readonly #byId = new Map<string, Entry>();
  readonly #parents = new Parents();
  /** For a row one further up. */
  readonly #ends = new Map<Entry, Entry>();

  constructor(rules: LinkRules) {
    this.#rules = rules;
  }

  /** @param isTurn the row is one of the conversation */
  add(row: JsonObject, { isKept, isTurn }: { readonly isKept: boolean; readonly isTurn: boolean }): void {
    const id = textAt(row, "uuid");
    const given = textAt(row, "parentUuid");
    const { parent, isPassedOver } = this.#parents.of(this.#rules, row);
    const isLink = !isPassedOver && this.#rules.isLink(row) && (id !== null || isTurn);
    const isMain = isLink && row["isSidechain"] !== true;
    const entry = { index: this.#entries.length, id, parent, given, isMain, isKept, isLoose: false };
    this.#entries.push(entry);
    if (isLink && id !== null) this.#byId.set(id, entry);
  }

  /** For each row, in the order in which they were added. */
  solve(): readonly Changed[] {
    const isNew = new Set(this.#entries.filter(({ id }) => id === null));
    this.#skipLeftOut();
    this.#relink(this.#entries.filter(({ isMain, isKept }) => isMain && isKept));
    return this.#entries.map((entry) => ({
      ...(entry.id !== null && isNew.has(entry) ? { uuid: entry.id } : {}),
      ...(entry.isMain && entry.parent !== entry.given ? { parentUuid: entry.parent } : {}),
    }));
  }

  #parentOf({ parent }: Entry): Entry | undefined {
    return parent === null ? undefined : this.#byId.get(parent);
  }

  #skipLeftOut(): void {
    for (const entry of this.#entries) {
      const seen = new Set<Entry>();
      for (let up = this.#parentOf(entry); up && !up.isKept && !seen.has(up); up = this.#parentOf(entry)) {
        seen.add(up);
        entry.parent = up.parent;
      }
    }
  }

  #relink(main: readonly Entry[]): void {
    this.#name(main);
    const isUnlinked = main.every(({ parent }) => parent === null);
    for (const entry of main) entry.isLoose = isUnlinked || (entry.parent !== null && !this.#parentOf(entry));
    for (const entry of main) this.#endOf(entry);
    for (const [at, entry] of main.entries()) {
      if (!entry.isLoose) continue;
      let before = at - 1;
      while (before >= 0 && !this.#canPrecede(main[before], entry)) before -= 1;
      const found = main[before];
      entry.parent = found?.id ?? null;
      if (found) this.#ends.set(entry, found);
    }
  }

  #canPrecede(one: Entry | undefined, entry: Entry): boolean {
    return one !== undefined && one.id !== null && this.#endOf(one) !== entry;
  }

  /** A row without an id is the one that the next row names, if no other is. */
  #name(main: readonly Entry[]): void {
    for (const [at, entry] of main.entries()) {
      const named = main[at + 1]?.parent ?? null;
      if (entry.id !== null || named === null || this.#byId.has(named)) continue;
      entry.id = named;
      this.#byId.set(named, entry);
    }
  }

  /** The last row of the way up. A loop is cut at the row of it that stands first in the file. */
  #endOf(entry: Entry): Entry {
    const way = new Set<Entry>();
    let end = entry;
    for (let up = this.#up(end); up; up = this.#up(end)) {
      way.add(end);
      if (way.has(up)) {
        end = this.#cutLoop(up);
        break;
      }
      end = up;
    }
    for (const one of way) if (one !== end) this.#ends.set(one, end);
    return end;
  }

  #up(entry: Entry): Entry | undefined {
    return this.#ends.get(entry) ?? (entry.isLoose ? undefined : this.#parentOf(entry));
  }

  #cutLoop(from: Entry): Entry {
    let first = from;
    for (let at = this.#up(from); at && at !== from; at = this.#up(at)) if (at.index < first.index) first = at;
    first.isLoose = true;
    return first;
  }
}

export interface CopyOf {
  readonly file: string;
  readonly id: string;
  /** Session that a row names instead; null: none. */
  readonly otherId: string | null;
  readonly newId: string;
  /** Rows from this index on are left out, and all thoughts; null: nothing of that. */
  readonly until: number | null;
  /** Folder of the session, and time of its beginning in epoch ms, where its first row is lost. */
  readonly head: { readonly cwd: string; readonly at: number } | null;
  /** Folder of the session and the one in which it is to continue; null: it stays where it is. */
  readonly moved: { readonly from: string; readonly to: string } | null;
}

/**
 * Writes a session again under a new id, as its client loads it. The file itself is only
 * read, and nothing is overwritten.
 *
 * @returns the path of the copy
 * @throws a system error; then nothing is left of the copy
 */
export async function copyTranscript(client: SessionFiles, copy: CopyOf): Promise<string> {
  const { file, id, otherId, newId, moved } = copy;
  const plain = file.endsWith(compressedEnd) ? file.slice(0, -compressedEnd.length) : file;
  const renamed = plain.replaceAll(id, newId).replaceAll(`-${id.slice(0, 8)}.`, `-${newId.slice(0, 8)}.`);
  const folder = (moved && client.folderOf?.(file, moved.to)) ?? dirname(renamed);
  const path = join(folder, basename(renamed));
  requireAbsent(path);
  // A client may list each folder as a session: a new one is made once the copy is whole.
  const isNew = !existsSync(folder);
  const partial = temporaryBeside(isNew ? folder : path);
  await mkdir(dirname(partial), { recursive: true, mode: 0o700 });
  removeLeftovers(dirname(partial), temporaryNames);
  try {
    const target = await open(partial, "wx", 0o600);
    try {
      for await (const line of linesOfCopy(client, copy)) {
        const own = line.replaceAll(id, newId).replaceAll(otherId ?? id, newId);
        const text = moved ? own.replaceAll(JSON.stringify(moved.from), JSON.stringify(moved.to)) : own;
        await target.write(`${text}\n`);
      }
      await target.sync();
    } finally {
      await target.close();
    }
    if (isNew) await mkdir(folder, { mode: 0o700 });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return path;
}

interface RowOfCopy {
  readonly text: string;
  readonly row: JsonObject;
  readonly isKept: boolean;
}

/** Rows that the client loads once each has a line of its own. */
async function* rowsOfCopy(client: SessionFiles, { file, until }: CopyOf): AsyncGenerator<RowOfCopy, void> {
  for await (const rows of TranscriptBytes.open(file).rows())
    for (const { row, text, line } of rows) {
      if (until !== null && line > until) return;
      if (row === null) continue;
      const isKept = until === null || client.isThought?.(row) !== true;
      if (client.accepts?.(row) !== false) yield { text: withWholeCharacters(text, row).trim(), row, isKept };
    }
}

async function* linesOfCopy(client: SessionFiles, copy: CopyOf): AsyncGenerator<string, void> {
  if (copy.head && client.head) yield JSON.stringify(client.head.make(copy.id, copy.head.cwd, copy.head.at));
  const changes = client.links ? await relinked(client, client.links, copy) : [];
  let at = 0;
  for await (const { text, row, isKept } of rowsOfCopy(client, copy)) {
    const changed = changes[at++] ?? {};
    if (isKept) yield Object.keys(changed).length === 0 ? text : JSON.stringify({ ...row, ...changed });
  }
}

async function relinked(
  client: SessionFiles,
  links: NonNullable<SessionFiles["links"]>,
  copy: CopyOf,
): Promise<readonly Changed[]> {
  const relinker = new Relinker(links);
  for await (const { row, isKept } of rowsOfCopy(client, copy))
    relinker.add(row, { isKept, isTurn: client.rowOf(row) !== null });
  return relinker.solve();
}
