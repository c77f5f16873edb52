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
 * Copies a session's file, and the transcripts of its sub-agents, into SHIM's home. A copy that
 * is there is replaced once the new one is whole.
 *
 * @returns the path of the copy
 * @throws a system error; then nothing is left of the new copy
 */
export async function keepSession(
  folder: string,
  { client, session, file }: Pick<CheckedSession, "client" | "session" | "file">,
  { store }: SessionFiles,
): Promise<string> {
  const own = keptFolder(folder, client, session);
  const partial = `${own}.partial`;
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o700 });
    const copy = join(partial, basename(file));
    await copyFile(file, copy);
    const { atime, mtime } = await stat(file);
    await utimes(copy, atime, mtime);
    const from = store?.subagents?.(file, session);
    if (from !== undefined && existsSync(from))
      await cp(from, join(partial, session, "subagents"), { recursive: true });
    await rm(own, { recursive: true, force: true });
    await rename(partial, own);
    return join(own, basename(file));
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}
