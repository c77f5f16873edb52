import type { CoordinatorClient } from "./coordinator-client.ts";
import type { Health } from "../contract/chats.ts";
import type { CheckedInputOf } from "../contract/operations.ts";
import type { Platform } from "./edge/platform.ts";

export type ChatStatus = Required<Pick<CheckedInputOf<"chats.heartbeat">, "status" | "taskCount" | "progress">>;

/** A coordinator on another machine counts silence as absence. */
const reportEveryMs = 15_000;
const timeoutMs = 5_000;

/** [WK4] Sends a heartbeat on a change, and at intervals. */
export class ChatStatusReporter {
  readonly #link: CoordinatorClient;
  readonly #clock: Platform["clock"];
  readonly #health: () => Health;
  readonly #repeatEveryMs: number;
  #lastReported = "";
  #reportedAt = Number.NEGATIVE_INFINITY;
  #isReporting = false;

  /** @param repeatEveryMs after this time a state that has not changed is sent again */
  constructor(
    link: CoordinatorClient,
    clock: Platform["clock"],
    health: () => Health,
    repeatEveryMs: number = reportEveryMs,
  ) {
    this.#repeatEveryMs = repeatEveryMs;
    this.#link = link;
    this.#clock = clock;
    this.#health = health;
  }

  /** Skipped while another report is running. @param isForced sends even without a change */
  async report(state: ChatStatus, isForced: boolean): Promise<void> {
    const text = JSON.stringify(state);
    const isDue = this.#clock.monotonic() - this.#reportedAt >= this.#repeatEveryMs;
    if (this.#isReporting || !(isForced || isDue || text !== this.#lastReported)) return;
    this.#isReporting = true;
    const answer = await this.#link.call("chats.heartbeat", { ...state, health: this.#health() }, timeoutMs);
    this.#isReporting = false;
    if (!answer.ok) return;
    this.#lastReported = text;
    this.#reportedAt = this.#clock.monotonic();
  }
}
