import { createHash } from "node:crypto";

/** How long a model takes for one answer: 2 to 6 s, each time as likely as any other. */
const minMs = 2_000;
const maxMs = 6_000;

/** The waits of one run; the same name has the same wait, also in another run with the seed. */
export interface Waits {
  readonly seed: number;
  /** 1: as long as drawn. */
  readonly scale: number;
}

export function waitOf({ seed, scale }: Waits, name: string): number {
  const drawn = createHash("sha256").update(`${seed}/${name}`).digest().readUInt32BE(0) / 2 ** 32;
  return scale * (minMs + drawn * (maxMs - minMs));
}
