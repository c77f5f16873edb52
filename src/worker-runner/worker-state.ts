import type { CallError } from "../contract/errors.ts";

export interface WorkerState {
  /** paused: too many failures; draining: for good. */
  readonly phase: "working" | "paused" | "draining";
  readonly taken: number;
  /** Consecutive failures of any tasks: the worker itself may be at fault. */
  readonly failures: number;
  readonly isQueueEmpty: boolean;
  readonly claimError: CallError | null;
  readonly fatalError: CallError | null;
}

export function endOfWork(
  { maxTasks, isOnce }: { readonly maxTasks: number | null; readonly isOnce: boolean },
  { phase, taken, isQueueEmpty }: WorkerState,
  isWaiting: boolean,
): "asked" | "queue_empty" | null {
  if (phase === "draining" || (maxTasks !== null && taken >= maxTasks)) return "asked";
  return isOnce && (isQueueEmpty || (isWaiting && phase === "working")) ? "queue_empty" : null;
}
