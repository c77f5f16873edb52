import { range } from "../measure.ts";

/** Tasks of one frame, and of one `addBulk`. */
export const perSubmit = 500;
export const workers = 8;
/** Tasks that a worker has at a time. */
export const perWorker = 10;

/** The same for both sides. */
export function payload(n: number): { n: number; text: string } {
  return { n, text: "Look through the module and write down what it does, with the files that it touches." };
}

export function newTasks(type: string, count: number): object[] {
  return range(count, (n) => ({ type, payload: payload(n) }));
}
