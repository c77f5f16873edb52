import type { RuleHost } from "./engine-host.ts";
import type { Peer } from "./peers.ts";

export const second = 1_000;
export const minute = 60_000;
export const hour = 3_600_000;
export const day = 86_400_000;

/** Time passes, and the alarm rings whenever it was set to. */
export async function pass(host: RuleHost, ms: number): Promise<void> {
  const end = host.now() + ms;
  for (;;) {
    const next = await host.ring();
    if (next === null || next > end) break;
    host.wait(next - host.now());
  }
  host.wait(end - host.now());
}

export async function later(host: RuleHost, ms: number, ...chats: Peer[]): Promise<void> {
  host.wait(ms);
  for (const chat of chats) await chat.back();
}

/** The next full hour, at which housekeeping is done. */
export const waitForFullHour = (host: RuleHost): void => host.wait(hour - (host.now() % hour));
