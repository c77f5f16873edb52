import { setTimeout as pause } from "node:timers/promises";

export type SendSignal = (signal: NodeJS.Signals | 0) => boolean;

const pollIntervalMs = 50;
/** A killed process can wait for a disk, or stay a zombie. */
const maxKillMs = 2_000;

/** Sends INT (if `interruptMs` > 0), TERM, then KILL. Resolves when no process is left. */
export async function endAll(sendSignal: SendSignal, graceMs: number, interruptMs = 0): Promise<void> {
  const isGone = (): boolean => !sendSignal(0);
  if (interruptMs > 0 && sendSignal("SIGINT") && (await pollUntil(isGone, interruptMs))) return;
  if (!sendSignal("SIGTERM") || (await pollUntil(isGone, graceMs))) return;
  sendSignal("SIGKILL");
  await pollUntil(isGone, maxKillMs);
}

export async function pollUntil(condition: () => boolean, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    await pause(pollIntervalMs);
    if (condition()) return true;
  }
  return false;
}
