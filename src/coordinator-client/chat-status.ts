import type { CoordinatorClient } from "./coordinator-client.ts";
import type { Health } from "../contract/chats.ts";
import type { CheckedInputOf } from "../contract/operations.ts";
import type { Platform } from "./edge/platform.ts";

type ChatStatus = Required<Pick<CheckedInputOf<"chats.heartbeat">, "status" | "taskCount" | "progress">>;

/** Skipped while another report is running. @param isForced sends even without a change */
export type ReportStatus = (state: ChatStatus, isForced: boolean) => Promise<void>;

/** A coordinator on another machine counts silence as absence. */
const reportEveryMs = 15_000;
const timeoutMs = 5_000;

/**
 * Sends a heartbeat on a change, and at intervals.
 *
 * @param repeatEveryMs after this time a state that has not changed is sent again
 */
export function statusReporter(
  link: CoordinatorClient,
  clock: Platform["clock"],
  health: () => Health,
  repeatEveryMs = reportEveryMs,
): ReportStatus {
  let last = { text: "", at: Number.NEGATIVE_INFINITY };
  let isReporting = false;
  return async (state, isForced) => {
    const text = JSON.stringify(state);
    const isDue = clock.monotonic() - last.at >= repeatEveryMs;
    if (isReporting || !(isForced || isDue || text !== last.text)) return;
    isReporting = true;
    const answer = await link.call("chats.heartbeat", { ...state, health: health() }, timeoutMs);
    isReporting = false;
    if (answer.ok) last = { text, at: clock.monotonic() };
  };
}
