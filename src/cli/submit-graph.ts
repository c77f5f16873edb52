import type * as z from "zod";
import { SubmitTasks } from "../contract/tasks.ts";
import type { InputOf } from "../contract/operations.ts";
import { taskOperations } from "../contract/task-operations.ts";
import type { Json } from "../contract/values.ts";
import { unfit } from "../coordination/json-shape.ts";
import { problemsOf } from "../coordination/problems.ts";
import { ok } from "../shared/result.ts";
import { wrongUsage, type Refused } from "./answer.ts";
import { withCheckedLink } from "./checked-link.ts";
import type { Cli, Outcome } from "./cli.ts";
import type { Coordination } from "./coordination.ts";
import { readPlan, type Plan, type PlanProblem } from "./plan-file.ts";
import { table } from "./screen-text.ts";
import { textOfFile } from "./task-input.ts";

type NewTask = InputOf<"tasks.submit">["tasks"][number];

/** What a submit may have at most. */
const { maxBodyBytes } = taskOperations["tasks.submit"];

/** [CL45] All tasks of a file or none. [CL50] What is wrong in it is told with its line; how they depend on each other the coordinator looks at. */
export async function submitGraph(cli: Cli, file: string): Promise<Outcome> {
  const text = textOfFile(cli, file, "a plan", maxBodyBytes);
  if (!text.ok) return text;
  const read = readPlan(text.value, maxBodyBytes);
  if (!read.ok) return wrongUsage(`${file}, line ${read.error.line}: ${read.error.message}.`);
  const { value } = read.value;
  if (!Array.isArray(value)) return wrongUsage(`${file} holds no array of tasks.`);
  const refused = problemIn(file, read.value, value);
  return refused ?? withCheckedLink(cli, (link) => submitAll(cli, link, value as unknown as NewTask[]));
}

/** Problems that are told at once. */
const mostTold = 10;

function problemIn(file: string, plan: Plan, tasks: readonly Json[]): Refused | null {
  const misshapen = unfit(tasks);
  if (misshapen) return wrongUsage(`${file}: ${misshapen.message}.`);
  const checked = SubmitTasks.input.shape.tasks.safeParse(tasks);
  if (checked.success) return null;
  const problems = checked.error.issues.map((issue) => problemOf(plan, issue)).toSorted((a, b) => a.line - b.line);
  const told = problems
    .slice(0, mostTold)
    .map(({ line, message }) => (line === 0 ? message : `line ${line}: ${message}`));
  const more = problems.length > mostTold ? `; and ${problems.length - mostTold} more` : "";
  return wrongUsage(`${file}: ${told.join("; ")}${more}.`);
}

/** What concerns no single task stands in no line. */
function problemOf(plan: Plan, issue: z.core.$ZodIssue): PlanProblem {
  const [task, ...field] = issue.path;
  // A field that nobody knows stands in a line of its own.
  const place = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  const message = problemsOf({ issues: [{ ...issue, path: task === undefined ? ["tasks"] : field }] });
  return { line: task === undefined ? 0 : plan.lineOf(place), message };
}

async function submitAll(cli: Cli, link: Coordination, tasks: readonly NewTask[]): Promise<Outcome> {
  const done = await link.call("tasks.submit", { tasks: [...tasks] });
  if (!done.ok) return done;
  const rows = done.value.tasks.map(({ task, state, isDuplicate }, at) => [
    String(task),
    tasks[at]?.ref ?? "-",
    tasks[at]?.type ?? "-",
    `${state ?? "no longer kept"}${isDuplicate ? " (there already)" : ""}`,
  ]);
  const text = table([["TASK", "REF", "TYPE", "STATE"], ...rows], cli.io.size().columns);
  return ok({ data: done.value, text });
}
