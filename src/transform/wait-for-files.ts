import * as z from "zod";
import type { RunOutcome, TaskRun } from "../worker-runner/executor.ts";

/** Stored in a checkpoint. Sums of delays, since machines' clocks differ. */
const Waited = z.object({ reserved: z.object({ times: z.int(), waitedMs: z.int() }) });

const firstDelayMs = 30_000;
const longestDelayMs = 600_000;
const patienceMs = 86_400_000;

/** [TX16] Gives a task back whose files another chat has reserved: at no cost, but not for ever. */
export function waitForFiles({ task, onCheckpoint }: Pick<TaskRun, "task" | "onCheckpoint">, why: string): RunOutcome {
  const { times, waitedMs } = Waited.safeParse(task.checkpoint).data?.reserved ?? { times: 0, waitedMs: 0 };
  if (waitedMs >= patienceMs) return { kind: "failed", reason: `it waited for a day: ${why}`, isRetryable: false };
  const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** times);
  onCheckpoint({ reserved: { times: times + 1, waitedMs: waitedMs + delayMs } });
  return { kind: "waiting", reason: why, delayMs };
}
