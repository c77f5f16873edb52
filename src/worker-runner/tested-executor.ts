import * as z from "zod";
import { redact } from "../redaction/redact.ts";
import { commandExecutor } from "./command-executor.ts";
import type { Executor, RunOutcome, TaskRun } from "./executor.ts";
import { isWholeJob } from "./job-branch.ts";

/** Stored in a checkpoint. */
export const FailedTests = z.looseObject({ failedTests: z.string() });

const maxOutputChars = 2_000;

/** [WK35] Runs the settings' command, never the job's. The next attempt gets the output's end. */
export function testedExecutor(
  executor: Executor,
  { command, env }: { readonly command: readonly [string, ...string[]]; readonly env: NodeJS.ProcessEnv },
): Executor {
  const tests = commandExecutor({ command, env, finalCodes: [] });
  return {
    run: async (run) => {
      const outcome = await executor.run(run);
      if (outcome.kind !== "done" || !isWholeJob(run.task.payload)) return outcome;
      return withTestOutcome(outcome, await runTests(tests, run), run, command);
    },
  };
}

function runTests(tests: Executor, run: TaskRun): Promise<RunOutcome> {
  run.onOutput("the tests of the job:\n");
  return tests.run({ ...run, onProgress: () => undefined, onCheckpoint: () => undefined });
}

function withTestOutcome(
  doneOutcome: Extract<RunOutcome, { kind: "done" }>,
  outcome: RunOutcome,
  run: TaskRun,
  command: readonly string[],
): RunOutcome {
  if (outcome.kind === "done") return { ...doneOutcome, tests: { command: command.join(" ") } };
  if (outcome.kind !== "failed") return outcome;
  const reason = `the tests of the job fail: ${outcome.reason}`;
  run.onCheckpoint({ failedTests: redact(reason).text.slice(0, maxOutputChars) });
  return { ...outcome, reason, isRetryable: true };
}
