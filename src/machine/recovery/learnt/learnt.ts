import { basename, resolve } from "node:path";
import { filePathOf } from "../../../clients/adapter/tools.ts";
import type { Item } from "../../../clients/conversation/conversation.ts";
import { differenceOf, editsOf, enclosing, valuesIn, type FileEdit } from "./edits.ts";
import { declarationsIn, namesIn, ownNamesIn } from "./names.ts";
import { sentenceAbout } from "./sentences.ts";

/** Pure: names that the next calls of a session may use, at their files, by what it saw and did. */

/** Share of a name's worth by where it stood. Measured on recorded sessions, as are the others. */
const weights = { input: 1, output: 0.3, edit: 0.5, words: 0.5, prompt: 1 };
/** So many newer calls, or results, halve the worth of a name, down to a share of it. */
const halfLife = { calls: 20, results: 40, leastShare: 0.15 };
const factors = { declared: 3, edited: 1, other: 0.3 };
/** Characters that are read: of all texts, newest first, and of one. */
const most = { all: 2_000_000, one: 60_000 };

/** Effect of all edits of the chat on a declaration. */
export type Change = "added" | "changed" | "removed";

export interface LearntName {
  readonly name: string;
  /** Path of the file at which it stood most, absolute where the folder is known; null: none. */
  readonly file: string | null;
  /** Higher for a name that is likelier to be used again and shorter. */
  readonly worth: number;
  readonly change: Change | null;
}

export interface Learnt {
  /** Best first. */
  readonly names: readonly LearntName[];
  /** The chat's sentence nearest to the newest edit of a file that names it, by the file. */
  readonly sentences: ReadonlyMap<string, string>;
}

interface Reading {
  /** Oldest first, without secrets. */
  readonly items: readonly Item[];
  /** Folder of relative paths; null: not known. */
  readonly cwd: string | null;
}

export function learn({ items, cwd }: Reading): Learnt {
  const reader = new Reader(items, cwd);
  let chars = 0;
  for (const [back, item] of items.toReversed().entries()) {
    chars += reader.add(item, items.length - 1 - back);
    if (chars > most.all) break;
  }
  return reader.learnt(items);
}

interface FileOfCall {
  readonly path: string;
  /** Named as its file by a tool for files, not found in a command. */
  readonly isNamed: boolean;
}

/** Files of calls that read or write just one, by the id of the call. */
function filesOfCalls(items: readonly Item[], cwd: string | null): ReadonlyMap<string, FileOfCall> {
  return new Map(
    items.flatMap((item) => {
      if (item.kind !== "call") return [];
      const named = filePathOf(item.name, item.input);
      const path = named ?? fileOfCommand(valuesIn(item.input).join("\n"));
      return path === null ? [] : [[item.id, { path: pathIn(cwd, path), isNamed: named !== null }]];
    }),
  );
}

interface Known {
  worth: number;
  isDeclared: boolean;
  isEdited: boolean;
  /** Worth by file. */
  readonly files: Map<string, number>;
}

/** Reads items from the newest on. */
class Reader {
  readonly #cwd: string | null;
  readonly #files: ReadonlyMap<string, FileOfCall>;
  /** Calls that failed have changed nothing. */
  readonly #failed: ReadonlySet<string>;
  readonly #names = new Map<string, Known>();
  /** The newest change of each declaration, by file. */
  readonly #changes = new Map<string, Map<string, Change>>();
  /** Position of the newest edit of each file. */
  readonly #edited = new Map<string, number>();
  #calls = 0;
  #results = 0;

  constructor(items: readonly Item[], cwd: string | null) {
    this.#cwd = cwd;
    this.#files = filesOfCalls(items, cwd);
    this.#failed = new Set(items.flatMap((item) => (item.kind === "result" && item.isError ? [item.of] : [])));
  }

