/**
 * A connection that is made again for as long as it is wanted. Both ends of a phone's relay and the
 * live page use it. Pure but for what it is given: time and the opening of a line.
 *
 * At most one line is up, and only that one counts: whatever an earlier or a later one reports is
 * ignored. While none is up and the page is shown, a try begins every few seconds beside those
 * that neither open nor fail, as where a network drops packets; the first to open wins.
 */

/** The first wait for a next try, in ms; it doubles with each try. */
const leastMs = 1_000;
const mostMs = {
  /** While the other end is not reached: it is, within five seconds of the network's return. */
  broken: 3_000,
  /** While the other end closes each line soon after its opening: it does not want this one. */
  refused: 60_000,
};
/** A line that was up for so long was wanted, in ms. */
const wantedMs = 10_000;
/** Tries at once: the oldest is given up for a newer one. */
const maxTries = 4;
/** Without a sign of the other end for so long, it is asked for one, in ms. */
const pingMs = 15_000;
/** An end that does not answer for so long is not there, in ms. */
export const silentMs = 4_000;

/** Code of a WebSocket that has broken, or that was never open. */
export const brokenCode = 1006;

type Cancel = () => void;

/** One try of a connection, and what becomes of it. */
export interface Line {
  /** Asks the other end for a sign. */
  ping(): void;
  close(): void;
}

/** Reported for a line at any time after its opening has begun, in any order, or not at all. */
export interface LineEvents {
  readonly onUp: () => void;
  readonly onHeard: () => void;
  /** @param code of a WebSocket that has closed */
  readonly onDown: (code: number) => void;
}

export interface ConnectionOptions<Present extends Line> {
  /** Begins a try. Its events come after this call. */
  readonly open: (events: LineEvents) => Present;
  readonly setTimer: (work: () => void, ms: number) => Cancel;
  /** A page that is not shown begins no try. */
  readonly isHidden?: () => boolean;
  readonly onUp?: () => void;
  readonly onDown?: () => void;
  /** A line has closed, or was refused. @param wasUp whether it was the one that counted */
  readonly onClosed?: (code: number, wasUp: boolean) => void;
}

export class Connection<Present extends Line> {
  readonly #options: ConnectionOptions<Present>;
  /** In the order of their begin. */
  readonly #tries = new Set<Present>();
  #up: Present | null = null;
  #failures = 0;
  #isEnded = false;
  #cancelTry: Cancel = () => undefined;
  #cancelPing: Cancel = () => undefined;
  #cancelWanted: Cancel = () => undefined;

  constructor(options: ConnectionOptions<Present>) {
    this.#options = options;
  }

  /** The line that counts; null: there is none. */
  get up(): Present | null {
    return this.#up;
  }

  /** Begins a try now, and the next ones in time. */
  begin(): void {
    if (this.#isEnded || this.#up !== null) return;
    this.#tryIn(this.#waitMs(mostMs.broken));
    this.#failures += 1;
    if (this.#options.isHidden?.() === true) return;
    const [oldest] = this.#tries;
    if (oldest !== undefined && this.#tries.size >= maxTries) this.#giveUp(oldest);
    const line: Present = this.#options.open({
      onUp: () => this.#onUp(line),
      onHeard: () => this.#up === line && this.#pingIn(pingMs),
      onDown: (code) => this.#onDown(line, code),
    });
    this.#tries.add(line);
  }

  /** The page is shown again, or the network has changed: a line that is up has to prove it. */
  wake(): void {
    if (this.#up !== null) return this.#pingIn(0);
    this.#failures = 0;
    this.begin();
  }

  /** Gives up all lines, and begins again after a time. */
  rest(ms: number): void {
    this.#drop();
    this.#tryIn(ms);
  }

  end(): void {
    this.#isEnded = true;
    this.#drop();
    this.#cancelTry();
  }

  #waitMs(most: number): number {
    return Math.min(leastMs * 2 ** this.#failures, most);
  }

  #tryIn(ms: number): void {
    this.#cancelTry();
    if (!this.#isEnded) this.#cancelTry = this.#options.setTimer(() => this.begin(), ms);
  }

  #onUp(line: Present): void {
    if (!this.#tries.delete(line)) return;
    for (const other of this.#tries) this.#giveUp(other);
    this.#cancelTry();
    this.#up = line;
    this.#cancelWanted = this.#options.setTimer(() => void (this.#failures = 0), wantedMs);
    this.#pingIn(pingMs);
    this.#options.onUp?.();
  }

  #onDown(line: Present, code: number): void {
    const wasUp = this.#up === line;
    if (!wasUp && !this.#tries.delete(line)) return;
    if (wasUp) {
      this.#forgetUp();
      this.#tryIn(this.#waitMs(code === brokenCode ? mostMs.broken : mostMs.refused));
    }
    this.#options.onClosed?.(code, wasUp);
  }

  #forgetUp(): void {
    if (this.#up === null) return;
    this.#up = null;
    this.#cancelPing();
    this.#cancelWanted();
    this.#options.onDown?.();
  }

  /** Gives up a line that does not answer: one that has broken closes late, or never. */
  #pingIn(ms: number): void {
    this.#cancelPing();
    this.#cancelPing = this.#options.setTimer(() => {
      const line = this.#up;
      if (line === null) return;
      this.#cancelPing = this.#options.setTimer(() => {
        this.#onDown(line, brokenCode);
        line.close();
      }, silentMs);
      line.ping();
    }, ms);
  }

  #giveUp(line: Present): void {
    this.#tries.delete(line);
    line.close();
  }

  #drop(): void {
    const line = this.#up;
    this.#forgetUp();
    line?.close();
    for (const other of this.#tries) this.#giveUp(other);
  }
}
