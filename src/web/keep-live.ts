import { Connection, silentMs, type Line, type LineEvents } from "../pairing/connection.ts";
import type { OnState } from "./backend.ts";

/** Time and network as a page has them. */
export interface PageClock {
  /** Epoch ms. */
  now(): number;
  readonly setTimer: (work: () => void, ms: number) => () => void;
  readonly isHidden: () => boolean;
  isOffline(): boolean;
  /** Calls `work` when the page is shown, the network has changed, or the device has slept. */
  onWake(work: () => void, end: AbortSignal): void;
}

const tickMs = 2_000;
/** A tick that is so late comes after a sleep, in ms. */
const sleptMs = 4_000;

export const browserClock: PageClock = {
  now: () => Date.now(),
  setTimer(work, ms) {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
  isHidden: () => document.hidden,
  isOffline: () => !navigator.onLine,
  onWake(work, signal) {
    document.addEventListener("visibilitychange", () => document.hidden || work(), { signal });
    for (const name of ["online", "offline"]) addEventListener(name, work, { signal });
    let last = Date.now();
    const ticking = setInterval(() => {
      const passed = Date.now() - last;
      last += passed;
      if (passed > tickMs + sleptMs) work();
    }, tickMs);
    signal.addEventListener("abort", () => clearInterval(ticking));
  },
};

interface Kept {
  readonly open: (events: LineEvents) => Line;
  readonly onState: OnState;
  /** Why it is not live, a sentence without its full stop. */
  readonly why: string;
  readonly end: AbortSignal;
}

/** Follows a process over one connection until `end`. @returns it, for one that ends earlier */
export function keepLive({ open, onState, why, end }: Kept, clock: PageClock = browserClock): Connection<Line> {
  let liveAt: number | null = null;
  const lose = (): void => onState({ isLive: false, since: liveAt, why });
  const cancel = clock.setTimer(() => connection.up ?? lose(), silentMs);
  const connection = new Connection({
    open: (events) =>
      open({
        ...events,
        onHeard() {
          if (connection.up !== null) liveAt = clock.now();
          events.onHeard();
        },
      }),
    setTimer: clock.setTimer,
    isHidden: clock.isHidden,
    onUp() {
      liveAt = clock.now();
      onState({ isLive: true });
    },
    onDown: lose,
  });
  clock.onWake(() => connection.wake(), end);
  end.addEventListener("abort", () => {
    cancel();
    connection.end();
  });
  connection.begin();
  return connection;
}
