import type { OperationContext } from "../../machine/operations/operation-context.ts";
import { withWorkspace, type Workspace } from "../../machine/operations/workspace.ts";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";
import { run } from "../../snapshots/git.ts";
import { diffTask, mergeTask, type MergedTask } from "../../runner/worker/task-branches.ts";
import { gitInFolder } from "../../snapshots/user-repository.ts";
import { findProject, type FoundProject } from "./run-evolve.ts";
import { Decisions, offeredChanges, type Offered } from "./run.ts";

export interface Accepted extends MergedTask {
  readonly branch: string;
  /** False: git refuses, since the branch is checked out. */
  readonly isDeleted: boolean;
}

/** Decisions of a person about the kept changes of all runs of a project. */
export interface Review {
  readonly offered: readonly Offered[];
  /** Merges it into the current branch, as a task. */
  readonly accept: (task: number) => Promise<Result<Accepted, Failure>>;
  /** The change is never proposed again. */
  readonly reject: (task: number, reason: string) => Result<Offered, Failure>;
  /** Its patch, or why there is none. */
  readonly diff: (task: number) => Promise<string>;
}

/** Reviews the project in a folder. */
export async function withReview<T>(
  context: OperationContext,
  folder: string,
  body: (review: Review) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  return withWorkspace(context, async (workspace) => {
    const decisions = new Decisions(context.paths.home, found.value.project);
    const offered = await offeredChanges(workspace, found.value.project, decisions);
    return offered.ok ? body(toReview(context, workspace, found.value, decisions, offered.value)) : offered;
  });
}

function toReview(
  { site }: OperationContext,
  { call }: Workspace,
  { project, folder }: FoundProject,
  decisions: Decisions,
  offered: readonly Offered[],
): Review {
  const checkout = { env: site.env, folder, remote: undefined };
  const find = (task: number): Result<Offered, Failure> => {
    const found = offered.find((one) => one.task === task);
    if (found) return ok(found);
    const waiting = offered.map((one) => one.task).join(", ") || "none";
    return fail("not_found", `task ${task} offers no change that waits for a decision; these do: ${waiting}.`);
  };
  /** @param reason null: accepted */
  const decide = ({ task, candidate, rules, fingerprints }: Offered, reason: string | null): void =>
    decisions.add({ task, candidate, isAccepted: reason === null, reason, rules, fingerprints, at: site.now() });
  return {
    offered,
    accept: async (task) => {
      const one = find(task);
      if (!one.ok) return one;
      // The work of a change that the judge rejected is in no branch.
      const refused = decisions.all().filter(({ isAccepted, by }) => !isAccepted && by === undefined);
      const spoiled = one.value.dependsOn.find((before) => refused.some((past) => past.task === before));
      if (spoiled !== undefined)
        return fail(
          "contains_rejected",
          `task ${task} began with the work of task ${spoiled}, which was rejected. Reject it, or merge by hand.`,
        );
      const found = await call("tasks.get", { task });
      if (!found.ok) return found;
      const merged = await mergeTask(checkout, (input) => call("tasks.get", input), found.value, site.now());
      if (!merged.ok) return merged;
      decide(one.value, null);
      const { branch } = one.value;
      // Git refuses a branch that has commits of its own, or that is checked out.
      const git = gitInFolder(site.env, project.top);
      const { code } = await run(git, ["branch", "--quiet", "-d", "--", branch], "", [0, 1]);
      return ok({ ...merged.value, branch, isDeleted: code === 0 });
    },
    reject: (task, reason) => {
      const one = find(task);
      if (one.ok) decide(one.value, reason);
      return one;
    },
    diff: async (task) => {
      const found = await call("tasks.get", { task });
      const diff = found.ok ? await diffTask(checkout, found.value) : found;
      return diff.ok ? diff.value.diff : diff.error.message;
    },
  };
}
