import type { ClaimedTask } from "../contract/tasks.ts";
import { withoutSecrets } from "../platform/secret-env.ts";

/** Variables that would point git away from the worktree. */
const gitLocationVariables =
  /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX|NAMESPACE)$/;

/** [WK17] Contains no text of the task. */
export function programEnv(env: NodeJS.ProcessEnv, { task, claim }: ClaimedTask): NodeJS.ProcessEnv {
  const passed = Object.entries(withoutSecrets(env)).filter(([name]) => !gitLocationVariables.test(name));
  return { ...Object.fromEntries(passed), SHIM_TASK: String(task), SHIM_CLAIM: String(claim) };
}
