/**
 * SHA-256 (FIPS 180-4) without a runtime's crypto: the same on Node and workerd, and at once.
 * Pure.
 */

const roundConstants = primes(64).map((prime) => fraction(Math.cbrt(prime)));
const startValues = primes(8).map((prime) => fraction(Math.sqrt(prime))) as State;

type State = [number, number, number, number, number, number, number, number];

function primes(count: number): number[] {
  const found: number[] = [];
  for (let one = 2; found.length < count; one++) if (found.every((prime) => one % prime !== 0)) found.push(one);
  return found;
}

/** The first 32 bits of the fraction. */
function fraction(value: number): number {
  return Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;
}

/** The hash of a text's UTF-8 as eight words of 32 bits. */
export function sha256(text: string): Uint32Array {
  const message = padded(utf8(text));
  let state = startValues;
  const schedule = new Int32Array(64);
  for (let offset = 0; offset < message.byteLength; offset += 64) {
    fillSchedule(schedule, message, offset);
    state = compressed(state, schedule);
  }
  return Uint32Array.from(state, (word) => word >>> 0);
}

function utf8(text: string): number[] {
  const encoded = encodeURIComponent(text.toWellFormed());
  const characters = encoded.match(/%[0-9A-F]{2}|[^%]/g) ?? [];
  return characters.map((one) => (one.length === 3 ? Number.parseInt(one.slice(1), 16) : one.charCodeAt(0)));
}

function padded(bytes: readonly number[]): DataView {
  const length = Math.ceil((bytes.length + 9) / 64) * 64;
  const message = new DataView(new ArrayBuffer(length));
  for (const [index, byte] of bytes.entries()) message.setUint8(index, byte);
  message.setUint8(bytes.length, 0x80);
  message.setUint32(length - 8, Math.floor(bytes.length / 2 ** 29));
  message.setUint32(length - 4, bytes.length << 3);
  return message;
}

function fillSchedule(schedule: Int32Array, message: DataView, offset: number): void {
  for (let index = 0; index < 16; index++) schedule[index] = message.getInt32(offset + index * 4);
  for (let index = 16; index < 64; index++) {
    const early = schedule[index - 15] ?? 0;
    const late = schedule[index - 2] ?? 0;
    const first = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const second = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    schedule[index] = (schedule[index - 16] ?? 0) + first + (schedule[index - 7] ?? 0) + second;
  }
}

function compressed(state: State, schedule: Int32Array): State {
  let [a, b, c, d, e, f, g, h] = state;
  for (let index = 0; index < 64; index++) {
    const rotatedE = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const choice = (e & f) ^ (~e & g);
    const first = (h + rotatedE + choice + (roundConstants[index] ?? 0) + (schedule[index] ?? 0)) | 0;
    const rotatedA = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + rotatedA + majority) | 0;
  }
  const [s0, s1, s2, s3, s4, s5, s6, s7] = state;
  return [s0 + a, s1 + b, s2 + c, s3 + d, s4 + e, s5 + f, s6 + g, s7 + h].map((word) => word | 0) as State;
}

function rotated(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}
