import { basename, resolve } from "node:path";
import { isOfClientAlone } from "../../../clients/adapter/harness-text.ts";
import { filePathOf } from "../../../clients/adapter/tools.ts";
import type { Item } from "../../../clients/conversation/conversation.ts";
import { editsOf, enclosing, valuesIn, type FileEdit } from "./edits.ts";
import { declarationsIn, namesIn, ownNamesIn } from "./names.ts";
import { sentenceAbout } from "./sentences.ts";

/** Pure: names that the next calls of a session may use, at their files, by what it saw and did. */

/**
 * Probability that one of the next 20 calls uses a name: a logistic regression, fitted on 1,036
 * cuts of 400 recorded sessions of four projects, each predicted from the three others. `count` is
 * of ln(1 + mentions), each worth half for every 20 newer calls; `asked` of 1 / (1 + calls since
 * one had the name in its input). The source of a mention predicts no better.
 */
const regression = { constant: -5.75, count: 1.96, asked: 5.78 };
const halfLifeCalls = 20;
/** A name in the input of a call is rather of the file of that than one in its output. */
const inputFactor = 3;
/** A name that the session's texts declare is rather of the project than of its platform. */
const declaredFactor = 3;
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
  /** Each is worth less the more calls are newer. */
  mentions: number;
  /** Number of calls since one had it in its input; null: none had. */
  askedBefore: number | null;
  isDeclared: boolean;
  /** Mentions by file. */
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

  constructor(items: readonly Item[], cwd: string | null) {
    this.#cwd = cwd;
    this.#files = filesOfCalls(items, cwd);
    this.#failed = new Set(items.flatMap((item) => (item.kind === "result" && item.isError ? [item.of] : [])));
  }

  /** Returns the number of characters that were read. */
  add(item: Item, position: number): number {
    if (item.kind === "result") return this.#isOfClient(item) ? 0 : this.#addResult(item);
    if (item.kind !== "call") return this.#addText(item.text);
    this.#calls += 1;
    return this.#addCall(item, position);
  }

  #isOfClient({ of, text }: Extract<Item, { kind: "result" }>): boolean {
    return isOfClientAlone(text) || this.#isRefused(of);
  }

  /** The words of a failed call, and those of its client on it, are not in the file. */
  #isRefused(id: string): boolean {
    return this.#failed.has(id) && this.#files.get(id)?.isNamed === true;
  }

  #addResult({ of, text }: Extract<Item, { kind: "result" }>): number {
    return this.#addOutput(text.slice(0, most.one), this.#files.get(of)?.path);
  }

  #addCall({ id, name, input }: Extract<Item, { kind: "call" }>, position: number): number {
    const edits = this.#failed.has(id) ? [] : editsOf(name, input);
    const file = this.#isRefused(id) ? undefined : this.#files.get(id)?.path;
    if (edits.length === 0) return this.#addInput(valuesIn(input).join("\n"), file);
    return edits.reduce((chars, edit) => chars + this.#addEdit(edit, position), 0);
  }

  #addEdit(edit: FileEdit, position: number): number {
    const file = pathIn(this.#cwd, edit.path);
    if (!this.#edited.has(file)) this.#edited.set(file, position);
    this.#addInput(edit.after, file);
    this.#declare(edit.before);
    this.#addChanges(file, edit);
    return edit.before.length + edit.after.length;
  }

  /** Edits come from the newest on: of a declaration what all of them did counts. */
  #addChanges(file: string, edit: FileEdit): void {
    // Where the text before is not known, a declaration may have been there.
    if (edit.before === "") return;
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
      this.#ask(name, file).isDeclared = true;
    }
  }

  /** A search names the file of each line. */
  #addOutput(output: string, file?: string): number {
    if (file !== undefined) return this.#addText(output.replaceAll(numbered, ""), file);
    const parts = new Map<string | undefined, string[]>();
    for (const line of output.split("\n")) {
      const path = searchLine.exec(line)?.groups?.["path"];
      const at = path === undefined ? undefined : pathIn(this.#cwd, path);
      const lines = parts.get(at) ?? [];
      parts.set(at, lines);
      lines.push(line.replace(searchLine, "").replace(numbered, ""));
    }
    for (const [at, lines] of parts) this.#addText(lines.join("\n"), at);
    return output.length;
  }

  #addInput(text: string, file?: string): number {
    return this.#addText(text, file, (name) => this.#ask(name, file));
  }

  #addText(text: string, file?: string, add = (name: string) => this.#mention(name, file)): number {
    const read = text.slice(0, most.one);
    for (const name of namesIn(read)) add(name);
    this.#declare(read);
    return read.length;
  }

  #ask(name: string, file?: string): Known {
    const known = this.#mention(name, file, inputFactor);
    known.askedBefore ??= this.#calls;
    return known;
  }

  /** @param fileFactor how much more than an output the mention says of the file */
  #mention(name: string, file?: string, fileFactor = 1): Known {
    const known = this.#names.get(name) ?? { mentions: 0, askedBefore: null, isDeclared: false, files: new Map() };
    this.#names.set(name, known);
    const mention = 0.5 ** (this.#calls / halfLifeCalls);
    known.mentions += mention;
    if (file !== undefined) known.files.set(file, (known.files.get(file) ?? 0) + fileFactor * mention);
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
      // A name of many tokens takes the room of others.
      const worth = (probabilityOf(known) * (known.isDeclared ? declaredFactor : 1)) / Math.sqrt(1 + name.length / 5);
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

function probabilityOf({ mentions, askedBefore }: Known): number {
  const { constant, count, asked } = regression;
  const logOdds = constant + count * Math.log1p(mentions) + (askedBefore === null ? 0 : asked / (1 + askedBefore));
  return 1 / (1 + Math.exp(-logOdds));
}

/** A line of a search: `path:12: text`, `path-12-text`. */
const searchLine = /^(?<path>[\w@./-]{3,200}\.\w{1,8})[:-]\d{1,7}[:-]/;
/** A number that a client puts before each line of a file. */
const numbered = /^[ \t]{0,20}\d{1,7}(?:→|\t|\| ?|: )/gm;

/** A file that a command writes, with its text behind it or not. */
const writtenFile = />>?\s{0,4}(?!&|\/dev\/)["']?(?<path>[\w@./-]{2,200}\.\w{1,8})/;
const hereDocument = /<<-?[ \t]{0,4}["']?(?<word>\w{1,40})\b/;
const firstWord = /^\s*(?<word>\w{1,40})\b/;
const namedFile = /(?<![\w@./*-])(?<path>[\w@./-]{0,200}[\w-]\.[a-z][a-z\d]{0,5})(?![\w/.-])/g;

/** The file that a command writes, else the only one that it names; null: none, or several. */
function fileOfCommand(command: string): string | null {
  const text = command.slice(0, most.one);
  const written = writtenFile.exec(text)?.groups?.["path"];
  if (written !== undefined) return written;
  const named = new Set([...withoutHereDocuments(text).matchAll(namedFile)].map((one) => one.groups?.["path"]));
  const [only = null] = named;
  return named.size === 1 ? only : null;
}

/** A here-document goes to the next line that begins with its word; without one it is none. */
function withoutHereDocuments(command: string): string {
  const lines = command.split("\n");
  const wordOf = (at: number): string => firstWord.exec(lines[at] ?? "")?.groups?.["word"] ?? "";
  const ends = Map.groupBy([...lines.keys()].toReversed(), wordOf);
  const kept: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const begun = hereDocument.exec(line);
    const word = begun?.groups?.["word"] ?? "";
    const next = (word !== "" && ends.get(word)) || [];
    while ((next.at(-1) ?? Infinity) <= at) next.pop();
    const end = next.at(-1);
    kept.push(end === undefined ? line : line.slice(0, begun?.index));
    at = end ?? at;
  }
  return kept.join("\n");
}

function pathIn(cwd: string | null, path: string): string {
  return cwd === null ? path : resolve(cwd, path);
}
