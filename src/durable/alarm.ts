/** Rows of each kind that one sweep handles. */
export const sweepRows = 200;

/** One that is later than that has been lost. */
const maxLateMs = 60_000;

/** The one alarm of an object. That it remembers when it rings only saves reading it again. */
export class Alarm {
  readonly #storage: Pick<DurableObjectStorage, "getAlarm" | "setAlarm">;
  #at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  async load(): Promise<void> {
    this.#at = await this.#storage.getAlarm();
  }

  /** Epoch ms; null: it is not set. */
  get at(): number | null {
    return this.#at;
  }

  /** It rings now: it is used up. */
  ring(): void {
    this.#at = null;
  }

  /** [DO12] One that should have rung long ago does not ring any more. */
  isLost(now: number): boolean {
    return this.#at !== null && this.#at < now - maxLateMs;
  }

  /** [DO11] Only ever earlier, unless it was lost. Without an await, so it is stored with what was written before. */
  arm(at: number, now: number): void {
    if (this.#at !== null && this.#at <= at && !this.isLost(now)) return;
    this.#at = at;
    void this.#storage.setAlarm(at);
  }
}
