import type { ClaimedTask } from "../../contract/tasks.ts";

/** What lets somebody act for the coordinator is not for programs of tasks. */
const ownSecret = /^SHIM_.*(TOKEN|SECRET)$/;
/** They would send git from the worktree to where the worker was started from. */
const ofOtherPlace =
  /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX|NAMESPACE)$/;

/** What is started for the worker itself and may run commands of a project's settings (git: filters). */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ownSecret.test(name)));
}

/** [WK17] The worker's own environment without SHIM's secrets, and which task it is; never anything that a task says. */
export function programEnv(env: NodeJS.ProcessEnv, { task, claim }: ClaimedTask): NodeJS.ProcessEnv {
  const kept = Object.entries(withoutSecrets(env)).filter(([name]) => !ofOtherPlace.test(name));
  return { ...Object.fromEntries(kept), SHIM_TASK: String(task), SHIM_CLAIM: String(claim) };
}
