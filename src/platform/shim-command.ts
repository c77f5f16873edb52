import { existsSync, realpathSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { type Launch, shellWord } from "./launch.ts";
import { isTemporary } from "./origin.ts";

export interface CommandSource {
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Pick<Launch, "node" | "script">;
}

/**
 * [CL75] [IP9] Returns `shim` where the PATH's first one is this copy, else npx, or node and the
 * launcher; null: none of them.
 */
export function shimCommand({ env, launch }: CommandSource): string | null {
  const ownScript = findRealPath(launch.script);
  const folders = persistentPathFolders(env);
  const found = folders.map(findShim).find((script) => script !== null);
  if (found !== undefined && found === ownScript) return "shim";
  if (ownScript === null) return null;
  if (isTemporary(ownScript)) return "npx shim-mcp";
  const hasNode = folders.some((folder) => existsSync(join(folder, "node")));
  return `${hasNode ? "node" : shellWord(launch.node)} ${shellWord(launch.script)}`;
}

/** [CL75] Replaces commands in backquotes, as `shim doctor`, with what can be typed here. */
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
