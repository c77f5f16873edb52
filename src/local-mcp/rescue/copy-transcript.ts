import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { numberAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { ClientTranscripts, HeadFacts } from "./client-transcripts.ts";
import { isRepeated, readRows } from "./read-conversation.ts";

export interface CopyOf {
  readonly file: string;
  /** Facts of the session, of which a head that is missing is made. */
  readonly head: HeadFacts;
  readonly newId: string;
  /** Rows from this index on are left out, and all thoughts; null: nothing of that. */
  readonly until: number | null;
  /** Folder of the session and the one in which it is to continue; null: it stays where it is. */
  readonly moved: { readonly from: string; readonly to: string } | null;
}

/**
 * [RS5] Writes a session again under a new id, as its client loads it. The file itself is only
 * read, and nothing is overwritten.
 *
 * @returns the path of the copy
 * @throws a system error; then nothing is left of the copy
 */
export async function copyTranscript(client: ClientTranscripts, copy: CopyOf): Promise<string> {
  const { file, newId, moved } = copy;
  const { id } = copy.head;
  const renamed = file.replaceAll(id, newId).replaceAll(`-${id.slice(0, 8)}.`, `-${newId.slice(0, 8)}.`);
  const folder = (moved && client.folderOf?.(file, moved.to)) ?? dirname(renamed);
  const path = join(folder, basename(renamed));
  if (existsSync(path)) throw Object.assign(new Error(`${path} exists`), { code: "EEXIST" });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const rewrite = (text: string): string => {
    const own = text.replaceAll(id, newId);
    return moved ? own.replaceAll(JSON.stringify(moved.from), JSON.stringify(moved.to)) : own;
  };
  const partial = `${path}.shim-partial`;
  try {
    await writeNew(partial, async (target) => {
      for await (const line of linesOfCopy(client, copy)) await target.write(`${rewrite(line)}\n`);
    });
    await copyBeside(client, { from: dirname(file), to: folder, rewrite });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return path;
}

async function* linesOfCopy(client: ClientTranscripts, { file, head, until }: CopyOf): AsyncGenerator<string, void> {
  const links = client.links && new Links(await uuidsIn(file, client));
  const counted = countRows(client);
  let isFirst = true;
  for await (const { index, text, row } of keptRows(file, client)) {
    if (until !== null && index >= until) return;
    if (isFirst && client.head?.is(row, head.id) === false) yield JSON.stringify(client.head.made(head));
    isFirst = false;
    if (until !== null && client.isThought?.(row)) {
      links?.leaveOut(row);
      continue;
    }
    const changed = counted(links?.linked(row) ?? row);
    yield changed === row ? text : JSON.stringify(changed);
  }
}

async function* keptRows(file: string, client: ClientTranscripts) {
  for await (const { index, text, row, isKept } of readRows(file, client))
    if (isKept && row !== null && text !== null) yield { index, text, row };
}

/** Gives the rows of a counted session the numbers that they lack. */
function countRows({ counter }: ClientTranscripts): (row: JsonObject) => JsonObject {
  /** Number of the last row; null: the session is not counted. */
  let last: number | null | undefined;
  return (row) => {
    if (last === undefined) last = counter?.isUsed(row) ? -1 : null;
    if (!counter || last === null) return row;
    const given = numberAt(row, counter.name);
    last = given ?? last + 1;
    return given === null ? { ...row, [counter.name]: last } : row;
  };
}

async function uuidsIn(file: string, client: ClientTranscripts): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for await (const { row } of keptRows(file, client)) found.add(textAt(row, "uuid") ?? "");
  return found;
}

/** Links each row of a conversation to the one before it where its own link leads nowhere. */
class Links {
  readonly #known: ReadonlySet<string>;
  /** Parents of the rows so far. */
  readonly #parents = new Map<string, string | null>();
  /** Parents of the rows that are left out. */
  readonly #instead = new Map<string, string | null>();
  #last: string | null = null;

  constructor(known: ReadonlySet<string>) {
    this.#known = known;
  }

  leaveOut(row: JsonObject): void {
    this.#instead.set(textAt(row, "uuid") ?? "", textAt(row, "parentUuid"));
  }

  linked(row: JsonObject): JsonObject {
    const isLinked = "parentUuid" in row || "message" in row;
    if (!isLinked || row["isSidechain"] === true) return row;
    const [id, named] = [textAt(row, "uuid"), textAt(row, "parentUuid")];
    const isOwn = id !== null && !isRepeated(this.#parents, id, named);
    const uuid = isOwn ? id : randomUUID();
    let parent = isOwn && (named === null || this.#known.has(named)) ? named : this.#last;
    while (parent !== null && this.#instead.has(parent)) parent = this.#instead.get(parent) ?? null;
    this.#parents.set(uuid, named);
    this.#last = uuid;
    return uuid === id && parent === named ? row : { ...row, uuid, parentUuid: parent };
  }
}

async function writeNew(path: string, write: (target: FileHandle) => Promise<unknown>): Promise<void> {
  const target = await open(path, "wx", 0o600);
  try {
    await write(target);
    await target.sync();
  } finally {
    await target.close();
  }
}

interface Beside {
  readonly from: string;
  readonly to: string;
  readonly rewrite: (text: string) => string;
}

/** A file that stops the client is left out: it needs none. */
async function copyBeside({ beside }: ClientTranscripts, { from, to, rewrite }: Beside): Promise<void> {
  if (!beside || !existsSync(join(from, beside[0]))) return;
  const text = await readFile(join(from, beside[0]), "utf8");
  if (beside[1].test(text)) await writeNew(join(to, beside[0]), (target) => target.write(rewrite(text)));
}
