import type { TaskFolders } from "../worker-runner/task-folder.ts";
import { EvolveTask } from "./candidate.ts";

/** Only a change needs a worktree: a plan makes its own, and a report reads. */
export function evolveFolders(worktrees: TaskFolders, fixed: TaskFolders): TaskFolders {
  return {
    open: (task, inputs) => {
      const isChange = EvolveTask.safeParse(task.payload).data?.evolve === "change";
      return (isChange ? worktrees : fixed).open(task, inputs);
    },
  };
}
