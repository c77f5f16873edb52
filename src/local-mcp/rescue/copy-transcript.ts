import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ClientTranscripts, HeadFacts } from "./client-transcripts.ts";
import { readRows } from "./read-conversation.ts";

export interface CopyOf {
  readonly file: string;
  readonly id: string;
  readonly newId: string;
  /** Rows from this index on are left out; null: none is for its place. */
  readonly until: number | null;
  /** Folder of the session, where it is to continue elsewhere. */
  readonly moved: { readonly from: string; readonly to: string } | null;
  /** For a first row that is missing; null: it is there. */
  readonly head: HeadFacts | null;
}

/**
 * [RS5] Writes a session again under a new id, without the lines that its client does not
 * load. The file itself is only read, and nothing is overwritten.
 *
 * @returns the path of the copy
 * @throws a system error; then nothing is left of the copy
 */
export async function copyTranscript(client: ClientTranscripts, copy: CopyOf): Promise<string> {
  const { file, id, newId, moved, head } = copy;
  const renamed = file.replaceAll(id, newId).replaceAll(`-${id.slice(0, 8)}.`, `-${newId.slice(0, 8)}.`);
  const folder = moved && client.folderOf ? client.folderOf(file, moved.to) : dirname(renamed);
  const path = join(folder, basename(renamed));
  if (existsSync(path)) throw Object.assign(new Error(`${path} exists`), { code: "EEXIST" });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const rewrite = (text: string): string => {
    const own = text.replaceAll(id, newId);
    return moved ? own.replaceAll(JSON.stringify(moved.from), JSON.stringify(moved.to)) : own;
  };
  const partial = `${path}.shim-partial`;
  try {
    const target = await open(partial, "wx", 0o600);
    try {
      if (head && client.head) await target.write(`${JSON.stringify(client.head.made({ ...head, id: newId }))}\n`);
      for await (const { index, text, isKept } of readRows(file, client)) {
        if (copy.until !== null && index >= copy.until) break;
        if (isKept && text !== null) await target.write(`${rewrite(text)}\n`);
      }
      await target.sync();
    } finally {
      await target.close();
    }
    for (const name of client.beside ?? []) await copyBeside(join(dirname(file), name), join(folder, name), rewrite);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return path;
}

async function copyBeside(from: string, to: string, rewrite: (text: string) => string): Promise<void> {
  if (!existsSync(from)) return;
  const target = await open(to, "wx", 0o600);
  try {
    await target.write(rewrite(await readFile(from, "utf8")));
  } finally {
    await target.close();
  }
}
