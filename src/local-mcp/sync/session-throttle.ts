/** [SY64] A session whose own row alone changes is sent at most so often, in ms. */
const minIntervalMs = 5_000;

export class SessionThrottle {
  readonly #monotonic: () => number;
  readonly #sentAt = new Map<string, number>();
  #waitingUntil: number | null = null;
  #isDisabled = false;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  readonly isSessionDue = (session: string): boolean => {
    const dueAt = (this.#sentAt.get(session) ?? Number.NEGATIVE_INFINITY) + minIntervalMs;
    return this.#isDisabled || this.#monotonic() >= dueAt;
  };

  recordSent(sessions: readonly string[]): void {
    const now = this.#monotonic();
    for (const [session, at] of this.#sentAt) if (now - at >= minIntervalMs) this.#sentAt.delete(session);
    for (const session of sessions) this.#sentAt.set(session, now);
  }

  /** @param isWaiting some session changed a moment after it was sent */
  setWaiting(isWaiting: boolean): void {
    this.#waitingUntil = isWaiting ? Math.min(...this.#sentAt.values()) + minIntervalMs : null;
  }

  /** Whether the time has come that a session waits for. */
  isDue(): boolean {
    return this.#waitingUntil !== null && this.#monotonic() >= this.#waitingUntil;
  }

  /** Nobody waits any more: this process ends. */
  disable(): void {
    this.#isDisabled = true;
  }
}
