import { dirname, resolve } from "node:path";
import { WorkerConfig } from "../../local-mcp/automation/worker-config.ts";
import { unfit } from "../../coordination/json-shape.ts";
import { problemsOf } from "../../coordination/problems.ts";
import { ok, type Result } from "../../shared/result.ts";
import { wrongUsage, type Refused } from "../answer.ts";
import type { Cli } from "../cli.ts";
import { readPlan } from "../plan-file.ts";
import { textOfFile } from "../task-input.ts";

/** What a worker is to do, and where paths in it begin. */
export interface WorkerPlan {
  readonly config: WorkerConfig;
  readonly folder: string;
}

const mostBytes = 1_048_576;

/** [WK18] YAML or JSON; what is wrong in it is told, with its line. */
export function readWorkerFile(cli: Cli, file: string): Result<WorkerPlan, Refused["error"]> {
  const text = textOfFile(cli, file, "the settings of a worker", mostBytes);
  if (!text.ok) return text;
  const read = readPlan(text.value, mostBytes);
  if (!read.ok) return wrongUsage(`${file}, line ${read.error.line}: ${read.error.message}.`);
  const misshapen = unfit(read.value.value);
  if (misshapen) return wrongUsage(`${file}: ${misshapen.message}.`);
  const parsed = WorkerConfig.safeParse(read.value.value);
  if (parsed.success) return ok({ config: parsed.data, folder: dirname(resolve(cli.io.cwd, file)) });
  const told = parsed.error.issues.map((issue) => {
    const place = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
    return `line ${read.value.lineOf(place)}: ${problemsOf({ issues: [issue] })}`;
  });
  return wrongUsage(`${file}: ${told.join("; ")}.`);
}
