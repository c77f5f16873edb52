import type { InputOf } from "../../../contract/operations.ts";
import { taskOperations } from "../../../contract/tasks.ts";
import { ok } from "../../../shared/result.ts";
import { withCheckedLink } from "../../checked-link.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { readInputFile } from "../../input-file.ts";
import { table } from "../../screen-text.ts";

type NewTask = InputOf<"tasks.submit">["tasks"][number];

const { input, maxBodyBytes } = taskOperations["tasks.submit"];

/** [CL45] Submits all tasks or none. [CL50] Errors of the file come with their line. */
export async function submitGraph(cli: Cli, file: string): Promise<CommandResult> {
  const tasks = readInputFile(cli, file, "a plan", {
    schema: input.shape.tasks,
    form: "array of tasks",
    name: "tasks",
    maxChars: maxBodyBytes,
  });
  return tasks.ok ? withCheckedLink(cli, (link) => submitAll(cli, link, tasks.value)) : tasks;
}

async function submitAll(cli: Cli, link: CoordinatorLink, tasks: readonly NewTask[]): Promise<CommandResult> {
  const submitted = await link.call("tasks.submit", { tasks: [...tasks] });
  if (!submitted.ok) return submitted;
  const rows = submitted.value.tasks.map(({ task, state, isDuplicate }, at) => [
    String(task),
    tasks[at]?.ref ?? "-",
    tasks[at]?.type ?? "-",
    `${state ?? "no longer kept"}${isDuplicate ? " (there already)" : ""}`,
  ]);
  const text = table([["TASK", "REF", "TYPE", "STATE"], ...rows], cli.io.size().columns);
  return ok({ data: submitted.value, text });
}
