import { join } from "node:path";
import { canBlock, hasHookTool } from "../../contract/hook-tool.ts";
import { edgeConfigPath } from "../../coordinator-client/edge-config.ts";
import { serverCommand, serverName, setClaudeHooks } from "../../installer/entries.ts";
import type { Settings } from "../../installer/settings.ts";
import { digest } from "../../local-mcp/sessions/entries.ts";
import type { Launch } from "../../platform/launch.ts";
import { createPrivateFolder, inodeOf, writeAtomically } from "../../platform/private-files.ts";
import type { Runtime } from "../../runtime/runtime.ts";

export interface ClaudeFiles {
  readonly mcpConfig: string;
  readonly settings: string;
}

/**
 * [CX3] Changes nothing of the user's; names by content keep two copies of SHIM apart.
 *
 * @param version of Claude Code, such as "2.1.328 (Claude Code)"; null: unknown
 */
export function writeClaudeFiles(
  { paths: { home }, config }: Pick<Runtime, "paths" | "config">,
  launch: Launch,
  version: string | null,
): ClaudeFiles {
  const server = hasHookTool(version) ? serverName : null;
  const isBlocking = config.team.blockUnchecked && canBlock(version);
  const delivery = { server, version, platform: process.platform, isBlocking };
  const settings: Settings = { permissions: { deny: denyRules(home) } };
  setClaudeHooks(settings, launch, delivery);
  const folder = join(home, "worker-claude");
  createPrivateFolder(folder);
  return {
    mcpConfig: writeByDigest(folder, "mcp", {
      mcpServers: { [serverName]: { type: "stdio", ...serverCommand(launch) } },
    }),
    settings: writeByDigest(folder, "settings", settings),
  };
}

/** [CX7] Protects this machine's tokens. An absolute path in a rule begins with `//`. */
function denyRules(home: string): string[] {
  const path = edgeConfigPath(home).replaceAll("\\", "/");
  return ["Read", "Edit"].map((tool) => `${tool}(/${path})`);
}

function writeByDigest(folder: string, name: string, value: object): string {
  const text = JSON.stringify(value, null, 2);
  const path = join(folder, `${name}-${digest(text)}.json`);
  if (inodeOf(path) === null) writeAtomically(path, text);
  return path;
}
