/** One measured thing: times in ms, sorted by {@link sample}. */
export interface Sample {
  readonly p50: number;
  readonly p99: number;
  readonly min: number;
  readonly n: number;
}

export function sample(times: readonly number[]): Sample {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), min: at(0), n: sorted.length };
}

export function mean(times: readonly number[]): number {
  return times.reduce((sum, time) => sum + time, 0) / times.length;
}

export interface Row {
  readonly group: string;
  readonly name: string;
  readonly figure: string;
  /** How many measurements the figure stands for. */
  readonly n: number;
  /** What it is held against, from the same run. */
  readonly against?: string;
  readonly goal?: string;
  readonly isReached?: boolean;
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

export function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString("en")} per s`;
}

/**
 * Prints a Markdown table, as it stands in docs/benchmarks.md. A figure without a measurement behind it is none: it is not printed, and
 * the bench fails.
 */
export function printTable(rows: readonly Row[]): void {
  const [measured, empty] = [rows.filter(isMeasured), rows.filter((row) => !isMeasured(row))];
  const lines = measured.map(({ group, name, n, figure, against = "", goal = "", isReached }) => {
    const verdict = isReached === undefined ? "" : isReached ? "reached" : "MISSED";
    return `| ${[group, name, n, figure, against, goal, verdict].join(" | ")} |`;
  });
  const head = ["| part | measured | n | figure | against | goal | |", "| --- | --- | --- | --- | --- | --- | --- |"];
  if (lines.length > 0) console.log([...head, ...lines].join("\n"));
  for (const { group, name } of empty) console.error(`nothing was measured of ${group}: ${name}`);
  if (rows.length === 0) console.error("nothing was measured");
  if (empty.length > 0 || rows.length === 0) process.exitCode = 1;
}

function isMeasured({ n, figure }: Row): boolean {
  return n > 0 && !/NaN|Infinity/.test(figure);
}
