import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { ClaudeRig } from "./claude-rig.ts";

const shim = join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs");

/**
 * `shim init` in the rig's home.
 *
 * @param claude the client that it finds there; null: none
 * @returns the servers that it has written
 */
export function initialise(rig: ClaudeRig, claude: string | null): Record<string, object> {
  const folder = join(rig.root, "bin");
  mkdirSync(join(rig.home, ".claude"), { recursive: true });
  mkdirSync(folder);
  if (claude !== null) symlinkSync(claude, join(folder, "claude"));
  const path = [folder, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter);
  const env = { HOME: rig.home, SHIM_HOME: rig.paths.home, PATH: path };
  execFileSync(process.execPath, [shim, "init", "--yes"], { env, cwd: rig.project });
  const { mcpServers } = JSON.parse(readFileSync(join(rig.home, ".claude.json"), "utf8")) as {
    mcpServers: Record<string, object>;
  };
  return mcpServers;
}
