import { type Command, Option } from "commander";
import * as z from "zod";
import { Duration } from "../../contract/machine/operation.ts";
import type { LikePrompts } from "../../contract/machine/learning.ts";
import type { PricedTokens } from "../../contract/machine/usage.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { Job, planOperations } from "../../contract/plans.ts";
import { defaultMaxBodyBytes } from "../../contract/protocol.ts";
import type { Band, TypeRoutes } from "../../contract/model-routes.ts";
import { NewTask, TaskType, taskOperations } from "../../contract/tasks.ts";
import { counter } from "../../contract/values.ts";
import { minLike, smallUntil } from "../../learning/routing/like-prompts.ts";
import { bandOf, jobOf } from "../../learning/routing/model-router.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import { wrongUsage, wrongWords } from "../answer.ts";
import type { View } from "../view.ts";
import { addGroup, type Cli, type CommandResult } from "../cli.ts";
import type { Given } from "../declared-command.ts";
import { readJson } from "../option-values.ts";
import { define } from "../operation-command.ts";
import { count } from "./cost.ts";

const { payload, priority, capabilities, tags, maxAttempts, dedupeKey } = NewTask.shape;

/** Options of all that submits tasks. */
const sharedFields = {
  priority: priority.unwrap().optional().describe("0 to 9; 9 goes first (default: 5)"),
  capabilities: capabilities.unwrap().optional().describe("only a chat that has them all takes it"),
  tags: tags.unwrap().optional().describe("to find it by"),
};

/** Options of a single task. */
const taskFields = {
  payload: payload.unwrap().optional().describe("what the task is about, as JSON"),
  payloadFile: z.string().optional().describe("the same, from a file (-: from stdin)"),
  ...sharedFields,
  delayMs: Duration.optional().describe("start no sooner than after this time (30s, 15m, 2h)"),
  maxAttempts: maxAttempts.unwrap().optional().describe("1 to 20 (default: 3)"),
};

const keyField = dedupeKey.describe("nothing with the same key is submitted a second time");

/** Type of a task that is submitted by its text alone. */
const usualType = "code";

const SubmitFields = z.object({
  what: z.string().optional(),
  type: TaskType.optional().describe(`of the task that the text describes (default: ${usualType})`),
  ...taskFields,
  dependsOn: z.array(counter).optional().describe("start only after these tasks are done"),
  dedupeKey: keyField,
});

/** One task, or all of a file; and complex jobs. */
export function addSubmit(task: Command, cli: Cli): void {
  define(cli, task, "submit", {
    operation: "tasks.submit",
    of: taskOperations,
    summary: "Submits a task by its text, or by its type alone; or all tasks of a file.",
    fields: SubmitFields,
    example: { what: "add unary minus to the parser" },
    args: ["what"],
    own: [new Option("--graph <file>", "a list of tasks in YAML or JSON, with ref and dependsOn")],
    read: readTasks,
    view: ({ tasks }, _cli, { input, options }) =>
      options["graph"] === undefined
        ? tasks.map((one) => submittedText(one, input.tasks[0])).join("")
        : cli.table(
            tasks.map((one, at) => ({ ...input.tasks[at], ...one })),
            {
              TASK: "task",
              REF: "ref",
              TYPE: ({ type }) => type ?? "-",
              STATE: ({ state, isDuplicate }) => `${state ?? "no longer kept"}${isDuplicate ? " (already there)" : ""}`,
            },
          ),
  });
  addJobs(task, cli);
}

type Tasks = InputOf<"tasks.submit">;

async function readTasks(given: Given, cli: Cli, { graph }: Given): Promise<Result<Tasks>> {
  if (typeof graph === "string") {
    if (Object.keys(given).length > 0) return wrongUsage("with --graph the file says all of the tasks.");
    const { input, maxBodyBytes = defaultMaxBodyBytes } = taskOperations["tasks.submit"];
    // The parser of plans is large, and few commands need it.
    const { readInputFile } = await import("../plan-file.ts");
    const expected = { schema: input.shape.tasks, form: "array of tasks", name: "tasks", maxChars: maxBodyBytes };
    const tasks = readInputFile(cli, graph, "a plan", expected);
    return tasks.ok ? ok({ tasks: tasks.value }) : tasks;
  }
  const read = await readTask(cli, given);
  return read.ok ? ok({ tasks: [read.value] }) : read;
}

function submittedText(
  { task, state, isDuplicate }: OutputOf<"tasks.submit">["tasks"][number],
  given: Tasks["tasks"][number] | undefined,
): string {
  const isText = typeof given?.payload === "string";
  const type = isText ? `Its type is ${given.type}: workers of that type do it, and chats.\n` : "";
  if (!isDuplicate) return `Task ${task} is ${state}.\n${type}`;
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
  const jobs = addGroup(task, "jobs", "a complex job: how complex it is, and its parts as tasks");
  define(cli, jobs, "estimate", {
    operation: "plans.estimate",
    of: planOperations,
    fields: z.object(splitFields),
    example: { file: "job.yaml" },
    args: ["file"],
    read: (given) => readJob(cli, given),
    view: estimateView,
  });
  define(cli, jobs, "submit", {
    operation: "plans.submit",
    of: planOperations,
    fields: JobFields,
    example: { file: "job.yaml", type: "code" },
    args: ["file"],
    read: async ({ priority, capabilities, tags, ...given }) => {
      const read = await readJob(cli, given);
      const options = omitUndefined({ priority, capabilities, tags });
      return read.ok ? ok({ ...read.value, options } as InputOf<"plans.submit">) : read;
    },
    view: (submitted) => [scoreText(submitted), submittedJobText(submitted)],
  });
}

