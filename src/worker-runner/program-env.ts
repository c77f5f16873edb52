import type { ClaimedTask } from "../contract/tasks.ts";
import { withoutSecrets } from "../platform/secret-env.ts";

/** They would send git from the worktree to where the worker was started from. */
const gitLocationVariables =
  /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX|NAMESPACE)$/;

/** [WK17] The worker's own environment without SHIM's secrets, and which task it is; never anything that a task says. */
export function programEnv(env: NodeJS.ProcessEnv, { task, claim }: ClaimedTask): NodeJS.ProcessEnv {
  const passed = Object.entries(withoutSecrets(env)).filter(([name]) => !gitLocationVariables.test(name));
  return { ...Object.fromEntries(passed), SHIM_TASK: String(task), SHIM_CLAIM: String(claim) };
}
