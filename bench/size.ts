/** Share of the whole bench that is measured: `--share 0.1` is a tenth, `--smallest` the least with which each subject still measures something. */
export const share = Number(process.env["SHIM_BENCH_SHARE"] ?? 1);

/** @param least what `--smallest` measures */
export function scaled(count: number, least = 1): number {
  return Math.max(least, Math.round(count * share));
}
