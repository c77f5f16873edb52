import * as z from "zod";
import { redact } from "../redaction/redact.ts";
import { commandExecutor } from "./command-executor.ts";
import type { Executor, Outcome, Run } from "./executor.ts";
import { isWholeJob } from "./job-branch.ts";

/** What a checkpoint says of tests that failed. Stored. */
export const FailedTests = z.looseObject({ failedTests: z.string() });

const mostSaidChars = 2_000;

/**
 * [WK35] Once a job is done, its tests run in the same folder before that counts: by the command of the worker's settings, never by one of the job. If they
 * fail the attempt has failed, and the next one is given their last words.
 */
export function testedExecutor(
  executor: Executor,
  { command, env }: { readonly command: readonly [string, ...string[]]; readonly env: NodeJS.ProcessEnv },
): Executor {
  const tests = commandExecutor({ command, env, finalCodes: [] });
  return {
    run: async (run) => {
      const outcome = await executor.run(run);
      if (outcome.kind !== "done" || !isWholeJob(run.task.payload)) return outcome;
      return tested(outcome, await runTests(tests, run), run, command);
    },
  };
}

/** What the tests print is read by people only: no progress, no checkpoint. */
function runTests(tests: Executor, run: Run): Promise<Outcome> {
  run.onOutput("the tests of the job:\n");
  return tests.run({ ...run, onProgress: () => undefined, onCheckpoint: () => undefined });
}

function tested(
  done: Extract<Outcome, { kind: "done" }>,
  outcome: Outcome,
  run: Run,
  command: readonly string[],
): Outcome {
  if (outcome.kind === "done") return { ...done, tests: { command: command.join(" ") } };
  if (outcome.kind !== "failed") return outcome;
  const reason = `the tests of the job fail: ${outcome.reason}`;
  run.onCheckpoint({ failedTests: redact(reason).text.slice(0, mostSaidChars) });
  return { ...outcome, reason, isRetryable: true };
}
