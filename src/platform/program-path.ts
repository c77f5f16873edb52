import { existsSync, readFileSync } from "node:fs";
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
  const found = windowsFolders(env).map((folder) => win32.join(folder, `${name}.exe`));
  return found.find(exists) ?? missingProgram(name);
}

function windowsFolders(env: NodeJS.ProcessEnv): string[] {
  const path = Object.entries(env).find(([key]) => key.toUpperCase() === "PATH")?.[1] ?? "";
  return path.split(";").filter((folder) => win32.isAbsolute(folder));
}

function missingProgram(name: string): string {
  return win32.join("C:\\", "not-on-the-path", `${name}.exe`);
}

interface Start {
  readonly file: string;
  readonly args: readonly string[];
}

interface Files {
  readonly exists: (path: string) => boolean;
  readonly read: (path: string) => string;
}

const diskFiles: Files = { exists: existsSync, read: (path) => readFileSync(path, "utf8") };

/**
 * The start of a program without a shell. On Windows a program that npm has installed is a launcher
 * for cmd, which would change arguments: node gets the script behind it instead.
 */
export function programStart(
  name: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
  files: Files = diskFiles,
): Start {
  if (platform !== "win32" || /[\\/]/.test(name)) return { file: name, args };
  for (const folder of windowsFolders(env)) {
    const file = win32.join(folder, `${name}.exe`);
    const launcher = win32.join(folder, `${name}.cmd`);
    const beside = win32.join(folder, "node.exe");
    if (files.exists(file)) return { file, args };
    const launched = files.exists(launcher) ? launchedBy(files.read(launcher)) : null;
    if (launched === null) continue;
    const path = win32.join(folder, launched.path);
    if (launched.options === null) return { file: path, args };
    const node = files.exists(beside) ? beside : programPath("node", env, platform, files.exists);
    return { file: node, args: [...launched.options, path, ...args] };
  }
  return { file: missingProgram(name), args };
}

/** The forms of npm and pnpm: node with options and a path from the launcher; or a program. */
const startedByNode = /(?:"%_prog%"|^\s*node)[ \t]+([^"%&|<>^\r\n]*)"%(?:dp0%|~dp0)\\([^"%\r\n]+)"[ \t]+%\*/m;
const startedAlone = /(?:^|&)[ \t]*"%(?:dp0%|~dp0)\\([^"%\r\n]+\.exe)"[ \t]+%\*/m;

interface Launched {
  /** Options of node; null: the path is a program. */
  readonly options: readonly string[] | null;
  readonly path: string;
}

/** @returns null: it is no launcher of npm's, or starts another program than node */
function launchedBy(text: string): Launched | null {
  const [, options = "", path] = startedByNode.exec(text) ?? [];
  if (path === undefined) return aloneIn(text);
  if (/SET "_prog=(?!node"|%)/i.test(text)) return null;
  return { options: options.split(" ").filter((one) => one !== ""), path };
}

function aloneIn(text: string): Launched | null {
  const path = startedAlone.exec(text)?.[1];
  return path === undefined ? null : { options: null, path };
}

/** Pure. Why a program did not start, without the path of a file that is nowhere. */
export function startProblem(name: string, error: unknown): string {
  if (codeOf(error) !== "ENOENT") return messageOf(error);
  return `there is no ${name} on the PATH`;
}

/** Counts as found what depends on the folder it is started in, or on the system without a PATH. */
export function isOnPath(name: string, env: NodeJS.ProcessEnv): boolean {
  const found = programStart(name, [], env).file;
  if (/[\\/]/.test(found)) return !isAbsolute(found) || existsSync(found);
  const folders = (env["PATH"] ?? "").split(delimiter);
  return folders.some((folder) => !isAbsolute(folder) || existsSync(join(folder, name)));
}

const secretName = /^SHIM_.*(TOKEN|SECRET|KEY)$/;

/** For programs that may run commands of a task or of a project's settings (git: filters). */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secretName.test(name)));
}
