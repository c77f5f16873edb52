import type { HostContext } from "../local-mcp/host/host.ts";
import { withWorkspace, type Workspace } from "../local-mcp/host/workspace.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { lines, run } from "../snapshots/git.ts";
import { diffTask, mergeTask, type Checkout, type MergedTask } from "../worker-runner/task-branches.ts";
import { gitInFolder } from "../worker-runner/work-git.ts";
import { findProject, type FoundProject } from "./run-evolve.ts";
import { Decisions } from "./decisions.ts";
import { offeredChanges, type Offered } from "./run.ts";

export interface Accepted extends MergedTask {
  readonly branch: string;
  /** False: git refuses, since the branch is checked out. */
  readonly isDeleted: boolean;
}

interface Reviewed {
  readonly workspace: Workspace;
  readonly found: FoundProject;
  readonly decisions: Decisions;
}

/** [EV15] Decisions of a person about the kept changes of all runs of a project. */
export class Review {
  readonly offered: readonly Offered[];
  readonly #workspace: Workspace;
  readonly #found: FoundProject;
  readonly #decisions: Decisions;
  readonly #site: HostContext["site"];

  constructor({ workspace, found, decisions }: Reviewed, site: HostContext["site"], offered: readonly Offered[]) {
    this.#workspace = workspace;
    this.#found = found;
    this.#decisions = decisions;
    this.#site = site;
    this.offered = offered;
  }

  /** Merges it into the current branch, as a task. */
  async accept(task: number): Promise<Result<Accepted, Failure>> {
    const one = this.#find(task);
    if (!one.ok) return one;
    const { project } = this.#found;
    const rejected = new Set(this.#decisions.all().flatMap((past) => (past.isAccepted ? [] : [past.task])));
    const spoiled = one.value.dependsOn.find((before) => rejected.has(before));
    if (spoiled !== undefined)
      return fail(
        "contains_rejected",
        `task ${task} began with the work of task ${spoiled}, which was rejected. Reject it, or merge by hand.`,
      );
    const { call } = this.#workspace;
    const found = await call("tasks.get", { task });
    if (!found.ok) return found;
    const merged = await mergeTask(this.#checkout, (input) => call("tasks.get", input), found.value, this.#site.now());
    if (!merged.ok) return merged;
    this.#decide(one.value, null);
    const { branch } = one.value;
    const isDeleted = await deleteMerged(this.#site.env, project.top, branch);
    return ok({ ...merged.value, branch, isDeleted });
  }

  /** The change is never proposed again. */
  reject(task: number, reason: string): Result<Offered, Failure> {
    const one = this.#find(task);
    if (one.ok) this.#decide(one.value, reason);
    return one;
  }

  /** Its patch, or why there is none. */
  async diff(task: number): Promise<string> {
    const found = await this.#workspace.call("tasks.get", { task });
    const diff = found.ok ? await diffTask(this.#checkout, found.value, false) : found;
    return diff.ok ? diff.value.diff : diff.error.message;
  }

  get #checkout(): Checkout {
    return { env: this.#site.env, folder: this.#found.folder, remote: undefined };
  }

  #find(task: number): Result<Offered, Failure> {
    const found = this.offered.find((one) => one.task === task);
    if (found) return ok(found);
    const waiting = this.offered.map((one) => one.task).join(", ") || "none";
    return fail("not_found", `task ${task} offers no change that waits for a decision; these do: ${waiting}.`);
  }

  /** @param reason null: accepted */
  #decide({ task, candidate, rules, fingerprints }: Offered, reason: string | null): void {
    const at = this.#site.now();
    const isAccepted = reason === null;
    this.#decisions.add({ task, candidate, isAccepted, reason, rules, fingerprints, at });
  }
}

async function deleteMerged(env: NodeJS.ProcessEnv, top: string, branch: string): Promise<boolean> {
  const git = gitInFolder(env, top);
  const ref = `refs/heads/${branch}`;
  const merged = await lines(git, ["for-each-ref", "--merged=HEAD", "--format=%(refname)", ref]);
  if (!merged.includes(ref)) return false;
  return (await run(git, ["branch", "--quiet", "-D", "--", branch], "", [0, 1])).code === 0;
}

/** Reviews the project in a folder. */
export async function withReview<T>(
  context: HostContext,
  folder: string,
  body: (review: Review) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  const decisions = new Decisions(context.paths.home, found.value.project);
  return withWorkspace(context, async (workspace) => {
    const offered = await offeredChanges(workspace, found.value.project, decisions);
    if (!offered.ok) return offered;
    return body(new Review({ workspace, found: found.value, decisions }, context.site, offered.value));
  });
}
