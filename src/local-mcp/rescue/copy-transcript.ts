import { existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ClientTranscripts } from "./client-transcripts.ts";
import { linker, readRows } from "./read-conversation.ts";

export interface CopyOf {
  readonly file: string;
  readonly id: string;
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
  const { file, id, newId, moved } = copy;
  const renamed = file.replaceAll(id, newId).replaceAll(`-${id.slice(0, 8)}.`, `-${newId.slice(0, 8)}.`);
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

async function* linesOfCopy(client: ClientTranscripts, { file, until }: CopyOf): AsyncGenerator<string, void> {
  const link = linker(client, (row) => until !== null && client.isThought?.(row) === true);
  for await (const { index, text, row, isRefused } of readRows(file, client)) {
    if (until !== null && index >= until) return;
    if (row === null || isRefused) continue;
    const linked = link(row);
    if (linked !== null) yield linked === row ? text : JSON.stringify(linked);
  }
}
