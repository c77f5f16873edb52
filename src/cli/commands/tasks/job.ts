import { Option, type Command } from "commander";
import type { InputOf, OutputOf } from "../../../contract/operations.ts";
import { defaultMaxBodyBytes } from "../../../contract/protocol.ts";
import { planOperations, Job } from "../../../contract/plans.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { digitOption, textListOption } from "../../task-input.ts";
import { withTask } from "./task.ts";

type EstimateOutput = OutputOf<"plans.estimate">;
type SubmitOutput = OutputOf<"plans.submit">;

interface SplitOptions extends CommonOptions {
  readonly by?: "file" | "module" | "phase";
  readonly maxParts?: number;
  readonly split?: boolean;
}

interface SubmitOptions extends SplitOptions {
  readonly type: string;
  readonly join?: "collect" | "merge" | "count";
  readonly joinType?: string;
  readonly partial?: boolean;
  readonly priority?: number;
  readonly capability?: readonly string[];
  readonly tag?: readonly string[];
  readonly key?: string;
}

const { maxBodyBytes = defaultMaxBodyBytes } = planOperations["plans.submit"];

export function addJobs(task: Command, cli: Cli): void {
  const jobs = task.command("jobs").description("a complex job: how complex it is, and its parts as tasks");
  const estimate = withSplit(
    jobs.command("estimate <file>").description("the complexity of a job, and what it would be split into"),
  );
  cli.define(estimate, (options: SplitOptions, file: string) => estimateJob(cli, options, file));
  const submit = withSplit(
    jobs.command("submit <file>").description("as one task, or as parts and a task that joins them"),
  )
    .requiredOption("--type <type>", "of the tasks")
    .addOption(new Option("--join <rule>", "the coordinator joins the results").choices(["collect", "merge", "count"]))
    .addOption(new Option("--join-type <type>", "a chat joins them, by a task of this type").conflicts("join"))
    .option("--partial", "join the remaining results when a part has died")
    .option("--priority <n>", "0 to 9; 9 goes first (default: 5)", digitOption(0, 9))
    .option("--capability <names...>", "only a chat that has them all takes a part", textListOption)
    .option("--tag <tags...>", "to find the tasks by", textListOption)
    .option("--key <key>", "a job with the same key is submitted only once");
  cli.define(submit, (options: SubmitOptions, file: string) => submitJob(cli, options, file));
  const show = jobs.command("show <job>").description("the progress of a job, its parts, and the branch with its work");
  cli.define(show, (_options: CommonOptions, text: string) =>
    withTask(cli, text, async (link, task) => {
      const { showJob } = await import("./job-show.ts");
      return showJob(cli, link, task);
    }),
  );
}

function withSplit(command: Command): Command {
  return command
    .addOption(new Option("--by <strategy>", "what a part is made of").choices(["file", "module", "phase"]))
    .option("--max-parts <n>", "2 to 8 (default: 8)", digitOption(2, 8))
    .option("--split", "whatever the complexity");
}

type EstimateOptions = Omit<InputOf<"plans.estimate">, "job">;

function toEstimateOptions({ by, maxParts, split }: SplitOptions): EstimateOptions {
  return omitUndefined({ strategy: by === undefined ? undefined : { by }, maxParts, isForced: split });
}

async function estimateJob(cli: Cli, options: SplitOptions, file: string): Promise<CommandResult> {
  const job = await readJob(cli, file);
  if (!job.ok) return job;
  return cli.withWorkspace(async (link) => {
    const done = await link.call("plans.estimate", { job: job.value, ...toEstimateOptions(options) });
    return done.ok ? ok({ data: done.value, text: estimateText(cli, done.value) }) : done;
  });
}

async function submitJob(cli: Cli, options: SubmitOptions, file: string): Promise<CommandResult> {
  const job = await readJob(cli, file);
  if (!job.ok) return job;
  const { type, join, joinType, partial, key, priority, capability, tag } = options;
  const planOptions = omitUndefined({
    joinRule: join,
    joinType,
    onPartDeath: partial ? "ignore" : undefined,
    dedupeKey: key,
    options: omitUndefined({ priority, capabilities: capability, tags: tag }),
  });
  return cli.withWorkspace(async (link) => {
    const input = { job: job.value, type, ...toEstimateOptions(options), ...planOptions } as InputOf<"plans.submit">;
    const done = await link.call("plans.submit", input);
    return done.ok ? ok({ data: done.value, text: submittedText(done.value) }) : done;
  });
}

async function readJob(cli: Cli, file: string) {
  // The parser is large, and few commands need it.
  const { readInputFile } = await import("../../plan-file.ts");
  return readInputFile(cli, file, "a job", { schema: Job, form: "job", name: "the job", maxChars: maxBodyBytes });
}

function scoreText({ complexity: { score, threshold, reasons } }: Pick<EstimateOutput, "complexity">): string {
  const why = reasons.map(({ signal, value, points }) => `${signal} ${value} (+${points.toFixed(1)})`).join(", ");
  return `Complexity ${score} of 10 (split above ${threshold})${why === "" ? "" : `: ${why}`}.\n`;
}

function estimateText(cli: Cli, estimated: EstimateOutput): string {
  if (estimated.parts === null) return `${scoreText(estimated)}One task: ${estimated.reason ?? "it is not split"}.\n`;
  const parts = cli.table(estimated.parts, {
    PART: ({ name }) => name,
    FILES: ({ files }) => String(files.length),
    AFTER: ({ dependsOn }) => dependsOn.join(" ") || "-",
    WHAT: ({ text }) => text,
  });
  return `${scoreText(estimated)}${parts}`;
}

function submittedText(submitted: SubmitOutput): string {
  const { task, state, isDuplicate, parts } = submitted;
  if (isDuplicate)
    return `Task ${task} has this key already: ${state ?? "it is no longer kept"}. Nothing was submitted.\n`;
  const partList = parts.map(({ name, task: part }) => `${name} ${part}`).join(", ");
  const what = parts.length === 0 ? "one task" : `it joins ${parts.length} parts (${partList})`;
  return `${scoreText(submitted)}Task ${task} is ${state ?? "no longer kept"}: ${what}.\n`;
}
