import * as z from "zod";
import { Duration } from "../../../contract/machine/forms.ts";
import type { InputOf } from "../../../contract/operations.ts";
import { NewTask } from "../../../contract/tasks.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import type { Given } from "../../operation-command.ts";
import { readJsonFile, readJsonInput } from "../../task-input.ts";

const { payload, priority, capabilities, tags, maxAttempts, dedupeKey } = NewTask.shape;

/** Options of all that submits tasks. */
export const sharedFields = {
  priority: priority.unwrap().optional().describe("0 to 9; 9 goes first (default: 5)"),
  capabilities: capabilities.unwrap().optional().describe("only a chat that has them all takes it"),
  tags: tags.unwrap().optional().describe("to find it by"),
};

/** Options of a single task, also of one that a schedule submits. */
export const taskFields = {
  payload: payload.unwrap().optional().describe("what the task is about, as JSON"),
  payloadFile: z.string().optional().describe("the same, from a file (-: from stdin)"),
  ...sharedFields,
  delayMs: Duration.optional().describe("start no sooner than after this time (30s, 15m, 2h)"),
  maxAttempts: maxAttempts.unwrap().optional().describe("1 to 20 (default: 3)"),
};

export const keyField = dedupeKey.describe("nothing with the same key is submitted a second time");

/** @param given fields of a task, whose payload may be in a file */
export async function readTask(
  cli: Cli,
  { payloadFile, ...given }: Given,
): Promise<CliResult<InputOf<"schedules.create">["task"]>> {
  const task = given as InputOf<"schedules.create">["task"];
  if (typeof payloadFile !== "string") return ok(task);
  if (task.payload !== undefined) return wrongUsage("give one payload: --payload or --payload-file.");
  const read = payloadFile === "-" ? await readJsonInput(cli) : readJsonFile(cli, payloadFile);
  return read.ok ? ok({ ...task, payload: read.value }) : read;
}