  /** Returns the number of characters that were read. */
  add(item: Item, position: number): number {
    const age = shareAfter(this.#calls, halfLife.calls);
    if (item.kind === "call") {
      this.#calls += 1;
      return this.#addCall(item, position, age);
    }
    if (item.kind === "result") {
      const share = shareAfter(this.#results, halfLife.results);
      this.#results += 1;
      return this.#addOutput(
        item.text.slice(0, most.one),
        this.#files.get(item.of)?.path ?? null,
        weights.output * share,
      );
    }
    return this.#addText(item.text, null, (item.kind === "prompt" ? weights.prompt : weights.words) * age);
  }

  #addCall({ id, name, input }: Extract<Item, { kind: "call" }>, position: number, share: number): number {
    const edits = this.#failed.has(id) ? [] : editsOf(name, input);
    const file = this.#files.get(id)?.path ?? null;
    if (edits.length === 0) return this.#addText(valuesIn(input).join("\n"), file, weights.input * share);
    return edits.reduce((chars, edit) => chars + this.#addEdit(edit, position, share), 0);
  }

  #addEdit(edit: FileEdit, position: number, share: number): number {
    const file = pathIn(this.#cwd, edit.path);
    if (!this.#edited.has(file)) this.#edited.set(file, position);
    this.#addText(edit.after, file, weights.input * share);
    this.#declare(edit.before);
    const { added, removed } = differenceOf(edit);
    for (const name of namesIn(`${added}\n${removed}`)) this.#addName(name, file, weights.edit * share).isEdited = true;
    for (const name of this.#addChanges(file, edit)) this.#addName(name, file, weights.edit * share).isDeclared = true;
    return edit.before.length + edit.after.length;
  }

  /**
   * Edits come from the newest on: of a declaration what all of them did counts.
   * @returns declarations that the edit changed
   */
  #addChanges(file: string, edit: FileEdit): readonly string[] {
    // Where the text before is not known, a declaration may have been there.
    if (edit.before === "") return [];
    const changes = this.#changes.get(file) ?? new Map<string, Change>();
    this.#changes.set(file, changes);
    const [before, after] = [declarationsIn(edit.before, file), declarationsIn(edit.after, file)];
    const own = new Map<string, Change>([
      ...[...enclosing(edit, after)].filter((name) => before.has(name)).map((name) => [name, "changed"] as const),
      // One that the other text mentions may be declared elsewhere in the file.
      ...[...after].filter((name) => !edit.before.includes(name)).map((name) => [name, "added"] as const),
      ...[...before].filter((name) => !edit.after.includes(name)).map((name) => [name, "removed"] as const),
    ]);
    for (const [name, older] of own) {
      const newer = changes.get(name);
      const change = newer === undefined ? older : (bothChanges[older][newer] ?? newer);
      if (change === "nothing") changes.delete(name);
      else changes.set(name, change);
    }
    return [...own.keys()];
  }

  /** A search names the file of each line. */
  #addOutput(output: string, file: string | null, weight: number): number {
    if (file !== null) return this.#addText(output.replaceAll(numbered, ""), file, weight);
    const parts = new Map<string | null, string[]>();
    for (const line of output.split("\n")) {
      const path = searchLine.exec(line)?.groups?.["path"];
      const at = path === undefined ? null : pathIn(this.#cwd, path);
      const lines = parts.get(at) ?? [];
      lines.push(line.replace(searchLine, "").replace(numbered, ""));
      parts.set(at, lines);
    }
    for (const [at, lines] of parts) this.#addText(lines.join("\n"), at, weight);
    return output.length;
  }

  #addText(text: string, file: string | null, weight: number): number {
    const read = text.slice(0, most.one);
    for (const name of namesIn(read)) this.#addName(name, file, weight);
    this.#declare(read);
    return read.length;
  }

  #addName(name: string, file: string | null, worth: number): Known {
    const known = this.#names.get(name) ?? { worth: 0, isDeclared: false, isEdited: false, files: new Map() };
    this.#names.set(name, known);
    known.worth += worth;
    if (file !== null) known.files.set(file, (known.files.get(file) ?? 0) + worth);
    return known;
  }

  #declare(text: string): void {
    for (const name of ownNamesIn(text)) {
      const known = this.#names.get(name);
      if (known) known.isDeclared = true;
    }
  }

  learnt(items: readonly Item[]): Learnt {
    const named = [...this.#files.values()].flatMap(({ path, isNamed }) => (isNamed ? path : []));
    const wholePath = wholePaths([...named, ...this.#edited.keys()]);
    const names = [...this.#names].map(([name, known]): LearntName => {
      const [likeliest] = [...known.files].toSorted(([, one], [, two]) => two - one)[0] ?? [];
      const file = likeliest === undefined ? null : wholePath(likeliest);
      const factor = known.isDeclared ? factors.declared : known.isEdited ? factors.edited : factors.other;
      // A name of many tokens takes the room of others.
      const worth = (known.worth * factor) / Math.sqrt(1 + name.length / 5);
      return { name, file, worth, change: (file !== null && this.#changes.get(file)?.get(name)) || null };
    });
    const sentences = [...this.#edited].flatMap(([file, position]) => {
      const changed = [...(this.#changes.get(file)?.keys() ?? [])];
      const sentence = sentenceAbout(items, position, file, changed);
      return sentence === null ? [] : [[file, sentence] as const];
    });
    return { names: names.toSorted((one, two) => two.worth - one.worth), sentences: new Map(sentences) };
  }
}

/** A command may name a file from another folder: by the only path that ends with the same name. */
function wholePaths(paths: readonly string[]): (path: string) => string {
  const known = new Set(paths);
  const byName = Map.groupBy(known, (path) => basename(path));
  return (path) => {
    const [only, ...others] = known.has(path) ? [path] : (byName.get(basename(path)) ?? []);
    return others.length === 0 ? (only ?? path) : path;
  };
}

/** An older change and a newer one together; else the newer one counts. */
const bothChanges: Readonly<Record<Change, Partial<Record<Change, Change | "nothing">>>> = {
  added: { changed: "added", removed: "nothing" },
  removed: { added: "changed" },
  changed: {},
};

function shareAfter(newer: number, half: number): number {
  return Math.max(halfLife.leastShare, 0.5 ** (newer / half));
}

/** A line of a search: `path:12: text`, `path-12-text`. */
const searchLine = /^(?<path>[\w@./-]{3,200}\.\w{1,8})[:-]\d{1,7}[:-]/;
/** A number that a client puts before each line of a file. */
const numbered = /^\s*\d{1,7}(?:→|\t|\| ?|: )/gm;

/** A file that a command writes, with its text behind it or not. */
const writtenFile = />>?\s{0,4}(?!&|\/dev\/)["']?(?<path>[\w@./-]{2,200}\.\w{1,8})/;
const hereDocument = /<<-?\s{0,4}["']?(\w{1,40})["']?[^]*?\n\s*\1\b/g;
const namedFile = /(?<![\w@./*-])(?<path>[\w@./-]{0,200}[\w-]\.[a-z][a-z\d]{0,5})(?![\w/.-])/g;

/** The file that a command writes, else the only one that it names; null: none, or several. */
function fileOfCommand(command: string): string | null {
  const text = command.slice(0, most.one);
  const written = writtenFile.exec(text)?.groups?.["path"];
  if (written !== undefined) return written;
  const named = new Set([...text.replaceAll(hereDocument, "").matchAll(namedFile)].map((one) => one.groups?.["path"]));
  const [only = null] = named;
  return named.size === 1 ? only : null;
}

function pathIn(cwd: string | null, path: string): string {
  return cwd === null ? path : resolve(cwd, path);
}
