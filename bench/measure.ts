/** What a bench needs is not there: its message says what to do, and no stack is of use. */
export class CannotMeasureError extends Error {
  override readonly name = "CannotMeasureError";
}

/** @param find throws where the program that is needed is not installed, and says how to install it */
export function needed<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    throw new CannotMeasureError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Share of the whole bench that is measured: `--share 0.1` is a tenth, `--smallest` the least with which each bench still measures something. */
export const share = Number(process.env["SHIM_BENCH_SHARE"] ?? 1);

/** @param least what `--smallest` measures */
export function scaled(count: number, least = 1): number {
  return Math.max(least, Math.round(count * share));
}

/** One measured thing: times in ms, sorted by {@link sample}. */
export interface Sample {
  readonly p50: number;
  readonly p99: number;
  readonly n: number;
}

export function sample(times: readonly number[] | undefined): Sample {
  const sorted = (times ?? []).toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), n: sorted.length };
}

/** Time of `work`, in ms. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export function range<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

export function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
}

export function ratio(value: number): string {
  return `${value.toFixed(2)} x`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

export function perSecond(rate: number): string {
  return `${whole(rate)} per s`;
}

/**
 * All subjects have their turn in each round, so that a machine that becomes slower or faster meanwhile does so for all of them.
 *
 * @returns the times of each, in ms, without those of the `warmUp` rounds
 */
export async function inTurns<Name extends string>(
  rounds: number,
  subjects: Readonly<Record<Name, (round: number) => unknown>>,
  warmUp = 0,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(subjects) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = -warmUp; round < rounds; round++)
    for (const name of names) {
      const time = await timed(() => subjects[name](round));
      if (round >= 0) times[name].push(time);
    }
  return times;
}
