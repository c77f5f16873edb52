import * as z from "zod";
import type { Json } from "../contract/json.ts";
import { GitError, run, type Git } from "../snapshots/git.ts";
import { findCommit } from "./work-git.ts";

/** Payload by `plans.submit` of the task that stands for a whole job. */
const WholeJob = z.looseObject({ job: z.looseObject({ title: z.string() }), part: z.undefined().optional() });

export function isWholeJob(payload: Json): boolean {
  return WholeJob.safeParse(payload).success;
}

/** [WK34] Creates `shim/job-<number>`, or with part of the hash if taken; moves no branch. */
export async function nameJobBranch(git: Git, task: number, commit: string): Promise<string> {
  const name = `shim/job-${task}`;
  if (await isCreated(git, name, commit)) return name;
  const uniqueName = `${name}-${commit.slice(0, 12)}`;
  await run(git, ["update-ref", `refs/heads/${uniqueName}`, commit]);
  return uniqueName;
}

/** @returns false where the name has another commit */
export async function isCreated(git: Git, name: string, commit: string): Promise<boolean> {
  try {
    // The empty old value requires that the branch does not exist.
    await run(git, ["update-ref", `refs/heads/${name}`, commit, ""]);
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return (await findCommit(git, `refs/heads/${name}`)) === commit;
  }
}
