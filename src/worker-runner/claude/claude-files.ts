import { join } from "node:path";
import { hookEvents } from "../../contract/hook-input.ts";
import { isEventKnown } from "../../contract/hook-tool.ts";
import { edgeConfigPath } from "../../coordinator-client/edge-config.ts";
import { hookCommand, hookTimeout, serverCommand, serverName } from "../../installer/entries.ts";
import type { Launch } from "../../platform/launch.ts";
import { digest } from "../../local-mcp/sessions/entries.ts";
import { createPrivateFolder, inodeOf, writeAtomically } from "../../platform/private-files.ts";

export interface ClaudeFiles {
  readonly mcpConfig: string;
  readonly settings: string;
}

/** [CX3] Changes nothing of the user's; names by content keep two copies of SHIM apart. */
export function writeClaudeFiles(home: string, launch: Launch): ClaudeFiles {
  const folder = join(home, "worker-claude");
  createPrivateFolder(folder);
  return {
    mcpConfig: writeByDigest(folder, "mcp", {
      mcpServers: { [serverName]: { type: "stdio", ...serverCommand(launch) } },
    }),
    settings: writeByDigest(folder, "settings", { hooks: buildHooks(launch), permissions: { deny: denyRules(home) } }),
  };
}

function buildHooks(launch: Launch): object {
  const knownEvents = hookEvents.filter((event) => isEventKnown(event, null));
  const handlers = knownEvents.map((event) => {
    const handler = { type: "command", ...hookCommand(launch, event), timeout: hookTimeout(event) };
    return [event, [{ hooks: [handler] }]];
  });
  return Object.fromEntries(handlers) as object;
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
