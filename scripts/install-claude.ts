import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { installPackage } from "./install-clients.ts";

/** What the hooks of this version send, and when, was seen by running it; another version is another set of facts. */
export const CLAUDE_VERSION = "2.1.332";
/** What npm installs on Node 20: some events differ, and one file of tests runs it. */
export const OLDER_CLAUDE_VERSION = "2.1.197";

const CACHE = join(import.meta.dirname, "..", ".scratch", "claude");

/**
 * Path of the real Claude Code in the pinned version: `SHIM_TEST_CLAUDE` where it is set, else what `npm run test:clients`
 * has installed. Throws when it is not there; a test never downloads it by itself.
 */
export function claudeBinary(): string {
  const path = process.env["SHIM_TEST_CLAUDE"] || binaryIn(join(CACHE, CLAUDE_VERSION));
  if (path && existsSync(path)) return path;
  throw new Error(
    `Claude Code ${CLAUDE_VERSION} is not installed for the tests. Run "npm run test:clients", or "node scripts/install-claude.ts" first.`,
  );
}

/** Path of another version; null where it is not installed. */
export function otherClaudeBinary(version: string): string | null {
  return binaryIn(join(CACHE, version));
}

/** Installs a version from npm unless it is there already, and gives its path. Needs the registry once (some 360 MB). */
export function installClaude(cache = CACHE, version = CLAUDE_VERSION): string {
  return installPackage(join(cache, version), `@anthropic-ai/claude-code@${version}`, binaryIn);
}

/** The binary stands in a package of its own per platform; npm installs only the one that fits this machine. */
function binaryIn(folder: string): string | null {
  const scope = join(folder, "node_modules", "@anthropic-ai");
  if (!existsSync(scope)) return null;
  const name = process.platform === "win32" ? "claude.exe" : "claude";
  const packages = readdirSync(scope).filter((entry) => entry.startsWith("claude-code-"));
  return packages.map((entry) => join(scope, entry, name)).find((path) => existsSync(path)) ?? null;
}

if (import.meta.main) {
  for (const version of [CLAUDE_VERSION, OLDER_CLAUDE_VERSION]) console.log(installClaude(CACHE, version));
}
