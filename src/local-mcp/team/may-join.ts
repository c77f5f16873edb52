import type { Runtime } from "../../runtime/runtime.ts";

/** [TE46] The worker is the member in the run of a task. */
export function mayJoinTeam({ config, env }: Pick<Runtime, "config" | "env">): boolean {
  return config.team.isEnabled && !env["SHIM_TASK"];
}
