/** Bits of the time in an id of OpenCode, whose last 12 count the ids of a millisecond. */
const timeBits = 48n;
const idsOfMs = 4_096n;

/**
 * Pure. Ids in the order in which they are made, and before those that OpenCode makes later.
 *
 * @param now epoch ms
 * @param letters that make the ids of this session its own: 14 characters of [0-9A-Za-z]
 */
export function openCodeIds(now: number, letters: string): (prefix: "msg" | "prt") => string {
  let count = 0n;
  // So many come before the ids of this moment.
  const first = BigInt(now - 60_000) * idsOfMs;
  return (prefix) => `${prefix}_${timeHex(first + count++)}${letters}`;
}

/** Newer sessions come first. */
export function openCodeSessionId(now: number, letters: string): string {
  return `ses_${timeHex(~(BigInt(now) * idsOfMs))}${letters}`;
}

function timeHex(value: bigint): string {
  return BigInt.asUintN(Number(timeBits), value).toString(16).padStart(12, "0");
}
