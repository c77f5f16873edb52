import type { OutputOf } from "../../contract/operations.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { err, type Result } from "../../shared/result.ts";
import type { Given } from "../edge/calls.ts";
import { sleep, type Outside } from "../edge/outside.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";

type EndName = "tasks.ack" | "tasks.nack" | "tasks.release";

const askWithinMs = 30_000;
const again = { baseMs: 500, capMs: 10_000 };

export interface ReportSurroundings {
  readonly link: ChatLink;
  readonly outside: Pick<Outside, "clock" | "setTimer" | "random">;
  /** Aborted: answers are not waited for any longer. */
  readonly giveUp: AbortSignal;
}

/** The code of a report that nobody has answered. */
export const gaveUp = "gave_up";

/** [WK7] Tells how an attempt ended, as often as it takes: after a reconnect, too. Whether that still counts the coordinator says. */
export async function report<Name extends EndName>(
  { link, outside, giveUp }: ReportSurroundings,
  name: Name,
  given: Given<Name>,
): Promise<Result<OutputOf<Name>, Trouble>> {
  const over = aborted(giveUp);
  for (let attempt = 0; ; attempt++) {
    const answer = await Promise.race([link.call(name, given, askWithinMs), over]);
    if (answer.ok || !isPassing(answer.error)) return answer;
    if (giveUp.aborted) return over;
    await Promise.race([sleep(outside, fullJitter(again, attempt, outside.random)), over]);
  }
}

function aborted(signal: AbortSignal): Promise<Result<never, Trouble>> {
  return new Promise((resolve) => {
    const end = (): void =>
      resolve(err({ code: gaveUp, message: "the report did not reach the coordinator: no answer" }));
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
  });
}
