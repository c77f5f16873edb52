import type { Ending } from "#src/contract/ending.ts";

/** A noted death a minute after T0. */
export function anEnding(overrides: Partial<Ending> = {}): Ending {
  const at = 1_700_000_060_000;
  const death = { how: "died", at, reason: "gone", isOpen: true, isSettled: true } as const;
  return { ...death, cause: null, detail: null, signs: {}, journalSeq: 0, ...overrides };
}
