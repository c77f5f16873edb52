/** How a copy of SHIM came to this machine, by the path of its launcher. Pure. */

export type Origin = "clone" | "npm" | "npx" | "copy";

/**
 * Folders that npx, pnpm dlx, yarn dlx and bunx empty when they like.
 * Reads at most 4,096 characters: the path of a program that runs.
 */
const temporary = /[\\/](_npx|dlx(-[^\\/]*)?|bunx-[^\\/]*)[\\/](.*[\\/])?node_modules[\\/]/;

export function isTemporary(script: string): boolean {
  return temporary.test(script);
}

/** @param programFolder the copy that `init` makes of a temporary one */
export function originOf(script: string, programFolder: string): Origin {
  if (script.startsWith(programFolder)) return "copy";
  if (isTemporary(script)) return "npx";
  return /[\\/]node_modules[\\/]shim-mcp[\\/]/.test(script) ? "npm" : "clone";
}

/** [IP5] Commands that bring the newest version. */
export const updateCommands: Readonly<Record<Origin, string>> = {
  clone: "git pull && npm ci && npm run init",
  npm: "npm install --global shim-mcp@latest",
  npx: "npx shim-mcp@latest init",
  copy: "npx shim-mcp@latest init",
};
