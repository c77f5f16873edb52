import * as z from "zod";
import { TaskType } from "../../../contract/tasks.ts";
import { Label } from "../../../contract/values.ts";
import { createEvolve, EvolveSettings } from "../../../evolution/evolve-executor.ts";
import { ok } from "../../../shared/result.ts";
import { AnalyzeSettings, createAnalysis } from "../../../tool-runner/analyze-executor.ts";
import { createTransform, TransformSettings } from "../../../transform/transform-executor.ts";
import { TypeSettings, type MakeExecutor } from "../../../worker-runner/tasks/task-type.ts";
import type { CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { readInputFile } from "../../plan-file.ts";

const ways = ["command", "claude", "analyze", "transform", "evolve"] as const;
const worktreeFields = ["transform", "evolve", "repository", "base", "mergeInputs", "onConflict", "remote"] as const;

const TypeConfig = TypeSettings.extend({
  analyze: AnalyzeSettings.optional(),
  transform: TransformSettings.optional(),
  evolve: EvolveSettings.optional(),
})
  .refine(
    (type) => ways.filter((way) => type[way] !== undefined).length === 1,
    "say how it is done: by a command, or by claude, or by analyze, or by transform, or by evolve",
  )
  .refine(({ analyze, folder }) => analyze === undefined || folder !== undefined, {
    message: "analyze works where the tools are installed: name the folder",
    path: ["analyze"],
  })
  .refine((type) => type.folder === undefined || worktreeFields.every((field) => type[field] === undefined), {
    message:
      "a folder is worked in as it is: it takes neither repository nor base, mergeInputs, onConflict, remote, transform or evolve",
    path: ["folder"],
  })
  .refine(({ finalCodes, command }) => finalCodes === undefined || command !== undefined, {
    message: "finalCodes are only for a command",
    path: ["finalCodes"],
  });
type TypeConfig = z.infer<typeof TypeConfig>;

/** Settings of a worker: what it does with the tasks of each type. */
export const WorkerConfig = z.strictObject({
  concurrency: z.int().min(1).max(100).default(1),
  capabilities: z.array(Label).max(50).default([]),
  drainMs: z.int().min(0).max(86_400_000).default(60_000),
  types: z
    .record(z.string(), TypeConfig)
    .refine((types) => Object.keys(types).every((type) => TaskType.safeParse(type).success), {
      message: "a type of tasks has 1 to 64 letters, digits and . : _ -",
    })
    .refine((types) => Object.keys(types).length > 0, "name a type of tasks")
    .refine((types) => Object.keys(types).length <= 50, "at most 50 types of tasks"),
});
export type WorkerConfig = z.infer<typeof WorkerConfig>;

const maxChars = 1_048_576;

export function readWorkerConfig(cli: Cli, file: string): CliResult<WorkerConfig> {
  const form = "settings of a worker";
  const expected = { schema: WorkerConfig, form, name: "the settings", maxChars };
  const read = readInputFile(cli, file, `the ${form}`, expected);
  return read.ok ? ok(WorkerConfig.parse(read.value)) : read;
}

export const makeExecutor: MakeExecutor<TypeConfig> = async (deps, type, root) => {
  if (type.transform) return createTransform(deps, type.transform, root);
  return type.analyze ? ok(createAnalysis(deps, type.analyze)) : createEvolve(deps, type, root);
};
