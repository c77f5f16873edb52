import type { ClaimedTask } from "../../contract/tasks.ts";

/** What lets somebody act for the coordinator is not for programs of tasks. */
const ownSecret = /^SHIM_.*(TOKEN|SECRET)$/;

/** [WK17] The worker's own environment without SHIM's secrets, and which task it is; never anything that a task says. */
export function programEnv(env: NodeJS.ProcessEnv, { task, claim }: ClaimedTask): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !ownSecret.test(name));
  return { ...Object.fromEntries(kept), SHIM_TASK: String(task), SHIM_CLAIM: String(claim) };
}
