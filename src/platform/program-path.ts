import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join, win32 } from "node:path";
import { codeOf, messageOf } from "../shared/error.ts";

/**
 * Resolves a program's name on Windows, where a project's own `git.exe` would win over PATH.
 * @returns an absolute path, of a missing file where PATH has none: starting it fails (ENOENT)
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

/** Pure. Why a program did not start, without the path of a file that is nowhere. */
export function startProblem(name: string, error: unknown): string {
  if (codeOf(error) !== "ENOENT") return messageOf(error);
  return `there is no ${name}${process.platform === "win32" ? ".exe" : ""} on the PATH`;
}

/** Counts as found what depends on the folder it is started in, or on the system without a PATH. */
export function isOnPath(name: string, env: NodeJS.ProcessEnv): boolean {
  const found = programPath(name, env);
  if (/[\\/]/.test(found)) return !isAbsolute(found) || existsSync(found);
  const folders = (env["PATH"] ?? "").split(delimiter);
  return folders.some((folder) => !isAbsolute(folder) || existsSync(join(folder, name)));
}

const secretName = /^SHIM_.*(TOKEN|SECRET|KEY)$/;

/** For programs that may run commands of a task or of a project's settings (git: filters). */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secretName.test(name)));
}
