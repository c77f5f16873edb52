import { Option, type Command } from "commander";
import * as z from "zod";
import type { InputOf, OutputOf } from "../../../contract/operations.ts";
import { Job, planOperations } from "../../../contract/plans.ts";
import { defaultMaxBodyBytes } from "../../../contract/protocol.ts";
import { taskOperations, TaskType } from "../../../contract/tasks.ts";
import { counter } from "../../../contract/values.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import type { Given } from "../../operation-command.ts";
import { linesView, type View } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { keyField, readTask, sharedFields, taskFields } from "./task-fields.ts";

const SubmitFields = z.object({
  type: TaskType.optional(),
  ...taskFields,
  dependsOn: z.array(counter).optional().describe("start only after these tasks are done"),
  dedupeKey: keyField,
});

export function addCommand(task: Command, cli: Cli): void {
  addSubmit(task, cli);
  addJobs(task, cli);
}

/** [CL45] One task, or all of a file. */
function addSubmit(task: Command, cli: Cli): void {
  defineWork(cli, task, "submit", {
    operation: "tasks.submit",
    summary: "Submits a task of a type, or all tasks of a file.",
    fields: SubmitFields,
    args: ["type"],
    own: [new Option("--graph <file>", "a list of tasks in YAML or JSON, with ref and dependsOn")],
    read: readTasks,
    view: ({ tasks }, _cli, { input, options }) =>
      options["graph"] === undefined
        ? tasks.map(submittedText).join("")
        : cli.table(
            tasks.map((one, at) => ({ ...input.tasks[at], ...one })),
            {
              TASK: (one) => String(one.task),
              REF: ({ ref }) => ref ?? "-",
              TYPE: ({ type }) => type ?? "-",
              STATE: ({ state, isDuplicate }) => `${state ?? "no longer kept"}${isDuplicate ? " (already there)" : ""}`,
            },
          ),
  });
}

type Tasks = InputOf<"tasks.submit">;

async function readTasks(given: Given, cli: Cli, { graph }: Given): Promise<CliResult<Tasks>> {
  if (typeof graph === "string") {
    if (Object.keys(given).length > 0) return wrongUsage("with --graph the file says all of the tasks.");
    const { input, maxBodyBytes = defaultMaxBodyBytes } = taskOperations["tasks.submit"];
    // The parser of plans is large, and few commands need it.
    const { readInputFile } = await import("../../plan-file.ts");
    const expected = { schema: input.shape.tasks, form: "array of tasks", name: "tasks", maxChars: maxBodyBytes };
    const tasks = readInputFile(cli, graph, "a plan", expected);
    return tasks.ok ? ok({ tasks: tasks.value }) : tasks;
  }
  if (given["type"] === undefined) return wrongUsage("name a type (`shim task submit build`), or a --graph.");
  const task = await readTask(cli, given);
  return task.ok ? ok({ tasks: [task.value] }) : task;
}

function submittedText({ task, state, isDuplicate }: OutputOf<"tasks.submit">["tasks"][number]): string {
  if (!isDuplicate) return `Task ${task} is ${state}.\n`;
  return `Task ${task} has this key already: ${state ?? "it is no longer kept"}. Nothing was submitted.\n`;
}

const { shape } = planOperations["plans.submit"].input;
const splitFields = {
  file: z.string(),
  by: z.enum(["file", "module", "phase"]).optional().describe("what a part is made of"),
  maxParts: shape.maxParts.unwrap().optional().describe("2 to 8 (default: 8)"),
  split: z.boolean().optional().describe("whatever the complexity"),
};
const JobFields = z.object({
  ...splitFields,
  type: TaskType.describe("of the tasks"),
  joinRule: shape.joinRule.describe("the coordinator joins the results"),
  joinType: shape.joinType.describe("a chat joins them, by a task of this type"),
  onPartDeath: shape.onPartDeath.unwrap().optional().describe("ignore: the other results are joined (default: fail)"),
  dedupeKey: keyField,
  ...sharedFields,
});

function addJobs(task: Command, cli: Cli): void {
  const jobs = task.command("jobs").description("a complex job: how complex it is, and its parts as tasks");
  defineWork(cli, jobs, "estimate", {
    operation: "plans.estimate",
    fields: z.object(splitFields),
    args: ["file"],
    read: (given) => readJob(cli, given),
    view: estimateView,
  });
  defineWork(cli, jobs, "submit", {
    operation: "plans.submit",
    fields: JobFields,
    args: ["file"],
    read: async ({ priority, capabilities, tags, ...given }) => {
      const read = await readJob(cli, given);
      const options = omitUndefined({ priority, capabilities, tags });
      return read.ok ? ok({ ...read.value, options } as InputOf<"plans.submit">) : read;
    },
    view: linesView((submitted) => [scoreText(submitted), submittedJobText(submitted)]),
  });
}

async function readJob(cli: Cli, { file, by, split, ...given }: Given): Promise<CliResult<InputOf<"plans.estimate">>> {
  const { maxBodyBytes = defaultMaxBodyBytes } = planOperations["plans.submit"];
  const { readInputFile } = await import("../../plan-file.ts");
  const expected = { schema: Job, form: "job", name: "the job", maxChars: maxBodyBytes };
  const job = readInputFile(cli, String(file), "a job", expected);
  if (!job.ok) return job;
  const strategy = by === undefined ? undefined : { by };
  return ok({ job: job.value, ...given, ...omitUndefined({ strategy, isForced: split }) } as InputOf<"plans.estimate">);
}

const estimateView: View<OutputOf<"plans.estimate">> = (estimated, cli) => {
  const score = `${scoreText(estimated)}\n`;
  if (estimated.parts === null) return `${score}One task: ${estimated.reason ?? "it is not split"}.\n`;
  return (
    score +
    cli.table(estimated.parts, {
      PART: ({ name }) => name,
      FILES: ({ files }) => String(files.length),
      AFTER: ({ dependsOn }) => dependsOn.join(" ") || "-",
      WHAT: ({ text }) => text,
    })
  );
};

function scoreText({
  complexity: { score, threshold, reasons },
}: Pick<OutputOf<"plans.estimate">, "complexity">): string {
  const why = reasons.map(({ signal, value, points }) => `${signal} ${value} (+${points.toFixed(1)})`).join(", ");
  return `Complexity ${score} of 10 (split above ${threshold})${why === "" ? "" : `: ${why}`}.`;
}

function submittedJobText({ task, state, isDuplicate, parts }: OutputOf<"plans.submit">): string {
  if (isDuplicate)
    return `Task ${task} has this key already: ${state ?? "it is no longer kept"}. Nothing was submitted.`;
  const names = parts.map((part) => `${part.name} ${part.task}`).join(", ");
  const what = parts.length === 0 ? "one task" : `it joins ${parts.length} parts (${names})`;
  return `Task ${task} is ${state ?? "no longer kept"}: ${what}.`;
}
