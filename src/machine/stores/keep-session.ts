import { cp, copyFile, mkdir, rename, rm, stat, utimes } from "node:fs/promises";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { SessionFiles } from "../../clients/adapter/session-files.ts";
import type { CheckedSession } from "../../contract/machine/stores.ts";

/** Folder of a session's copy. @param folder of all copies */
export function keptFolder(folder: string, client: string, session: string): string {
  return join(folder, client, session);
}

/**
 * Copies the files of one session, and the transcripts of its sub-agents, into SHIM's home. A copy
 * that is there is replaced once the new one is whole; of what the client has deleted it stays.
 *
 * @returns each file with the path of its copy
 * @throws a system error; then nothing is left of the new copy
 */
export async function keepSession(
  folder: string,
  files: readonly Pick<CheckedSession, "client" | "session" | "file">[],
  { store }: SessionFiles,
): Promise<ReadonlyMap<string, string>> {
  const [first] = files;
  if (first === undefined) return new Map();
  const own = keptFolder(folder, first.client, first.session);
  const partial = `${own}.partial`;
  const copies = new Map<string, string>();
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o700 });
    for (const { file, session } of files) {
      const name = freeName(partial, basename(file));
      await copyFile(file, join(partial, name));
      const { atime, mtime } = await stat(file);
      await utimes(join(partial, name), atime, mtime);
      copies.set(file, join(own, name));
      const from = store?.subagents?.(file, session);
      if (from !== undefined && existsSync(from))
        await cp(from, join(partial, session, "subagents"), { recursive: true });
    }
    if (existsSync(own)) await cp(own, partial, { recursive: true, force: false, preserveTimestamps: true });
    await rm(own, { recursive: true, force: true });
    await rename(partial, own);
    return copies;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Files of one name may stand in several folders. */
function freeName(folder: string, name: string): string {
  let free = name;
  for (let at = 2; existsSync(join(folder, free)); at += 1) free = `${at}-${name}`;
  return free;
}
