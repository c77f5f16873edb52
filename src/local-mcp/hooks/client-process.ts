import type { HookClient } from "../../contract/clients.ts";
import { clientPidOf, skipShells, type Processes } from "../../platform/processes.ts";

/**
 * Clients start a hook in a shell, which may stay as its parent.
 * @param parent of the hook's process
 */
export function findClientPid(
  processes: Processes,
  client: HookClient,
  env: NodeJS.ProcessEnv,
  parent: number,
): number {
  if (client !== "claude-code") return skipShells(processes, parent);
  return Number(env["CLAUDE_PID"]) || clientPidOf(processes, env, parent);
}
