import { Option, type Command } from "commander";
import type { OutputOf } from "../../../contract/operations.ts";
import type { Checkout, MergedTask, TaskCommit } from "../../../worker-runner/task-branches.ts";
import type { Failure } from "../../../shared/failure.ts";
import type { Result } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Cli, Columns } from "../../cli.ts";
import { defineWork, type Work } from "../../workspace-command.ts";

const remoteOption = new Option("--remote <name>", "fetch missing commits from this remote");
const allOption = new Option("--all", "also what the task started with: the work of its dependencies");

/** The git branches of tasks, in the repository of the working folder. */
export function addCommand(task: Command, cli: Cli): void {
  const shared = { operation: "tasks.get", args: ["task"] } as const;
  const range = { ...shared, own: [remoteOption, allOption], isVerbatim: true } as const;
  defineWork(cli, task, "diff", {
    ...range,
    summary: "What a task has changed, as a patch.",
    run: (work) =>
      withTask(work, work.input.task, (branches, found) =>
        branches.diffTask(checkoutOf(work), found, work.options["all"] === true),
      ),
    view: ({ task: number, diff }) =>
      diff || `Task ${number} changed nothing itself; --all shows what it started with.\n`,
  });
  defineWork(cli, task, "log", {
    ...range,
    summary: "The commits of a task.",
    run: (work) =>
      withTask(work, work.input.task, (branches, found) =>
        branches.logTask(checkoutOf(work), found, work.options["all"] === true),
      ),
    view: ({ task: number, commits }) =>
      cli.table(
        commits,
        commitColumns(cli),
        `Task ${number} made no commits; --all shows those that it started with.\n`,
      ),
  });
  defineWork(cli, task, "merge", {
    ...shared,
    summary: "Merges a task, or the parts of a job, into the branch you are on.",
    own: [remoteOption],
    run: (work) =>
      withTask(work, work.input.task, (branches, found) =>
        branches.mergeTask(checkoutOf(work), (input) => work.link.call("tasks.get", input), found, cli.io.now()),
      ),
    view: mergedText,
  });
}

type Branches = typeof import("../../../worker-runner/task-branches.ts");
type Task = OutputOf<"tasks.get">;
type Context = Pick<Work<"tasks.get">, "cli" | "link" | "options">;

async function withTask<T>(
  { link }: Context,
  task: number,
  body: (branches: Branches, found: Task) => Promise<Result<T, Failure>>,
): Promise<CliResult<T>> {
  const found = await link.call("tasks.get", { task });
  if (!found.ok) return found;
  // Few commands need git.
  return body(await import("../../../worker-runner/task-branches.ts"), found.value);
}

function checkoutOf({ cli: { io }, options: { remote } }: Context): Checkout {
  return { env: io.env, folder: io.cwd, remote: typeof remote === "string" ? remote : undefined };
}

function commitColumns(cli: Cli): Columns<TaskCommit> {
  return {
    COMMIT: ({ commit }) => commit.slice(0, 12),
    MADE: ({ at }) => cli.ago(at),
    BY: ({ author }) => author,
    SUBJECT: ({ subject }) => subject,
  };
}

export function mergedText({ works, into, before, commit }: MergedTask): string {
  const what = works.map(({ task, branch }) => `task ${task} (${branch})`).join(", ");
  if (commit === before) return `${into} already has all of ${what}.\n`;
  return `${what} ${works.length === 1 ? "is" : "are"} merged into ${into}, now at ${commit.slice(0, 12)}; it was at ${before.slice(0, 12)}.\n`;
}
