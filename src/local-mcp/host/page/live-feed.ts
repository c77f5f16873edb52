import type { ServerResponse } from "node:http";
import type { LiveLine } from "../../../contract/live-page.ts";

/** Least time between two lines to one page, in ms: each makes it read again. */
const gapMs = 1_000;
/** Rest for each ms that the pages' reads took, so that they cost less than 2 % of a processor. */
const restPerMs = 80;
const maxRestMs = 10_000;
/** An empty line, so that a closed page is noticed. */
const pulseMs = 30_000;

type SetTimer = (work: () => void, ms: number) => () => void;

/** [WP9] Tells each open page what may have changed; it then reads what it shows. */
export class LiveFeed {
  readonly #setTimer: SetTimer;
  readonly #open = new Map<ServerResponse, () => void>();
  #due: LiveLine["changed"] | null = null;
  #cancelGap: (() => void) | null = null;
  #spentMs = 0;

  constructor(setTimer: SetTimer) {
    this.#setTimer = setTimer;
  }

  get size(): number {
    return this.#open.size;
  }

  add(response: ServerResponse): void {
    this.#write(response, { changed: "all" });
    this.#open.set(response, () => undefined);
    this.#pulse(response);
    response.on("close", () => this.#forget(response));
  }

  end(response: ServerResponse): void {
    this.#forget(response);
    response.end();
  }

  #forget(response: ServerResponse): void {
    this.#open.get(response)?.();
    this.#open.delete(response);
  }

  changed(part: LiveLine["changed"]): void {
    if (this.#open.size === 0) return;
    this.#due = this.#due === null || this.#due === part ? part : "all";
    if (this.#cancelGap) return;
    this.#flush();
  }

  /** @param ms time of the processor that a read of a page has taken */
  spent(ms: number): void {
    this.#spentMs += ms;
  }

  close(): void {
    this.#cancelGap?.();
    for (const response of this.#open.keys()) response.end();
  }

  #flush(): void {
    this.#cancelGap = null;
    if (this.#due === null) return;
    const line = { changed: this.#due };
    this.#due = null;
    for (const response of this.#open.keys()) this.#write(response, line);
    this.#cancelGap = this.#setTimer(() => this.#endGap(), gapMs);
  }

  #endGap(): void {
    const restMs = Math.min(restPerMs * this.#spentMs, maxRestMs) - gapMs;
    this.#spentMs = 0;
    if (restMs > 0) this.#cancelGap = this.#setTimer(() => this.#endGap(), restMs);
    else this.#flush();
  }

  #pulse(response: ServerResponse): void {
    const again = (): void => {
      response.write("\n");
      this.#pulse(response);
    };
    this.#open.set(response, this.#setTimer(again, pulseMs));
  }

  #write(response: ServerResponse, line: LiveLine): void {
    response.write(`${JSON.stringify(line)}\n`);
  }
}
