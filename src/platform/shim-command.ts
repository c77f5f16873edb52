import { existsSync, realpathSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { Launch } from "./launch.ts";
import { shellWord } from "./launch.ts";

/** What decides how the command is printed; a `Runtime` and an `Io` both have it. */
export interface CommandSource {
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Pick<Launch, "node" | "script">;
}

/**
 * [CL75] What starts this copy of SHIM when it is typed in any folder: `shim` where the first `shim` on the PATH is this copy, else
 * node with the full path of the launcher.
 *
 * @returns null when this copy has no launcher (the plugin and the desktop bundle come without the command line)
 */
export function shimCommand({ env, launch }: CommandSource): string | null {
  const ownScript = realPath(launch.script);
  const folders = persistentPathFolders(env);
  const found = folders.map(findShim).find((script) => script !== null);
  if (found !== undefined && found === ownScript) return "shim";
  if (ownScript === null) return null;
  const hasNode = folders.some((folder) => existsSync(join(folder, "node")));
  return `${hasNode ? "node" : shellWord(launch.node)} ${shellWord(launch.script)}`;
}

/**
 * [CL75] SHIM's own texts name commands in backquotes, as `shim doctor`. Answers the text with each of them as it can be typed here.
 *
 * @param command called only for a text that names a command
 */
export function withShimCommand(text: string, command: () => string | null): string {
  if (!text.includes("`shim ")) return text;
  const shimName = command() ?? "shim";
  // A function, because a path may hold a dollar sign.
  return text.replaceAll(/`shim(?= [a-z-])/g, () => `\`${shimName}`);
}

/** npm puts the .bin folders of its packages on the PATH of what it starts; the user's own shell does not have them. */
export function persistentPathFolders(env: NodeJS.ProcessEnv): string[] {
  const path = Object.entries(env).find(([name]) => name.toUpperCase() === "PATH")?.[1] ?? "";
  return path.split(delimiter).filter((folder) => isAbsolute(folder) && !/[\\/]node_modules[\\/]/.test(`${folder}/`));
}

/** The script behind a `shim` in this folder: a link, or the wrapper that npm writes on Windows. */
function findShim(folder: string): string | null {
  const wrapped = join(folder, "node_modules", "shim-mcp", "bin", "shim.mjs");
  return existsSync(join(folder, "shim.cmd")) ? realPath(wrapped) : realPath(join(folder, "shim"));
}

export function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
