import type { CallInput } from "../coordinator-client/edge/calls.ts";
import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import { fullJitter } from "../shared/backoff.ts";
import { err, type Result } from "../shared/result.ts";
import { sleep, type Platform } from "../coordinator-client/edge/platform.ts";

type ReportOperation = "tasks.ack" | "tasks.nack" | "tasks.release";

const askTimeoutMs = 30_000;
const retryBackoff = { baseMs: 500, capMs: 10_000 };

export interface ReportDeps {
  readonly link: CoordinatorClient;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly giveUp: AbortSignal;
}

export const gaveUpCode = "gave_up";

/** [WK7] Repeats the report until answered; the coordinator decides whether it still counts. */
export async function reportEnd<Name extends ReportOperation>(
  { link, platform, giveUp }: ReportDeps,
  name: Name,
  input: CallInput<Name>,
): Promise<Result<OutputOf<Name>, CallError>> {
  const aborted = whenAborted(giveUp);
  for (let attempt = 0; ; attempt++) {
    const answer = await Promise.race([link.call(name, input, askTimeoutMs), aborted]);
    if (answer.ok || !isTransient(answer.error)) return answer;
    if (giveUp.aborted) return aborted;
    await Promise.race([sleep(platform, fullJitter(retryBackoff, attempt, platform.random)), aborted]);
  }
}

function whenAborted(signal: AbortSignal): Promise<Result<never, CallError>> {
  return new Promise((resolve) => {
    const end = (): void =>
      resolve(err({ code: gaveUpCode, message: "the report did not reach the coordinator: no answer" }));
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
  });
}
