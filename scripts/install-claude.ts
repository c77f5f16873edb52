import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What the hooks of this version send, and when, was seen by running it; another version is another set of facts. */
export const CLAUDE_VERSION = "2.1.328";
/** What npm installs on Node 20: some events differ, and one file of tests runs it. */
export const OLDER_CLAUDE_VERSION = "2.1.197";

const CACHE = join(import.meta.dirname, "..", ".scratch", "claude");
const NPM_TIMEOUT_MS = 300_000;

/**
 * Path of the real Claude Code in the pinned version: `SHIM_TEST_CLAUDE` where it is set, else what `npm run test:e2e:claude`
 * has installed. Throws when it is not there; a test never downloads it by itself.
 */
export function claudeBinary(): string {
  const path = process.env["SHIM_TEST_CLAUDE"] || binaryIn(join(CACHE, CLAUDE_VERSION));
  if (path && existsSync(path)) return path;
  throw new Error(
    `Claude Code ${CLAUDE_VERSION} is not installed for the tests. Run "npm run test:e2e:claude", or "node scripts/install-claude.ts" first.`,
  );
}

/** Path of another version; null where it is not installed. */
export function otherClaudeBinary(version: string): string | null {
  return binaryIn(join(CACHE, version));
}

/** Installs a version from npm unless it is there already, and gives its path. Needs the registry once (some 360 MB). */
export function installClaude(cache = CACHE, version = CLAUDE_VERSION): string {
  const folder = join(cache, version);
  const installed = binaryIn(folder);
  if (installed) return installed;
  mkdirSync(cache, { recursive: true });
  // Renamed into place when whole: an interrupted download is never taken for an installation.
  const partial = mkdtempSync(join(cache, "partial-"));
  try {
    // No install scripts: theirs only copies the platform's binary, which is started directly here.
    const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
    execFileSync("npm", ["install", "--prefix", partial, ...options, `@anthropic-ai/claude-code@${version}`], {
      stdio: ["ignore", 2, 2],
      timeout: NPM_TIMEOUT_MS,
    });
    const binary = binaryIn(partial);
    if (!binary) throw new Error(`npm installed no Claude Code for ${process.platform} ${process.arch}.`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return claudePathOrThrow(folder);
}

function claudePathOrThrow(folder: string): string {
  const binary = binaryIn(folder);
  if (!binary) throw new Error(`${folder} holds no Claude Code. Delete it and install again.`);
  return binary;
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
