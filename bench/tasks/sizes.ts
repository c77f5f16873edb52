/** How much is measured, and what a task is. `SHIM_BENCH_SHARE=0.01` measures a hundredth, to see that all works. */

const share = Number(process.env["SHIM_BENCH_SHARE"] ?? 1);

export function scaled(count: number, least = 1): number {
  return Math.max(least, Math.round(count * share));
}

/** Tasks of one frame, one body, one `addBulk`. */
export const perSubmit = 500;

export const workers = 8;
/** Tasks that a worker has at a time. */
export const perWorker = 10;

/** The same for both sides. */
export function payload(n: number): object {
  return { n, text: "Look through the module and write down what it does, with the files that it touches." };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
