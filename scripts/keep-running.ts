import { initial, afterEnd, RestartRules, afterStart } from "../src/runner/supervisor/auto-restarter.ts";
import { messageOf } from "../src/shared/error.ts";
import type { LocalRuntime } from "./local-runtime.ts";

/** What is kept running. */
export type Kept = Pick<LocalRuntime, "url" | "restarts" | "close">;

export interface KeepRunningOptions {
  readonly start: () => Promise<Kept>;
  /** Whether the coordinator at this address answers; false also where it takes too long. */
  readonly isAnswering: (url: string) => Promise<boolean>;
  /** Before the coordinator is looked at again, in ms. */
  readonly everyMs: number;
  readonly now: () => number;
  /** Rejects where the signal comes first. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
  readonly onStart: (url: string) => void;
  /** Gets each crash, as one line. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A runtime that does one long thing is no dead one, and one that was killed is just being started again by Miniflare. */
const mostSilent = { looks: 3, ms: 20_000 };

/** Five crashes within 15 minutes are a loop. */
const rules = RestartRules.parse({});

/**
 * Runs a local coordinator until the signal, and starts it again where it has ended or no longer answers.
 *
 * @throws {Error} where the first start fails, or where it crashes in a loop; nothing is left running
 */
export async function keepRunning(options: KeepRunningOptions): Promise<void> {
  const crashes = new Crashes(options);
  let runtime: Kept | null = await options.start();
  try {
    options.onStart(runtime.url);
    while (runtime) {
      const isOver = await untilSilent(runtime, options, crashes);
      if (isOver) return;
      await runtime.close();
      runtime = null;
      runtime = await startedAgain(options, crashes);
    }
  } finally {
    await runtime?.close();
  }
}

/** @returns whether the signal came; false: the runtime no longer answers */
async function untilSilent(runtime: Kept, options: KeepRunningOptions, crashes: Crashes): Promise<boolean> {
  const { isAnswering, everyMs, now, signal } = options;
  let known = 0;
  let silent = { looks: 0, since: 0 };
  while (!(await isOver(everyMs, options))) {
    for (; known < runtime.restarts; known++) crashes.add("The runtime has ended unexpectedly");
    const lookedAt = now();
    if (await isAnswering(runtime.url)) silent = { looks: 0, since: 0 };
    else silent = { looks: silent.looks + 1, since: silent.looks === 0 ? lookedAt : silent.since };
    if (silent.looks < mostSilent.looks || now() - silent.since < mostSilent.ms || signal.aborted) continue;
    crashes.add("The runtime no longer answers");
    return false;
  }
  return true;
}

/** Its port may be in use for a moment longer. @returns null: the signal came first */
async function startedAgain(options: KeepRunningOptions, crashes: Crashes): Promise<Kept | null> {
  while (!options.signal.aborted) {
    try {
      return await options.start();
    } catch (error) {
      crashes.add(`The runtime cannot be started: ${messageOf(error)}`);
      await isOver(crashes.waitMs, options);
    }
  }
  return null;
}

class Crashes {
  readonly #options: KeepRunningOptions;
  #record;
  /** Before the next start, in ms. */
  waitMs = 0;

  constructor(options: KeepRunningOptions) {
    this.#options = options;
    this.#record = afterStart(initial(options.now()), options.now());
  }

  add(reason: string): void {
    const now = this.#options.now();
    const record = afterEnd(this.#record, { kind: "crashed", reason }, now, rules);
    const { loopCrashes, loopWithinMs } = rules;
    const within = `${loopWithinMs / 60_000} minutes`;
    if (record.phase === "looping") {
      throw new Error(
        `${reason}. That was crash ${loopCrashes} within ${within}: it is not started again. The state is kept.`,
      );
    }
    this.#options.tell(
      `${reason}; it is started again with the same state (crash ${record.crashes.length} of at most ${loopCrashes - 1} within ${within}).`,
    );
    this.waitMs = record.waitMs;
    this.#record = afterStart(record, now);
  }
}

/** @returns whether the signal came in that time */
async function isOver(ms: number, { pause, signal }: KeepRunningOptions): Promise<boolean> {
  await pause(ms, signal).catch(() => undefined);
  return signal.aborted;
}
