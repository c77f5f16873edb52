import { existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { JsonObject } from "../../shared/json-fields.ts";
import type { SessionFiles } from "../../clients/adapter/session-files.ts";
import { TranscriptBytes, compressedEnd } from "../../clients/transcript/transcript-file.ts";
import { isLoaded } from "./session-facts.ts";
import { Relinker, type Changed } from "./relink-rows.ts";

export interface CopyOf {
  readonly file: string;
  readonly id: string;
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
  const { file, id, newId, moved } = copy;
  const plain = file.endsWith(compressedEnd) ? file.slice(0, -compressedEnd.length) : file;
  const renamed = plain.replaceAll(id, newId).replaceAll(`-${id.slice(0, 8)}.`, `-${newId.slice(0, 8)}.`);
  const folder = (moved && client.folderOf?.(file, moved.to)) ?? dirname(renamed);
  const path = join(folder, basename(renamed));
  if (existsSync(path)) throw Object.assign(new Error(`${path} exists`), { code: "EEXIST" });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const partial = `${path}.shim-partial`;
  try {
    const target = await open(partial, "wx", 0o600);
    try {
      for await (const line of linesOfCopy(client, copy)) {
        const own = line.replaceAll(id, newId);
        const text = moved ? own.replaceAll(JSON.stringify(moved.from), JSON.stringify(moved.to)) : own;
        await target.write(`${text}\n`);
      }
      await target.sync();
    } finally {
      await target.close();
    }
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

/** Rows that the client loads, and those of a line with several, of which it loads none. */
async function* rowsOfCopy(client: SessionFiles, { file, until }: CopyOf): AsyncGenerator<RowOfCopy, void> {
  for await (const rows of TranscriptBytes.open(file).rows())
    for (const { row, text, line } of rows) {
      if (until !== null && line > until) return;
      if (row === null) continue;
      const isKept = until === null || client.isThought?.(row) !== true;
      if (isLoaded(client, { row, isAlone: true })) yield { text: text.trim(), row, isKept };
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