async function readJob(cli: Cli, { file, by, split, ...given }: Given): Promise<Result<InputOf<"plans.estimate">>> {
  const { maxBodyBytes = defaultMaxBodyBytes } = planOperations["plans.submit"];
  const { readInputFile } = await import("../plan-file.ts");
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

/** @param given fields of a task, and its text or type as `what`; its payload may be in a file */
async function readTask(cli: Cli, { what, ...given }: Given): Promise<Result<Tasks["tasks"][number]>> {
  const { type, payloadFile, ...others } = given;
  if (what === undefined) return wrongWords("say what is to be done, or name a type.");
  // A sentence is no type.
  const isType = type === undefined && TaskType.safeParse(what).success;
  const isTwice = !isType && (others["payload"] ?? payloadFile) !== undefined;
  if (isTwice) return wrongWords("the text is the payload: leave --payload and --payload-file out.");
  const task = { ...others, ...(isType ? { type: what } : { type: type ?? usualType, payload: what }) } as NewTask;
  if (typeof payloadFile !== "string") return ok(task);
  if (task.payload !== undefined) return wrongWords("give one payload: --payload or --payload-file.");
  const read = await readJson(cli, payloadFile);
  return read.ok ? ok({ ...task, payload: read.value }) : read;
}

export function addEstimate(task: Command, cli: Cli): void {
  const { what, type, payload: content, payloadFile } = SubmitFields.shape;
  define(cli, task, "estimate", {
    input: z.object({
      what,
      type,
      payload: content,
      payloadFile,
      model: z.string().optional().describe("the model that reads it"),
    }),
    summary: "The tokens, the price and the complexity of a task, by its text or type; submits nothing.",
    example: { what: "add unary minus to the parser" },
    args: ["what"],
    run: (input) => estimate(cli, omitUndefined(input)),
  });
}

/** Estimates the payload alone, and adds what earlier tasks of the type have cost. */
async function estimate(cli: Cli, { model, ...given }: Given): Promise<CommandResult> {
  const found = await readTask(cli, given);
  if (!found.ok) return found;
  const { type, payload: value = null } = found.value;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const priced = await cli.call("tokens.estimate", { text, ...omitUndefined({ model: model as string | undefined }) });
  if (!priced.ok) return priced;
  const asked = await cli.call("prompts.like", { text: jobOf(value).text });
  if (!asked.ok) return asked;
  const past = asked.value;
  const band = bandOf(value, () => past);
  // Without an answer of the coordinator the rest is still of use.
  const counted = await cli.withWorkspace((link) => link.call("tasks.routes", { type }));
  const routes = counted.ok ? counted.value.routes : null;
  const lines = [tokensText(priced.value), priced.value.priceNote, bandText(band, past), pastText(type, routes)];
  return ok({ data: { type, model: model ?? null, estimate: priced.value, band, past, routes }, text: lines });
}

const defaultTier = "so the route of a worker takes its default tier";
const cheapestTier = "so the route of a worker takes the cheapest tier that is proven";

/** How a route takes the task, by what, and how sure that is. */
function bandText(band: Band, past: LikePrompts): string {
  switch (band) {
    case "complex":
      return `It has many files, steps or kinds of work, or a long text, ${defaultTier}.`;
    case "usual":
      return `It states a few files or a kind of work, ${cheapestTier}.`;
    case "unknown":
      return `Nothing says how hard it is, ${defaultTier}: it states no files or kinds of work, and ${likeText(past)}.`;
    case "alike":
      return `It looks like little work, ${cheapestTier}: ${likeText(past)}. In a measurement 1 of 144 such was more.`;
  }
}

/** The worker's machine has its own. */
function likeText({ prompts, like, little }: LikePrompts): string {
  const { calls, edits } = smallUntil;
  if (prompts === 0) return "no earlier prompt of this machine is known";
  const some = `${like} of ${pluralize(prompts, "earlier prompt")} here ${like === 1 ? "is" : "are"} written like it`;
  if (like === 0) return `none of ${pluralize(prompts, "earlier prompt")} here is written like it`;
  if (like < minLike) return `only ${some}, where ${minLike} would say something`;
  return `${some}, and ${little === like ? "all" : `only ${little}`} of these were little work (fewer than ${calls} calls and ${edits} edited files)`;
}

function tokensText(estimated: PricedTokens): string {
  const { tokens, low, high, dollars } = estimated;
  const price = dollars === null ? "" : `, about $${dollars.toFixed(4)}`;
  return `The payload has about ${count(tokens)} tokens (${count(low)} to ${count(high)})${price}.`;
}

function pastText(type: string, routes: TypeRoutes | null): string {
  const { tasks = 0, accepted = 0, costMicros = 0 } = routes?.routed ?? {};
  if (accepted === 0) return `What a task of the type ${type} costs in all is not known: none was routed and accepted.`;
  const dollars = (costMicros / accepted / 1e6).toFixed(4);
  return `Measured: ${pluralize(tasks, "routed task")} of the type ${type} cost $${dollars} for each accepted one.`;
}
