/**
 * A UUIDv7 (RFC 9562, 5.7): 48 bits of epoch milliseconds, then random bits, so ids sort by time.
 *
 * @param now epoch milliseconds
 * @param random exactly 16 random bytes; they are not changed
 */
export function uuidv7(now: number, random: Uint8Array): string {
  const bytes = Uint8Array.from(random);
  let rest = now;
  for (let i = 5; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return format(bytes, 0x70);
}

/**
 * A UUIDv4, for programs that accept no newer version.
 *
 * @param random exactly 16 random bytes; they are not changed
 */
export function uuidv4(random: Uint8Array): string {
  return format(Uint8Array.from(random), 0x40);
}

function format(bytes: Uint8Array, version: number): string {
  bytes[6] = version | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
