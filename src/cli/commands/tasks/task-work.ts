import { pluralize } from "../../../shared/format.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import { WorkResult } from "../../../contract/work-result.ts";
import { readTaskWork, type InputWork } from "../../../worker-runner/input-work.ts";
import { mergeCommits, type Conflict } from "../../../worker-runner/merge-commits.ts";
import { readDiff } from "../../../worker-runner/read-diff.ts";
import { TaskFolderError } from "../../../worker-runner/task-folder.ts";
import { lines, text } from "../../../snapshots/git.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { failed, type FailedResult, type CliResult } from "../../answer.ts";
import type { Cli, Columns, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import {
  fetchCommits,
  cleanBranch,
  fastForward,
  readIdentity,
  withRepository,
  type Repository,
} from "./task-repository.ts";

export interface WorkOptions extends CommonOptions {
  readonly remote?: string;
  readonly all?: boolean;
}

type Task = OutputOf<"tasks.get">;

interface WorkRange {
  readonly work: InputWork;
  readonly base: string;
}

/** [CL120] Shows the task's own changes; with `--all` also the results that it began with. */
export function diffTask(cli: Cli, link: Workspace, task: number, options: WorkOptions): Promise<CommandResult> {
  return withRange(cli, link, task, options, async ({ git }, { work, base }) => {
    const { files, diff } = await readDiff(git, base, work.commit);
    const data = { task, branch: work.branch, base, commit: work.commit, files, diff };
    return ok({
      data,
      text: diff === "" ? `Task ${task} changed nothing itself; --all shows what it started with.\n` : diff,
      isVerbatim: true,
    });
  });
}

export function logTask(cli: Cli, link: Workspace, task: number, options: WorkOptions): Promise<CommandResult> {
  return withRange(cli, link, task, options, async ({ git }, { work, base }) => {
    const format = "--format=%H%x09%at%x09%an%x09%s";
    const found = await lines(git, ["log", "--no-color", "--no-show-signature", format, `${base}..${work.commit}`]);
    const commits = found.map(parseCommit);
    const nothing = `Task ${task} made no commits; --all shows those that it started with.\n`;
    const columns: Columns<Commit> = {
      COMMIT: ({ commit }) => commit.slice(0, 12),
      MADE: ({ at }) => cli.ago(at),
      BY: ({ author }) => author,
      SUBJECT: ({ subject }) => subject,
    };
    const data = { task, branch: work.branch, base, commit: work.commit, commits };
    return ok({ data, text: cli.table(commits, columns, nothing), isVerbatim: true });
  });
}

interface Commit {
  readonly commit: string;
  readonly at: number;
  readonly author: string;
  readonly subject: string;
}

function parseCommit(line: string): Commit {
  const [commit = "", at = "", author = "", ...subject] = line.split("\t");
  return { commit, at: Number(at) * 1_000, author, subject: subject.join("\t") };
}

async function withRange(
  cli: Cli,
  link: Workspace,
  task: number,
  { remote, all }: WorkOptions,
  body: (repository: Repository, range: WorkRange) => Promise<CommandResult>,
): Promise<CommandResult> {
  const found = await link.call("tasks.get", { task });
  if (!found.ok) return found;
  const work = findWork(found.value);
  if (!work.ok) return work;
  return withRepository(cli, async (repository) => {
    const fetched = await fetchCommits(repository, [work.value.work], remote);
    if (!fetched.ok) return fetched;
    const { commit } = work.value.work;
    // A worker of an older version did not record its base.
    const own = all === true ? null : work.value.base;
    const base = own ?? (await text(repository.git, ["merge-base", "HEAD", commit]));
    return body(repository, { work: work.value.work, base });
  });
}

/** [CL120] @returns the branch of a done task, or why there is none */
function findWork(task: Task): CliResult<{ work: InputWork; base: string | null }> {
  const missing = whyNoBranch(task);
  if (missing !== null) return failed("no_branch", `task ${task.task} has no branch: ${missing}.`);
  const { branch, commit, base = null, machine = null } = WorkResult.parse(task.result);
  return ok({ work: { task: task.task, branch: branch ?? "", commit, machine }, base });
}

/** [WK36] @returns why a task has left no branch; null: it has one */
export function whyNoBranch(found: Task): string | null {
  if (found.state !== "done") return whyNotDone(found);
  const { task, joinRule, dependsOn, result } = found;
  if (joinRule !== null) {
    return `the coordinator joined the results of ${dependsOn.join(", ")} (${joinRule}), which merges no branches; shim task merge ${task} merges theirs`;
  }
  const { data } = WorkResult.safeParse(result);
  if (!data) return "it was not done in a worktree of a repository";
  return data.branch === null ? "nothing was changed" : null;
}

function whyNotDone({ state, reason, detail, dependsOn }: Task): string {
  const why = detail === null ? "" : `: ${detail}`;
  if (state === "dead") return `it is dead (${reason ?? "no reason"})${why}`;
  if (state === "cancelled") return `it was cancelled${why}`;
  return `it is ${state}${state === "blocked" ? `, and waits for ${dependsOn.join(", ")}` : ""}`;
}

/** [CL122] Merges the work of a task or a job's parts into the current branch, all or none. */
export async function mergeTask(
  cli: Cli,
  link: Workspace,
  task: number,
  { remote }: WorkOptions,
): Promise<CommandResult> {
  const works = await listWork(link, task);
  if (!works.ok) return works;
  return withRepository(cli, async (repository) => {
    const currentBranch = await cleanBranch(repository);
    if (!currentBranch.ok) return currentBranch;
    const fetched = await fetchCommits(repository, works.value, remote);
    if (!fetched.ok) return fetched;
    const { git, common } = repository;
    const sides = works.value.map((work) => ({ name: `task-${work.task}`, commit: work.commit }));
    const author = (await readIdentity(git)) ?? undefined;
    const mergeContext = {
      env: cli.io.env,
      repository: common,
      now: cli.io.now(),
      signal: git.signal,
      ...omitUndefined({ author }),
    };
    const { commit, conflicts } = await mergeCommits(mergeContext, currentBranch.value.commit, sides, false);
    const [conflict] = conflicts;
    if (conflict) return conflictFailure(works.value, conflict, currentBranch.value.branch);
    const refused = commit === currentBranch.value.commit ? null : await fastForward(git, commit);
    if (refused !== null) return failed("git_refused", `nothing was changed: ${refused}`);
    return ok({
      data: {
        task,
        tasks: works.value.map((one) => one.task),
        into: currentBranch.value.branch,
        before: currentBranch.value.commit,
        commit,
      },
      text: mergedText(works.value, currentBranch.value, commit),
    });
  });
}

async function listWork(link: Workspace, task: number): Promise<CliResult<readonly InputWork[]>> {
  const found = await link.call("tasks.get", { task });
  if (!found.ok) return found;
  const isJoined = found.value.state === "done" && found.value.joinRule !== null;
  const missing = isJoined ? null : whyNoBranch(found.value);
  if (missing !== null) return failed("no_branch", `task ${task} has nothing to merge: ${missing}.`);
  try {
    const works = await readTaskWork((input) => link.call("tasks.get", input), task);
    return works.length > 0 ? ok(works) : failed("no_branch", `no part of task ${task} has left a branch.`);
  } catch (error) {
    if (!(error instanceof TaskFolderError)) throw error;
    return failed("no_result", `${error.message}.`);
  }
}

function mergedText(
  works: readonly InputWork[],
  { branch, commit: before }: { branch: string; commit: string },
  commit: string,
): string {
  const what = works.map(({ task, branch: of }) => `task ${task} (${of})`).join(", ");
  if (commit === before) return `${branch} already has all of ${what}.\n`;
  return `${what} ${works.length === 1 ? "is" : "are"} merged into ${branch}, now at ${commit.slice(0, 12)}; it was at ${before.slice(0, 12)}.\n`;
}

function conflictFailure(works: readonly InputWork[], { name, files }: Conflict, branch: string): FailedResult {
  const work = works.find(({ task }) => `task-${task}` === name);
  return failed(
    "merge_conflict",
    `task ${work?.task} conflicts in ${pluralize(files.length, "file")} (${files.join(", ")}); nothing was changed. To resolve it by hand on ${branch}: git merge ${work?.commit}`,
  );
}
