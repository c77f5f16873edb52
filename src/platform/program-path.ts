import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join, win32 } from "node:path";

/**
 * What to start for a program's name (a path stays). Windows looks into the working folder first, so a project could bring its own `git.exe` along: there
 * it is looked up in the absolute folders of PATH only. Elsewhere the name is enough.
 *
 * @returns on Windows an absolute path, of a file that does not exist where PATH has none: starting it fails as it does elsewhere (ENOENT)
 */
export function programPath(
  name: string,
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
  exists: (path: string) => boolean = existsSync,
): string {
  if (platform !== "win32" || /[\\/]/.test(name)) return name;
  const path = Object.entries(env).find(([key]) => key.toUpperCase() === "PATH")?.[1] ?? "";
  const folders = path.split(";").filter((folder) => win32.isAbsolute(folder));
  const found = folders.map((folder) => win32.join(folder, `${name}.exe`)).find(exists);
  return found ?? win32.join("C:\\", "not-on-the-path", `${name}.exe`);
}

/** Whether PATH has a program of this name. What depends on the folder it is started in, or on the system without a PATH, counts as there. */
export function isOnPath(name: string, env: NodeJS.ProcessEnv): boolean {
  const found = programPath(name, env);
  if (/[\\/]/.test(found)) return !isAbsolute(found) || existsSync(found);
  const folders = (env["PATH"] ?? "").split(delimiter);
  return folders.some((folder) => !isAbsolute(folder) || existsSync(join(folder, name)));
}
