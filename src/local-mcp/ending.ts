import { setTimeout as pause } from "node:timers/promises";

/** Tells those who are to end; 0 tells nothing. @returns false: none of them is there any more */
export type Tell = (signal: NodeJS.Signals | 0) => boolean;

const pollEveryMs = 50;
/** What was killed goes at once, unless it waits for a disk, or nobody takes note of its end. */
const killedWithinMs = 2_000;

/** INT where it is given time, TERM, KILL to who is left after so many ms. Resolves when none is left. */
export async function endAll(tell: Tell, graceMs: number, interruptMs = 0): Promise<void> {
  const isGone = (): boolean => !tell(0);
  if (interruptMs > 0 && tell("SIGINT") && (await isSoWithin(isGone, interruptMs))) return;
  if (!tell("SIGTERM") || (await isSoWithin(isGone, graceMs))) return;
  tell("SIGKILL");
  await isSoWithin(isGone, killedWithinMs);
}

/** Looks again and again, the first time after a moment. @returns false: it was not so in all that time */
export async function isSoWithin(isSo: () => boolean, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    await pause(pollEveryMs);
    if (isSo()) return true;
  }
  return false;
}
