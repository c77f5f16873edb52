import * as z from "zod";
import type { Json } from "../contract/values.ts";
import { GitError, run, type Git } from "../snapshots/git.ts";
import { resolveCommit } from "./work-git.ts";

/** As `plans.submit` makes them: the payload of the task that stands for a whole job has the job and no part of it. */
const WholeJob = z.looseObject({ job: z.looseObject({ title: z.string() }), part: z.undefined().optional() });

/** Whether a task is a job that was not split, or the join of one that was. */
export function isWholeJob(payload: Json): boolean {
  return WholeJob.safeParse(payload).success;
}

/**
 * [WK34] Gives the result of a job its branch: `shim/job-<number>`, or where another commit has that name already, the same with the beginning of the
 * commit's hash. No branch that exists is moved.
 *
 * @returns the branch
 */
export async function nameJobBranch(git: Git, task: number, commit: string): Promise<string> {
  const name = `shim/job-${task}`;
  if (await isCreated(git, name, commit)) return name;
  const uniqueName = `${name}-${commit.slice(0, 12)}`;
  await run(git, ["update-ref", `refs/heads/${uniqueName}`, commit]);
  return uniqueName;
}

async function isCreated(git: Git, name: string, commit: string): Promise<boolean> {
  try {
    // An empty old value: it must not exist.
    await run(git, ["update-ref", `refs/heads/${name}`, commit, ""]);
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return (await findCommit(git, name)) === commit;
  }
}

async function findCommit(git: Git, name: string): Promise<string | null> {
  try {
    return await resolveCommit(git, `refs/heads/${name}`);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return null;
  }
}
