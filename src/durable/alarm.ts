/** Rows of each kind that one sweep handles. */
export const sweepRows = 200;

/** An alarm later than this has been lost. */
const maxLateMs = 60_000;
const retryPauseMs = 30_000;

export class Alarm {
  readonly #storage: Pick<DurableObjectStorage, "getAlarm" | "setAlarm">;
  #at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  async load(): Promise<void> {
    this.#at = await this.#storage.getAlarm();
  }

  get at(): number | null {
    return this.#at;
  }

  ring(): void {
    this.#at = null;
  }

  isLost(now: number): boolean {
    return this.#at !== null && this.#at < now - maxLateMs;
  }

  /** Without an await, so the alarm is stored with the rows. */
  arm(at: number, now: number): void {
    if (this.#at !== null && this.#at <= at && !this.isLost(now)) return;
    this.#at = at;
    void this.#storage.setAlarm(at);
  }
  /** After an alarm whose work has failed. */
  retry(now: number): void {
    this.arm(now + retryPauseMs, now);
  }
}
