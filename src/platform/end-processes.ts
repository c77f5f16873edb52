import { setTimeout as pause } from "node:timers/promises";

/** Tells those who are to end; 0 tells nothing. @returns false: none of them is there any more */
export type SendSignal = (signal: NodeJS.Signals | 0) => boolean;

const pollIntervalMs = 50;
/** What was killed goes at once, unless it waits for a disk, or nobody takes note of its end. */
const maxKillMs = 2_000;

/** INT where it is given time, TERM, KILL to who is left after so many ms. Resolves when none is left. */
export async function endAll(sendSignal: SendSignal, graceMs: number, interruptMs = 0): Promise<void> {
  const isGone = (): boolean => !sendSignal(0);
  if (interruptMs > 0 && sendSignal("SIGINT") && (await pollUntil(isGone, interruptMs))) return;
  if (!sendSignal("SIGTERM") || (await pollUntil(isGone, graceMs))) return;
  sendSignal("SIGKILL");
  await pollUntil(isGone, maxKillMs);
}

/** Looks again and again, the first time after a moment. @returns false: it was not so in all that time */
export async function pollUntil(condition: () => boolean, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    await pause(pollIntervalMs);
    if (condition()) return true;
  }
  return false;
}
