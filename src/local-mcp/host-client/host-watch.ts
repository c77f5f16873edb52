import type { Log } from "../../platform/log-file.ts";
import { isAlive, systemProcesses, type ProcessIdentity } from "../../platform/processes.ts";

/** A host that misses two pings hangs. */
const pingEveryMs = 2_500;
const maxMissedPings = 2;
/** Announced work that takes longer is a hang. */
const maxWorkMs = 600_000;

export interface HostWatchOptions {
  /** Whether the client waits for an answer of this host. */
  readonly isWaiting: (host: ProcessIdentity) => boolean;
  readonly ping: () => void;
  readonly endHost: (host: ProcessIdentity) => void;
  readonly now: () => number;
  /** @returns cancels it */
  readonly schedule: (work: () => void, ms: number) => () => void;
  readonly log: Log;
}

/** While the client waits for an answer, a host that hangs is ended. */
export class HostWatch {
  readonly #options: HostWatchOptions;
  #host: ProcessIdentity | null = null;
  #missedPings = 0;
  /** Cancels the check of the last ping; null: none is under way. */
  #cancelCheck: (() => void) | null = null;
  /** Until then the host may be silent for longer. */
  #worksUntil = 0;

  constructor(options: HostWatchOptions) {
    this.#options = options;
  }

  begin(host: ProcessIdentity): void {
    this.#host = host;
    this.#missedPings = this.#worksUntil = 0;
  }

  /** An idle front is not woken up by a check that nothing needs. */
  noteAnswer(): void {
    this.#missedPings = 0;
    if (this.#host !== null && this.#options.isWaiting(this.#host)) return;
    this.#cancelCheck?.();
    this.#cancelCheck = null;
  }

  noteLongWork(isOver: boolean): void {
    this.#worksUntil = isOver ? 0 : this.#options.now() + maxWorkMs;
  }

  ping(): void {
    const host = this.#host;
    if (this.#cancelCheck !== null || host === null) return;
    if (!this.#options.isWaiting(host)) {
      this.#missedPings = 0;
      return;
    }
    this.#options.ping();
    this.#missedPings += 1;
    this.#cancelCheck = this.#options.schedule(() => this.#check(host), pingEveryMs);
  }

  #check(host: ProcessIdentity): void {
    this.#cancelCheck = null;
    const isPatient = this.#missedPings < maxMissedPings || this.#options.now() < this.#worksUntil;
    if (this.#host !== host || isPatient || !this.#options.isWaiting(host)) return this.ping();
    this.#options.log("error", "the host hangs and is ended", { pid: host.pid });
    this.#options.endHost(host);
  }
}

export function killHost(host: ProcessIdentity): void {
  if (isAlive(systemProcesses, host)) process.kill(host.pid, "SIGKILL");
}
