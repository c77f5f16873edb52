import type { Runtime } from "../../runtime/runtime.ts";

/** Whether the chat of this process may be a member of a team. [TE18] In the run of a task its worker is the member, and takes the tasks. */
export function mayJoinTeam({ config, env }: Pick<Runtime, "config" | "env">): boolean {
  return config.team.isEnabled && !env["SHIM_TASK"];
}
