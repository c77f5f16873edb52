import type { CallInput, CallName, OutputOf } from "../contract/operations.ts";
import { fullJitter } from "../shared/backoff.ts";
import { repeat } from "../shared/repeat.ts";
import { err, type Result } from "../shared/result.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import { pause, untilAborted, type Platform } from "./edge/platform.ts";

interface RepeatDeps {
  readonly link: Pick<CoordinatorClient, "call">;
  readonly platform: Pick<Platform, "setTimer" | "random">;
}

export interface RepeatOptions {
  readonly timeoutMs: number;
  readonly maxPauseMs: number;
  /** Aborted: the answer is not awaited any more. */
  readonly signal: AbortSignal;
  /** Aborted: the pause ends at once. */
  readonly wake?: () => AbortSignal;
  readonly isRetryable?: (error: CallError) => boolean;
}

export const gaveUpCode = "gave_up" satisfies CallError["code"];
const firstPauseMs = 500;

/** Repeats a call that takes effect once, until it is answered or given up. */
export async function callUntilAnswered<Name extends CallName>(
  { link, platform }: RepeatDeps,
  name: Name,
  input: CallInput<Name>,
  { timeoutMs, maxPauseMs, signal, wake, isRetryable = isTransient }: RepeatOptions,
): Promise<Result<OutputOf<Name>, CallError>> {
  const gaveUp: Result<never, CallError> = err({
    code: gaveUpCode,
    message: "the report did not reach the coordinator: no answer",
  });
  return repeat<Result<OutputOf<Name>, CallError>>(
    async () => (signal.aborted ? null : await untilAborted(link.call(name, input, timeoutMs), signal)) ?? gaveUp,
    (answer, attempt) => {
      const isFinal = answer.ok || answer === gaveUp || !isRetryable(answer.error);
      return isFinal ? null : pauseBeforeRetry(answer.error, attempt, maxPauseMs, platform.random);
    },
    (ms) => pause(platform, ms, wake ? AbortSignal.any([signal, wake()]) : signal),
  );
}

/** @param attempt how many have failed before, which lengthens the pause @returns ms */
export function pauseBeforeRetry(
  { retryAfterMs = 0 }: CallError,
  attempt: number,
  maxPauseMs: number,
  random: () => number,
): number {
  return retryAfterMs + fullJitter({ baseMs: firstPauseMs, capMs: maxPauseMs }, attempt, random);
}
