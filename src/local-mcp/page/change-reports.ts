import type { LiveLine } from "../../contract/live-page.ts";

type SetTimer = (work: () => void, ms: number) => () => void;
type Part = LiveLine["changed"];

/** Rest for each ms that the pages' reads took, so that they cost at most 5 % of a processor. */
const restPerMs = 20;
const maxRestMs = 10_000;

interface ChangeReportsOptions {
  readonly report: (part: Part) => void;
  readonly setTimer: SetTimer;
  /** Least time between two reports, in ms: each makes a page read again. */
  readonly gapMs: number;
}

/** Reports changes to pages: the first at once, those within a gap or a rest together after it. */
export class ChangeReports {
  readonly #options: ChangeReportsOptions;
  #due: Part | null = null;
  #cancelGap: (() => void) | null = null;
  #spentMs = 0;

  constructor(options: ChangeReportsOptions) {
    this.#options = options;
  }

  changed(part: Part): void {
    this.#due = this.#due === null || this.#due === part ? part : "all";
    if (!this.#cancelGap) this.#flush();
  }

  /** @param ms time of the processor that a read of a page has taken */
  spent(ms: number): void {
    this.#spentMs += ms;
  }

  /** A read of a page, whose time of the processor is spent. */
  async ofRead<Answer>(read: () => Promise<Answer>): Promise<Answer> {
    const before = process.cpuUsage();
    const answer = await read();
    const { user, system } = process.cpuUsage(before);
    this.spent((user + system) / 1_000);
    return answer;
  }

  end(): void {
    this.#cancelGap?.();
  }

  #flush(): void {
    this.#cancelGap = null;
    if (this.#due === null) return;
    const part = this.#due;
    this.#due = null;
    this.#options.report(part);
    this.#pauseFor(this.#options.gapMs);
  }

  #pauseFor(ms: number): void {
    this.#cancelGap = this.#options.setTimer(() => {
      const restMs = Math.min(restPerMs * this.#spentMs, maxRestMs) - ms;
      this.#spentMs = 0;
      if (restMs > 0) this.#pauseFor(restMs);
      else this.#flush();
    }, ms);
  }
}
