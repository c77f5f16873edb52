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

/** A Markdown table, as it stands in docs/benchmarks.md. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const verdict = row.isReached === undefined ? "" : row.isReached ? "reached" : "MISSED";
    return `| ${row.group} | ${row.name} | ${row.figure} | ${row.against ?? ""} | ${row.goal ?? ""} | ${verdict} |`;
  });
  return ["| part | measured | figure | against | goal | |", "| --- | --- | --- | --- | --- | --- |", ...lines].join(
    "\n",
  );
}
