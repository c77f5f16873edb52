import { Script } from "node:vm";

/** Time on the processor for the interpretation of one event or one entry. */
export const budgetMs = 1_000;

/**
 * Shorter texts, in characters, need no budget: only an exponential expression takes long for them,
 * and lint lets none pass. A budget costs a thread, 0.1 to 0.3 ms of a tool call's 2 ms.
 */
export const shortText = 16_000;

interface Budget {
  /** On the processor; default: {@link budgetMs}. */
  readonly ms?: number;
  /** Length of the text; a short one is not timed. Default: not known. */
  readonly chars?: number;
}

/** The interpretation of a text took more than {@link budgetMs}. */
export class OverBudgetError extends Error {
  override readonly name = "OverBudgetError";
  /** Time on the processor; less than the budget where the machine was busy with other things. */
  readonly cpuMs: number;

  constructor(cpuMs: number) {
    super(`the interpretation took ${Math.round(cpuMs)} ms of the processor and was ended`);
    this.cpuMs = cpuMs;
  }
}

const held = Symbol.for("shim.time-budget");
const slot = globalThis as unknown as { [held]: (() => void) | undefined };
const script = new Script('globalThis[Symbol.for("shim.time-budget")]()');

/**
 * Runs `work`, and ends it when its time is over: V8's own watchdog thread interrupts also a
 * regular expression that runs. The `catch` and `finally` of `work` do not run then, so it opens
 * nothing that must be closed.
 *
 * @throws {OverBudgetError}
 */
export function withinBudget<T>(work: () => T, timeoutMs = budgetMs): T {
  const outer = slot[held];
  const before = process.cpuUsage();
  let done: { value: T } | null = null;
  slot[held] = () => {
    done = { value: work() };
  };
  try {
    script.runInThisContext({ timeout: Math.ceil(timeoutMs) });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    const { user, system } = process.cpuUsage(before);
    throw new OverBudgetError((user + system) / 1_000);
  } finally {
    slot[held] = outer;
  }
  return (done as { value: T } | null)?.value as T;
}

/**
 * Repeats with more time what a busy machine has kept from the processor.
 *
 * @param attempt leaves nothing behind when the work that it bounds is ended
 * @throws {OverBudgetError} the work had its budget
 */
export function repeatWithinBudget<T>(attempt: (bound: <R>(work: () => R) => R) => T, budget: Budget = {}): T {
  const { ms = budgetMs, chars = shortText } = budget;
  if (chars < shortText) return attempt((work) => work());
  let timeoutMs = ms;
  for (;;) {
    try {
      return attempt((work) => withinBudget(work, timeoutMs));
    } catch (error) {
      timeoutMs = longerTimeoutMs(error, timeoutMs, ms);
    }
  }
}

/** {@link repeatWithinBudget} for work in parts, of which each has the budget; all begin again. */
export async function repeatPartsWithinBudget<T>(
  attempt: (bound: <R>(work: () => R) => R) => Promise<T>,
  ms = budgetMs,
): Promise<T> {
  let timeoutMs = ms;
  for (;;) {
    try {
      return await attempt((work) => withinBudget(work, timeoutMs));
    } catch (error) {
      timeoutMs = longerTimeoutMs(error, timeoutMs, ms);
    }
  }
}

/** By the share of the processor that the work had. Throws an error for which no time helps. */
function longerTimeoutMs(error: unknown, timeoutMs: number, ms: number): number {
  if (!(error instanceof OverBudgetError) || error.cpuMs >= ms) throw error;
  return timeoutMs * Math.max(2, (1.2 * ms) / Math.max(1, error.cpuMs));
}

/** {@link repeatWithinBudget} for work without effects; null: it was over its budget. */
export function interpret<T>(work: () => T, budget: Budget = {}): T | null {
  try {
    return repeatWithinBudget((bound) => bound(work), budget);
  } catch (error) {
    if (error instanceof OverBudgetError) return null;
    throw error;
  }
}
