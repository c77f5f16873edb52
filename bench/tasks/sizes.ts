/** What a task is, and how many of them are sent and worked on at once. */

/** Tasks of one frame, one body, one `addBulk`. */
export const perSubmit = 500;

export const workers = 8;
/** Tasks that a worker has at a time. */
export const perWorker = 10;

/** The same for both sides. */
export function payload(n: number): { n: number; text: string } {
  return { n, text: "Look through the module and write down what it does, with the files that it touches." };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
