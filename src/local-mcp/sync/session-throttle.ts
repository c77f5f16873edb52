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

  setWaiting(isWaiting: boolean): void {
    this.#waitingUntil = isWaiting ? Math.min(...this.#sentAt.values()) + minIntervalMs : null;
  }

  isDue(): boolean {
    return this.#waitingUntil !== null && this.#monotonic() >= this.#waitingUntil;
  }

  disable(): void {
    this.#isDisabled = true;
  }
}
