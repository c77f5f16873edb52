import { existsSync, readFileSync, readdirSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, isAbsolute, sep, dirname, join, posix, win32 } from "node:path";

export interface Paths {
  readonly home: string;
  readonly database: string;
  readonly backups: string;
  readonly setAside: string;
  readonly spool: string;
  readonly unread: string;
  readonly snapshots: string;
  /** Copies of sessions that their client was about to delete. */
  readonly kept: string;
  readonly config: string;
  readonly log: string;
}

export function pathsIn(home: string): Paths {
  // Not path.join: its first calls cost a hook 2 ms.
  const at = (name: string): string => `${home}${sep}${name}`;
  return {
    home,
    database: at("shim.db"),
    backups: at("backups"),
    setAside: at("set-aside"),
    spool: at("spool"),
    unread: at("unread"),
    snapshots: at("snapshots"),
    kept: at("kept-sessions"),
    config: at("config.json"),
    log: at("shim.log"),
  };
}

/** Pure. SHIM's folder where nothing names another one: where the system keeps data of programs. */
export function usualHome(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, user: string): string {
  if (platform === "win32")
    return win32.join(env["LOCALAPPDATA"] || win32.join(user, "AppData", "Local"), "shim", "Data");
  if (platform === "darwin") return posix.join(user, "Library", "Application Support", "shim");
  return posix.join(env["XDG_DATA_HOME"] || posix.join(user, ".local", "share"), "shim");
}

export class HomeError extends Error {
  override readonly name = "HomeError";
}

/**
 * @throws {HomeError} for a relative path, which would be another store in each folder, for a file,
 * and for a root
 */
export function homeFrom(env: NodeJS.ProcessEnv): string {
  const given = env["SHIM_HOME"];
  const home = given || usualHome(env, process.platform, homedir());
  const name = given ? "SHIM_HOME" : process.platform === "win32" ? "LOCALAPPDATA" : "XDG_DATA_HOME";
  const refuse = (fault: string, cure: string): never => {
    const message = `${name} gives "${home}", which ${fault}. Set ${name} to ${cure}, or remove it. Nothing was stored.`;
    throw new HomeError(message);
  };
  if (!isAbsolute(home)) refuse("is not an absolute path", "one");
  if (existsSync(home) && !isFolder(home)) refuse("is not a folder", "one");
  if (/^(?:[a-z]:)?[/\\]+$/i.test(home)) refuse("is the root of a disk", "a folder of SHIM's own");
  return home;
}

/**
 * Resolves a missing file by its nearest folder. The system's own call gives names as the disk has
 * them, where case and Unicode form do not count. @param path absolute
 */
export function realPath(path: string): string {
  for (let at = path, rest = ""; ; rest = join(at.slice(dirname(at).length), rest), at = dirname(at)) {
    try {
      return join(realpathSync.native(at), rest);
    } catch {
      if (dirname(at) === at) return path;
    }
  }
}

/** With `/`, and composed: macOS takes both forms of a name for one file. */
export function portablePath(relativePath: string): string {
  return relativePath.split(sep).join("/").normalize("NFC");
}

/**
 * Whether names that differ in case alone are one file there: seen at the folder's own name, else
 * at one above it.
 */
export function foldsCase(folder: string): boolean {
  const above = dirname(folder);
  if (above === folder) return process.platform === "darwin" || process.platform === "win32";
  const name = basename(folder);
  const [lower, upper] = [name.toLowerCase(), name.toUpperCase()];
  if (lower === upper) return foldsCase(above);
  const here = statSync(folder, { throwIfNoEntry: false });
  const other = statSync(join(above, name === lower ? upper : lower), { throwIfNoEntry: false });
  return here === undefined ? foldsCase(above) : here.ino === other?.ino && here.dev === other.dev;
}

/**
 * Why nothing of a path can be read: a program gets U+FFFD in place of bytes that are no UTF-8.
 * Null: that is not the cause.
 */
export function notUtf8(path: string): string | null {
  if (!path.includes("\uFFFD") || existsSync(path)) return null;
  const cure = "rename it, and what is changed from then on is saved";
  return `the path ${path} has bytes that are not valid UTF-8, so none of its files were saved: ${cure}`;
}

/** Follows links. False for a path that is not there. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Names in a folder; none where it is not there, or not to be read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Null for a file that is not there, or cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Pure. Whether a text is an absolute path of Windows: with a drive, or of a share. */
export function isWindowsPath(path: string): boolean {
  return /^(?:[a-z]:[\\/]|\\\\)/i.test(path);
}
