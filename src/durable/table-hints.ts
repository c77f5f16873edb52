import { notificationFrame } from "../contract/frames.ts";
import { isWithin } from "../shared/elapsed.ts";

/** Tables of which connections hear, by the prefix that they watch for it. */
const hinted = [
  { table: "tasks", prefix: "$task/", text: notificationFrame("tasks.changed", {}) },
  { table: "messages", prefix: "$message/", text: notificationFrame("messages.changed", {}) },
  { table: "inboxes", prefix: "$message/", text: notificationFrame("messages.changed", {}) },
] as const;

const everyMs = 1_000;

interface TableHintsOptions {
  readonly writesTo: (table: string) => number;
  /** Sends to the connections that watch the prefix. */
  readonly send: (prefix: string, text: string) => void;
  readonly now: () => number;
  readonly setTimer: (work: () => void, ms: number) => void;
}

/**
 * [DO56] At most one hint of each kind a second, without a row. The timer runs for at most a second
 * after a write, so it keeps no idle object awake.
 */
export class TableHints {
  readonly #options: TableHintsOptions;
  readonly #known = new Map<string, number>();
  #sentAt = 0;
  #isTimerSet = false;

  constructor(options: TableHintsOptions) {
    this.#options = options;
  }

  /** Runs after each commit. */
  notify(): void {
    if (this.#isTimerSet || !hinted.some(({ table }) => this.#hasChanged(table))) return;
    const { now, setTimer } = this.#options;
    const sinceMs = now() - this.#sentAt;
    if (!isWithin(sinceMs, everyMs)) return this.#send();
    this.#isTimerSet = true;
    setTimer(() => {
      this.#isTimerSet = false;
      this.#send();
    }, everyMs - sinceMs);
  }

  #hasChanged(table: string): boolean {
    return this.#options.writesTo(table) > (this.#known.get(table) ?? 0);
  }

  #send(): void {
    const { now, send, writesTo } = this.#options;
    this.#sentAt = now();
    const changed = hinted.filter(({ table }) => this.#hasChanged(table));
    for (const { table } of changed) this.#known.set(table, writesTo(table));
    for (const [text, prefix] of new Map(changed.map((one) => [one.text, one.prefix]))) send(prefix, text);
  }
}
