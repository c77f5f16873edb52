import { dirname, resolve } from "node:path";
import { WorkerConfig } from "../../local-mcp/automation/worker-config.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Refused } from "../answer.ts";
import type { Cli } from "../cli.ts";
import { readChecked } from "../checked-file.ts";

/** What a worker is to do, and where paths in it begin. */
export interface WorkerPlan {
  readonly config: WorkerConfig;
  readonly folder: string;
}

/** [WK18] YAML or JSON; what is wrong in it is told, with its line. */
export function readWorkerFile(cli: Cli, file: string): Result<WorkerPlan, Refused["error"]> {
  const read = readChecked(cli, file, "the settings of a worker", WorkerConfig);
  return read.ok ? ok({ config: read.value, folder: dirname(resolve(cli.io.cwd, file)) }) : read;
}
