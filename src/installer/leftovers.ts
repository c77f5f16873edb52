import { readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import type { Backup } from "./backups.ts";
import { isMissing, type ReadText } from "./client-files.ts";
import { removeCopy } from "./program-copy.ts";
import type { Machine } from "./targets.ts";

/** V8's compiled code of SHIM's programs, where scripts/build.mjs puts it. */
export function codeCache({ env, homedir }: Pick<Machine, "env" | "homedir">): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir, ".cache"), "shim");
}

/** [IP11] True: each file that SHIM has changed is again as an install has found it. */
export function isOriginalAgain(backups: readonly Backup[], read: ReadText): boolean {
  const files = backups.flatMap((backup) => backup.files);
  const found = backups.flatMap((backup) => (backup.action === "install" ? backup.files : []));
  return files.every(({ path }) => {
    const text = read(path);
    return text.ok && found.some((file) => file.path === path && file.before === text.value);
  });
}

interface LeftoverFolders {
  readonly home: string;
  readonly codeCache: string;
  readonly clientBackups: string;
  readonly userHome: string;
}

/** [IP11] Removes what `init` and the programs have made, and nothing that is stored of chats. */
export function removeLeftovers(folders: LeftoverFolders, keepsBackups: boolean): void {
  removeCopy(folders.home);
  if (!keepsBackups) rmSync(folders.clientBackups, { recursive: true, force: true });
  rmSync(folders.codeCache, { recursive: true, force: true });
  for (const folder of [folders.home, folders.codeCache]) removeEmpty(folder, folders.userHome);
}

/** [IP12] Deletes everything in SHIM's folder. */
export function removeHome(home: string, userHome: string): void {
  rmSync(home, { recursive: true, force: true });
  removeEmpty(dirname(home), userHome);
}

/** [IP12] False: the folder holds the user's own files, too. */
export function isShimsAlone(home: string, userHome: string): boolean {
  return dirname(home) !== home && !`${userHome}${sep}`.startsWith(`${home}${sep}`);
}

/** Goes up to the user's folder, which stays. */
function removeEmpty(folder: string, userHome: string): void {
  if (!folder.startsWith(`${userHome}${sep}`)) return;
  try {
    if (readdirSync(folder).length > 0) return;
    rmdirSync(folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  removeEmpty(dirname(folder), userHome);
}
