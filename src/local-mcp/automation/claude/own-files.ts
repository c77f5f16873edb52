import { join } from "node:path";
import { hookEvents } from "../../../contract/hook-input.ts";
import { isEventKnown } from "../../../contract/hook-tool.ts";
import { edgeConfigPath } from "../../authority.ts";
import { hookCommand, hookTimeout, serverCommand, serverName } from "../../clients/entries.ts";
import type { Launch } from "../../launch.ts";
import { digest } from "../../sessions/entries.ts";
import { createPrivateFolder, inodeOf, writeAtomically } from "../../store/store-files.ts";

/** What is given to Claude Code as `--mcp-config` and `--settings`. */
export interface OwnFiles {
  readonly mcpConfig: string;
  readonly settings: string;
}

/**
 * [CX3] SHIM's server and hooks, in files of SHIM's own: nothing of the user's is changed, and `shim init` is not needed. Their names are of what is
 * in them, so two copies of SHIM do not write over each other's.
 */
export function ownFiles(home: string, launch: Launch): OwnFiles {
  const folder = join(home, "worker-claude");
  createPrivateFolder(folder);
  return {
    mcpConfig: kept(folder, "mcp", { mcpServers: { [serverName]: { type: "stdio", ...serverCommand(launch) } } }),
    settings: kept(folder, "settings", { hooks: hooksOf(launch), permissions: { deny: protectedFrom(home) } }),
  };
}

function hooksOf(launch: Launch): object {
  const known = hookEvents.filter((event) => isEventKnown(event, null));
  const handlers = known.map((event) => {
    const handler = { type: "command", ...hookCommand(launch, event), timeout: hookTimeout(event) };
    return [event, [{ hooks: [handler] }]];
  });
  return Object.fromEntries(handlers) as object;
}

/** [CX7] The file with the tokens of this machine. A rule's absolute path begins with two slashes. */
function protectedFrom(home: string): string[] {
  const path = edgeConfigPath(home).replaceAll("\\", "/");
  return ["Read", "Edit"].map((tool) => `${tool}(/${path})`);
}

function kept(folder: string, name: string, value: object): string {
  const text = JSON.stringify(value, null, 2);
  const path = join(folder, `${name}-${digest(text)}.json`);
  if (inodeOf(path) === null) writeAtomically(path, text);
  return path;
}
