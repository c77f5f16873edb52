import { existsSync, lstatSync, realpathSync } from "node:fs";
import { posix, basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { codeOf } from "../shared/error.ts";
import { commandLine, shellOf, shellWord } from "./shell-line.ts";

/** Absolute paths, written as they are: clients start with a PATH of their own. */
export interface Launch {
  readonly node: string;
  /** bin/shim.mjs */
  readonly script: string;
  readonly hookScript: string;
}

/** The shell script of hooks, beside their program, which it starts where no host answers. */
export function shellHookOf({ hookScript }: Pick<Launch, "hookScript">): string {
  return posix.join(posix.dirname(hookScript), "shim-hook");
}

export interface CommandSource {
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Pick<Launch, "node" | "script">;
}

/**
 * Returns `shim` where the PATH's first one is this copy, else npx, or node and the
 * launcher; null: none of them.
 */
export function shimCommand({ env, launch }: CommandSource): string | null {
  const ownScript = findRealPath(launch.script);
  const folders = persistentPathFolders(env);
  const found = folders.map(findShim).find((script) => script !== null);
  if (found !== undefined && found === ownScript) return "shim";
  if (ownScript === null) return null;
  if (isTemporary(ownScript)) return "npx shim-mcp";
  return commandLine([hasNode(folders) ? "node" : launch.node, launch.script], shellOf(env));
}

export interface TypedCommand {
  readonly command: string;
  /** An instruction with a line to run first; null: none is needed. */
  readonly howTo: string | null;
}

/** The command for a person in a terminal: `shim`, also where a line must be run first. */
export function typedCommand(source: CommandSource, { platform, homedir }: Home): TypedCommand {
  const command = shimCommand(source) ?? "shim";
  const howTo = command === "shim" || platform === "win32" ? null : linkCommand(source, homedir);
  return { command: howTo === null ? command : "shim", howTo };
}

interface Home {
  readonly platform: NodeJS.Platform;
  readonly homedir: string;
}

/** Null where another program has the name, this copy does not stay, or no Node is on the PATH. */
function linkCommand({ env, launch }: CommandSource, homedir: string): string | null {
  const folders = persistentPathFolders(env);
  const local = join(homedir, ".local", "bin");
  const isLinked = findRealPath(join(local, "shim")) === findRealPath(launch.script);
  const names = [...folders, ...(isLinked ? [] : [local])].map((folder) => join(folder, "shim"));
  if (names.some(isTaken) || isTemporary(launch.script) || !hasNode(folders)) return null;
  const { SHELL = "" } = env;
  const isFish = SHELL.endsWith("fish");
  const adding = isFish ? "fish_add_path ~/.local/bin" : 'export PATH="$HOME/.local/bin:$PATH"';
  // fish keeps it.
  if (isLinked) return isFish ? `run: ${adding}` : `run this, and add it to ${startFile(SHELL)}: ${adding}`;
  const linking = `mkdir -p ~/.local/bin && ln -s ${shellWord(launch.script)} ~/.local/bin/shim`;
  return `run: ${[linking, ...(folders.includes(local) ? [] : [adding])].join(" && ")}`;
}

function startFile(shell: string): string {
  return shell.endsWith("zsh") ? "~/.zshrc" : "~/.bashrc";
}

function hasNode(folders: readonly string[]): boolean {
  return folders.some((folder) => ["node", "node.exe"].some((name) => existsSync(join(folder, name))));
}

/** True also for a link that leads nowhere, and where a file stands in place of the folder. */
function isTaken(path: string): boolean {
  try {
    return lstatSync(path) !== null;
  } catch (error) {
    return codeOf(error) !== "ENOENT";
  }
}

/** Replaces commands in backquotes, as `shim doctor`, with what can be typed here. */
export function withShimCommand(text: string, command: () => string | null): string {
  if (!text.includes("`shim ")) return text;
  const shimName = command() ?? "shim";
  // A function, because a path may hold a dollar sign.
  return text.replaceAll(/`shim(?= [a-z-])/g, () => `\`${shimName}`);
}

/** npm adds .bin folders to the PATH of what it starts; the user's own shell lacks them. */
export function persistentPathFolders(env: NodeJS.ProcessEnv): string[] {
  const path = Object.entries(env).find(([name]) => name.toUpperCase() === "PATH")?.[1] ?? "";
  return path.split(delimiter).filter((folder) => isAbsolute(folder) && !/[\\/]node_modules[\\/]/.test(`${folder}/`));
}

/** Follows a link, or the wrapper that npm writes on Windows. */
function findShim(folder: string): string | null {
  const wrapped = join(folder, "node_modules", "shim-mcp", "bin", "shim.mjs");
  return existsSync(join(folder, "shim.cmd")) ? findRealPath(wrapped) : findRealPath(join(folder, "shim"));
}

export function findRealPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** @param started a program in dist/, the launcher in bin/ beside it, or a link to either */
export function launchOf(started: string): Launch {
  const folder = dirname(dirname(findRealPath(started) ?? started));
  // The plugin of a clone uses the launcher of the clone.
  const root = basename(folder) === "plugin" ? dirname(folder) : folder;
  const hookScript = join(root, "dist", "hook.cjs");
  const [node = "node"] = process.argv;
  return { node, script: join(root, "bin", "shim.mjs"), hookScript };
}

/**
 * Folders that npx, pnpm dlx, yarn dlx and bunx empty when they like.
 * Reads at most 4,096 characters: the path of a program that runs.
 */
const temporary = /[\\/](_npx|dlx(-[^\\/]*)?|bunx-[^\\/]*)[\\/](.*[\\/])?node_modules[\\/]/;

export function isTemporary(script: string): boolean {
  return temporary.test(script);
}
